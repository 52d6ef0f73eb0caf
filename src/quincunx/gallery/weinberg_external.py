"""The process of `weinberg` as programs outside, simulator and experiment: behind a command line, and behind a Snakefile."""

import sys
from pathlib import Path
from typing import Any

import numpyro.distributions as dist

from quincunx.gallery.catalogue import entry, load
from quincunx.gallery.problem import Problem
from quincunx.model import Prior, Simulator
from quincunx.model.command import Output, command, instrument, snakemake

FOLDER = Path(__file__).parent / "weinberg_commands"
"""Where `generate.py` and `measure.py` are, and the `Snakefile` and `measure.smk` over them: examples to copy."""
S2 = 0.2315
"""What `measure.py` hides."""
LEARN = (256, 5000)
"""Simulations, and events in each, from which the likelihood is learned to a tenth of a posterior's width at most energies."""


def problem_command(*, low: float = 0.20, high: float = 0.25, events: int = 200) -> Problem:
    """`weinberg` with a program as simulator and another as experiment, of which the loop sees nothing but events.

    The simulator states no likelihood: the loop learns it. `truth` is that of `weinberg`, to compare with. The setting {"energy": GeV} must be given.

    >>> problem_command().space
    {'energy': (40.0, 50.0)}
    """
    measure = instrument(
        name="measure",
        argv=[
            sys.executable,
            "{code.measure}",
            *("--energy", "{design.energy}"),
            *("--events", "{events}"),
            *("--run", "{seed}"),
            *("--out", "{output.cosines}"),
        ],
        code=[str(FOLDER / "measure.py")],
        outputs={"cosines": Output("events.json", select="cosines", shape=(1,))},
        timeout=60.0,
    )
    return _problem("weinberg_command", weinberg_command(low=low, high=high), measure, low, high, events)


def problem_snakemake(*, low: float = 0.20, high: float = 0.25, events: int = 200) -> Problem:
    """The same with Snakemake workflows as simulator and experiment.

    Raises:
        MissingExtra: if Snakemake is not installed.
    """
    simulator = weinberg_snakemake(low=low, high=high)
    measure = instrument(
        snakefile=FOLDER / "measure.smk",
        outputs={"cosines": Output("measured/{i}.json", select="cosines", shape=(1,))},
        config={"events": "{events}"},
    )
    return _problem("weinberg_snakemake", simulator, measure, low, high, events)


def _problem(name: str, simulator: Simulator, measure: Any, low: float, high: float, events: int) -> Problem:
    inside = load("weinberg", low=low, high=high, events=events)
    return Problem(
        entry(name),
        simulator,
        inside.truth,
        {"s2": S2},
        events=events,
        space=inside.space,
        default_design=inside.default_design,
        derived=inside.derived,
        experiment=measure,
        learn=LEARN,
    )


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
