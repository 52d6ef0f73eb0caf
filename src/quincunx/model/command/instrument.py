"""A program that carries an experiment out: told its settings and no parameters, since nobody knows them."""

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from quincunx.errors import MissingExtra, UsageError
from quincunx.model.caller import Caller, rng_from_key
from quincunx.model.command.declaration import Command
from quincunx.model.command.runs import OneByOne, Together
from quincunx.model.command.snakefile import Workflow
from quincunx.notebook import from_repr

__all__ = ["Instrument", "instrument"]


@dataclass(frozen=True, eq=False, repr=False)
class Instrument:
    """An experiment as a function of its settings, for a study or a loop. Made by `instrument`."""

    caller: Caller

    def __call__(self, design: Mapping[str, Any], *, events: int, key: PRNGKeyArray) -> Any:
        """What the program measured at a design: `events` events where it is told their number, else what it gives.

        Raises:
            SimulationFailed: if it ends in any other way than well, or with another number of events than it was asked for.
        """
        one, caller = rng_from_key(key), self.caller
        random: Any = [one] if caller.batched else one
        settings = {name: np.asarray(value)[None] for name, value in design.items()} if caller.batched else design
        if caller.makes_events:
            return caller.tidy(caller.call_for(events, {}, random, settings), events)
        x = caller.tidy(caller.call({}, random, settings), 1 if caller.batched else None)
        return jax.tree.map(lambda a: a[0], x) if caller.batched else x

    def __repr__(self) -> str:
        return f"Instrument({self.caller.name})"

    _repr_html_ = from_repr


def instrument(source: Command | str | os.PathLike[str] | None = None, /, **declaration: Any) -> Instrument:
    """An experiment that a program carries out, declared as `command` is, but without parameters.

    Its templates have `{design.NAME}`, `{events}` and, for one that is a mock, `{seed}`, which follows from the loop's key. `source` is a
    `Command` or the path of its TOML file; without it the fields of `Command` are given here, or `snakefile`, its outputs and the
    other options of `snakemake`.

    Raises:
        CommandNotFound, UnknownPlaceholder, UsageError: as `command`. MissingExtra, DataFileError: as `snakemake`.

    >>> import jax
    >>> clock = instrument(argv=["awk", "BEGIN {{for (i = 0; i < {events}; i++) print {design.rate} * i}}"],
    ...                    outputs={"t": {"path": "stdout", "reader": "regex", "select": ".+", "shape": (1,)}})
    >>> clock({"rate": 2.0}, events=3, key=jax.random.key(0)).ravel()
    array([0., 2., 4.], dtype=float32)
    """
    if source is None and "snakefile" in declaration:
        if importlib.util.find_spec("snakemake") is None:
            raise MissingExtra("snakemake", "a Snakefile as experiment")
        path = os.fspath(declaration.pop("snakefile"))
        return Instrument(Caller.of(Workflow(path, **declaration), Path(path).name))
    if source is None:
        source = Command(**declaration)
    elif declaration:
        raise UsageError(f"got {sorted(declaration)} beside a declaration; expected them in it; put them there")
    declared = source if isinstance(source, Command) else Command.from_toml(source)
    declared.check([])
    function: Any = Together(declared) if declared.batch else OneByOne((declared,))
    return Instrument(Caller.of(function, declared.name))
