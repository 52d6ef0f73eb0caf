"""A study as a serial workflow for REANA."""

import os
from pathlib import Path

from quincunx.lab.export.place import new_place
from quincunx.lab.export.steps import Steps
from quincunx.lab.export.yaml import to_yaml
from quincunx.lab.study import Study

__all__ = ["to_reana"]


def to_reana(study: Study, steps: Steps, path: str | os.PathLike[str], *, image: str) -> Path:
    """Write a new folder with a `reana.yaml` and what it needs: simulate, train, posterior and check, one after the other.

    `image` is a container image in which our command line is installed. A study without an experiment ends with train.

    Raises:
        OutputNotEmpty: if there is something of that name. DiskFull, ReadOnlyFolder: if it cannot be written.

    >>> import tempfile, quincunx as qx
    >>> study = qx.Study(qx.gallery.load("two_moons").simulator, budget=1000)
    >>> folder = to_reana(study, Steps.of(study, "two_moons"), tempfile.mkdtemp() + "/flow", image="example/quincunx:0.1.0")
    >>> (folder / "reana.yaml").read_text().count("quincunx simulate")
    1
    """
    told = "--simulations simulations.qx"
    commands = {
        "simulate": steps.simulate("simulations.qx", first="0", n=str(steps.n)),
        "train": steps.train("trained.qx", simulations=told),
    }
    if steps.has_data:
        commands |= {
            "posterior": steps.posterior("answer", trained="trained.qx", simulations=told),
            "check": steps.check("answer"),
        }
    serial = [{"name": name, "environment": image, "commands": [command]} for name, command in commands.items()]
    results = {"directories": ["answer"]} if steps.has_data else {"files": ["simulations.qx", "trained.qx"]}
    content = {
        "inputs": {"files": list(steps.files)},
        "workflow": {"type": "serial", "specification": {"steps": serial}},
        "outputs": results,
    }
    with new_place(path) as draft:
        draft.mkdir()
        (draft / "reana.yaml").write_text(f"# {steps.written_by}\n" + to_yaml(content))
        steps.lay_out(draft, study)
    return Path(path)
