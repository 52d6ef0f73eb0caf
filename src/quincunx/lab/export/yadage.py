"""A study as a yadage workflow (1706.01878): stages of one step each, with what they publish handed from one to the next."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quincunx.lab.export.place import new_place
from quincunx.lab.export.steps import DATA, STUDY, Steps
from quincunx.lab.export.yaml import to_yaml
from quincunx.lab.study import Study

__all__ = ["to_yadage"]


def to_yadage(study: Study, steps: Steps, path: str | os.PathLike[str], *, image: str | None = None) -> Path:
    """Write a new folder with a `workflow.yml` and what it needs: simulate, train, posterior and check.

    Each step's process is one of our commands; its environment is the container image, or this machine for None; it publishes the file
    among its parameters that it has written. Study and observation are the workflow's inputs `study` and `data`. A study without an
    experiment ends with train.

    Raises:
        OutputNotEmpty: if there is something of that name. DiskFull, ReadOnlyFolder: if it cannot be written.

    >>> import tempfile, quincunx as qx
    >>> study = qx.Study(qx.gallery.load("two_moons").simulator, budget=1000)
    >>> folder = to_yadage(study, Steps.of(study, "two_moons"), tempfile.mkdtemp() + "/flow")
    >>> (folder / "workflow.yml").read_text().count("frompar-pub")
    2
    """
    of_study: dict[str, Any] = {"study": _from("init", "study")} if steps.is_file else {}
    named = "{study}" if steps.is_file else steps.named
    simulations, trained, answer = (
        _from("simulate", "simulations"),
        _from("train", "trained"),
        _from("posterior", "answer"),
    )
    told = "--simulations {simulations}"
    stages = [
        _stage(
            "simulate",
            steps.simulate("{out}", first="0", n=str(steps.n), study=named),
            {**of_study, "out": "{workdir}/simulations.qx"},
            "simulations",
            image,
        ),
        _stage(
            "train",
            steps.train("{out}", simulations=told, study=named),
            {**of_study, "simulations": simulations, "out": "{workdir}/trained.qx"},
            "trained",
            image,
        ),
    ]
    if steps.has_data:
        given = {"simulations": simulations, "trained": trained, "data": _from("init", "data")}
        stages += [
            _stage(
                "posterior",
                steps.posterior("{out}", trained="{trained}", simulations=told, data="{data}", study=named),
                {**of_study, **given, "out": "{workdir}/answer"},
                "answer",
                image,
            ),
            _stage(
                "check",
                # A step writes to its own directory alone, and a check into the answer's.
                f"cp -r {{answer}} {{out}} && ({steps.check('{out}')})",
                {"answer": answer, "out": "{workdir}/checked"},
                "checked",
                image,
            ),
        ]
    given_at = [f"-p {name}={file}" for name, file in (("study", STUDY), ("data", DATA)) if file in steps.files]
    run_with = " ".join(["yadage-run workdir workflow.yml", *given_at, "-d initdir=$PWD"])
    with new_place(path) as draft:
        draft.mkdir()
        head = f"# {steps.written_by}\n# Run it here with: {run_with}\n"
        (draft / "workflow.yml").write_text(head + to_yaml({"stages": stages}))
        steps.lay_out(draft, study)
    return Path(path)


def _from(stage: str, output: str) -> dict[str, str]:
    return {"step": stage, "output": output}


def _stage(name: str, command: str, parameters: Mapping[str, Any], published: str, image: str | None) -> dict[str, Any]:
    needed = [part["step"] for part in parameters.values() if isinstance(part, Mapping)] or ["init"]
    repository, _, tag = (image or "").partition(":")
    environment = (
        {"environment_type": "localproc-env"}
        if image is None
        else {"environment_type": "docker-encapsulated", "image": repository, "imagetag": tag or "latest"}
    )
    return {
        "name": name,
        "dependencies": list(dict.fromkeys(needed)),
        "scheduler": {
            "scheduler_type": "singlestep-stage",
            "parameters": dict(parameters),
            "step": {
                "process": {"process_type": "string-interpolated-cmd", "cmd": command},
                "environment": environment,
                "publisher": {"publisher_type": "frompar-pub", "outputmap": {published: "out"}},
            },
        },
    }
