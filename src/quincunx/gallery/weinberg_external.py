"""The process of `weinberg` as a program outside: the same physics behind a command line, and behind a Snakefile."""

import sys
from pathlib import Path

import numpyro.distributions as dist

from quincunx.model import Prior, Simulator
from quincunx.model.command import Output, command, snakemake

FOLDER = Path(__file__).parent / "weinberg_commands"
"""Where `generate.py` and the `Snakefile` are: examples to copy."""


def weinberg_command(*, low: float = 0.20, high: float = 0.25, timeout: float | None = 60.0) -> Simulator:
    """A simulator that runs `generate.py --energy .. --s2 .. --events .. --seed .. --out ..`, an ordinary program, once a simulation.

    Parameter s2 ~ U(low, high) and the setting {"energy": GeV}, which must be given; the outcome is the cosine of an event, of shape (1,), with
    the density that `weinberg` states, and `simulate(..., events=n)` gets n of them from one run. `timeout` is in seconds.

    >>> weinberg_command()
    Simulator(weinberg_command: host, parameters s2)
    """
    return command(
        Prior(s2=dist.Uniform(low, high)),
        name="weinberg_command",
        argv=[
            sys.executable,
            "{code.generate}",
            *("--energy", "{design.energy}"),
            *("--s2", "{s2}"),
            *("--events", "{events}"),
            *("--seed", "{seed}"),
            *("--out", "{output.cosines}"),
        ],
        code=[str(FOLDER / "generate.py")],
        outputs={"cosines": Output("events.json", select="cosines", shape=(1,))},
        observables=["cosine"],
        timeout=timeout,
    )


def weinberg_snakemake(
    *, low: float = 0.20, high: float = 0.25, cores: int = 1, timeout: float | None = None
) -> Simulator:
    """The same by way of Snakemake: one run of the `Snakefile` makes a whole batch, a job for each simulation.

    `timeout` is in seconds a batch.

    Raises:
        MissingExtra: if Snakemake is not installed.

    >>> (FOLDER / "Snakefile").is_file()
    True
    """
    return snakemake(
        Prior(s2=dist.Uniform(low, high)),
        FOLDER / "Snakefile",
        outputs={"cosines": Output("results/{i}.json", select="cosines", shape=(1,))},
        observables=["cosine"],
        name="weinberg_snakemake",
        config={"events": "{events}"},
        cores=cores,
        timeout=timeout,
    )
