"""A study as a Snakefile, so that a cluster that runs Snakemake already takes over the scheduling."""

import os
from pathlib import Path

from quincunx.lab.export.place import new_place
from quincunx.lab.export.steps import DATA, Steps
from quincunx.lab.study import Study

__all__ = ["to_snakemake"]

_HEAD = """\
# {written_by}
# Run it here with: snakemake --cores 4; on a cluster, with one of Snakemake's executors.
N = {n}
SIZE = {size}
BATCHES = expand("batches/{{batch}}.qx", batch=[f"{{i:06d}}" for i in range(-(-N // SIZE))])
TOLD = " ".join(f"--simulations {{path}}" for path in BATCHES)


rule all:
    input:
        "{last}",


rule simulate_batch:
    output:
        "batches/{{batch}}.qx",
    params:
        first=lambda wildcards: int(wildcards.batch) * SIZE,
        n=lambda wildcards: min(SIZE, N - int(wildcards.batch) * SIZE),
    shell:
        "{simulate}"


rule train:
    input:
        BATCHES,
    output:
        "trained.qx",
    shell:
        "{train}"
"""

_ANSWER = """

rule posterior:
    input:
        batches=BATCHES,
        trained="trained.qx",
        data="{data}",
    output:
        "answer/posterior.qx",
        "answer/draws.csv",
    shell:
        "{posterior}"


rule check:
    input:
        "answer/posterior.qx",
    output:
        "answer/checks.json",
    shell:
        "{check}"
"""


def to_snakemake(study: Study, steps: Steps, path: str | os.PathLike[str]) -> Path:
    """Write a new folder with a Snakefile and what it needs; rules simulate_batch, train, posterior and check, each one of our commands.

    A study without an experiment ends with train. Files that the study's own file imports have to be put beside it. A check that fails is
    written down like one that passes, and fails no rule.

    Raises:
        OutputNotEmpty: if there is something of that name. DiskFull, ReadOnlyFolder: if it cannot be written.

    >>> import tempfile, quincunx as qx
    >>> study = qx.Study(qx.gallery.load("two_moons").simulator, budget=1000)
    >>> folder = to_snakemake(study, Steps.of(study, "two_moons"), tempfile.mkdtemp() + "/flow")
    >>> [line for line in (folder / "Snakefile").read_text().splitlines() if line.startswith("rule")]
    ['rule all:', 'rule simulate_batch:', 'rule train:']
    """
    commands = {
        "simulate": steps.simulate("{output}", first="{params.first}", n="{params.n}"),
        "train": steps.train("{output}", simulations="{TOLD}"),
        "posterior": steps.posterior("answer", trained="{input.trained}", simulations="{TOLD}", data="{input.data}"),
        "check": steps.check("answer"),
    }
    told = {
        **commands,
        "written_by": steps.written_by,
        "n": steps.n,
        "size": steps.size,
        "data": DATA,
        "last": "answer/checks.json" if steps.has_data else "trained.qx",
    }
    with new_place(path) as draft:
        draft.mkdir()
        (draft / "Snakefile").write_text((_HEAD + (_ANSWER if steps.has_data else "")).format(**told))
        steps.lay_out(draft, study)
    return Path(path)
