"""Executables and scripts as simulators."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from quincunx.errors import UsageError
from quincunx.model.command.declaration import Command
from quincunx.model.command.runs import OneByOne, Together, reaches
from quincunx.model.outcome import Observables
from quincunx.model.prior import Prior, columns_of
from quincunx.model.simulator import Simulator
from quincunx.model.told import Told

__all__ = ["command"]


def command(
    prior: Prior,
    source: Command | str | os.PathLike[str] | Sequence[Command] | None = None,
    /,
    *,
    units: Mapping[str, str] | str | None = None,
    observables: Observables = None,
    gold: Told | None = None,
    **declaration: Any,
) -> Simulator:
    """Make a program in any language a simulator: an executable, a script, or several that follow one another.

    `source` is a `Command`, the path of its TOML file, or a list of commands, each of which finds the outputs of the
    one before at `{upstream.NAME}`; without it the declaration is given here, by the fields of `Command`: argv, outputs
    and what else it needs. The outcome is an array where the (last) command has one output, else a dict by name. A
    simulation that fails is marked in `status` with how, and the end of its stderr is kept in `messages`. `gold` says which
    outputs are no part of the outcome but gold (see `Told`).

    Raises:
        CommandNotFound: for a program, file of code or container engine that is not there.
        UnknownPlaceholder: for a placeholder which stands for nothing, listing what there is.
        UsageError: for a declaration that makes no sense, or a parameter that reaches no program.
        NameMismatch: for gold that is none of the outputs.

    >>> import numpyro.distributions as dist
    >>> prior = Prior(n=dist.Uniform(0.0, 1.0))
    >>> double = command(prior, argv=["awk", "BEGIN {{print 2 * {n}}}"],
    ...                  outputs={"x": {"path": "stdout", "reader": "regex", "select": ".+"}})
    >>> double
    Simulator(awk: host, parameters n)
    >>> double({"n": 0.25}, key=0)
    array([0.5], dtype=float32)
    """
    stages = _stages(source, declaration)
    names = [column for name, shape in prior.shapes.items() for column in columns_of(name, shape)]
    upstream: tuple[str, ...] = ()
    for stage in stages:
        if stage.batch and len(stages) > 1:
            raise UsageError(
                f"got the batch command '{stage.name}' among {len(stages)} stages; expected stages that run one "
                "simulation at a time; set batch=False, or make them one command"
            )
        stage.check(names, upstream)
        upstream = tuple(stage.outputs)
    lost = [name for name in prior.names if not any(reaches(stage, name) for stage in stages)]
    if lost:
        raise UsageError(
            f"got the parameters {lost}, which reach no program; expected each in a template as {{{lost[0]}}}, in an "
            "input file with a format, or by a prefix; add them there, or leave them out of the prior"
        )
    last = stages[-1]
    if gold is not None:
        gold.rest(last.outputs, last.name)
    function: OneByOne | Together = Together(last) if last.batch else OneByOne(stages)
    return Simulator(
        function, prior, name=last.name, units=units, observables=observables, version=last.version, gold=gold
    )


def _stages(source: Any, declaration: Mapping[str, Any]) -> tuple[Command, ...]:
    if source is None:
        if not {"argv", "outputs"} <= set(declaration):
            raise UsageError(
                f"got a command with {sorted(declaration)}; expected argv and outputs among them, a Command, or the "
                "path of a TOML file; write command(prior, argv=[...], outputs={'x': ...})"
            )
        return (Command(**declaration),)
    if declaration:
        raise UsageError(
            f"got {sorted(declaration)} beside a declaration; expected them in it; put them there, or use "
            "dataclasses.replace"
        )
    if isinstance(source, Command):
        return (source,)
    if isinstance(source, (str, os.PathLike)):
        return (Command.from_toml(source),)
    stages = tuple(source)
    if not stages or not all(isinstance(stage, Command) for stage in stages):
        raise UsageError(
            "got stages that are not commands; expected a list of Command, at least one; write [Command(...)]"
        )
    return stages
