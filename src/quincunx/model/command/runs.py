"""Commands as functions from parameters to outcomes, which any process can be sent as plain data."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from quincunx.errors import SimulationFailed, UsageError
from quincunx.model.command.cache import Cache
from quincunx.model.command.declaration import Command
from quincunx.model.command.key import key_of
from quincunx.model.command.parameter_file import Point
from quincunx.model.command.placeholder import placeholders
from quincunx.model.command.scratch import scratch, tail
from quincunx.model.command.stage import carry_out
from quincunx.model.design import design_at
from quincunx.notebook import from_fields
from quincunx.values import register

__all__ = ["OneByOne", "Together"]

_SEED_END = 2**31


@register("commands")
@dataclass(frozen=True)
class OneByOne:
    """One or more commands, one after another, as a plain simulator of one simulation at a time.

    Each stage has a seed of its own, drawn from the simulation's generator, and a key that includes the one before. Where a stage is told
    `{events}`, the outcome has them along its first axis.

    >>> shout = Command(["echo", "{beta}"], {"x": {"path": "stdout", "reader": "regex", "select": ".+"}})
    >>> OneByOne((shout,))({"beta": 0.5}, rng=np.random.default_rng(0))
    array(0.5)
    """

    kind: ClassVar[str]

    stages: tuple[Command, ...]

    @property
    def makes_events(self) -> bool:
        """Whether one call makes as many events as it is asked for."""
        return any(stage.makes_events for stage in self.stages)

    def __call__(
        self, theta: Mapping[str, Any], *, rng: np.random.Generator, design: Any = None, events: int = 1
    ) -> Any:
        """The outcome: an array, or a dict of arrays where the last stage has several outputs."""
        _check_settings(self.stages, design)
        count = events if self.makes_events else None
        points = [Point(theta, design, int(rng.integers(1, _SEED_END)), count) for _ in self.stages]
        with ExitStack() as open_folders:
            files: dict[str, Path] = {}
            key: str | None = None
            for command, point in zip(self.stages[:-1], points):
                key = key_of(command, point, upstream=key, last=False)
                files = _files_of(command, point, files, key, open_folders)
            key = key_of(self.stages[-1], points[-1], upstream=key)
            return _one_or_dict(_arrays_of(self.stages[-1], points[-1], files, key))

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return {"stages": [stage.to_state()[0] for stage in self.stages]}, {}

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "OneByOne":
        return cls(tuple(Command.from_state(stage, {}) for stage in spec["stages"]))

    _repr_html_ = from_fields


@register("command_batch")
@dataclass(frozen=True)
class Together:
    """A batch command as a plain simulator of many simulations at once; what the cache has is not run again.

    Where it is told `{events}`, the outcomes have them along their second axis.
    """

    kind: ClassVar[str]

    command: Command

    @property
    def makes_events(self) -> bool:
        """Whether each simulation of a call makes as many events as it is asked for."""
        return self.command.makes_events

    def __call__(
        self, theta: Mapping[str, Any], *, rngs: Sequence[np.random.Generator], design: Any = None, events: int = 1
    ) -> Any:
        """Outcomes along a first axis."""
        count = events if self.makes_events else None
        points = [
            Point({name: value[i] for name, value in theta.items()}, design_at(design, i), _seed(rng), count)
            for i, rng in enumerate(rngs)
        ]
        cache = None if self.command.cache is None else Cache(self.command.cache)
        keys = [key_of(self.command, point) for point in points]
        rows = [None if cache is None else cache.arrays(key) for key in keys]
        missing = [i for i, row in enumerate(rows) if row is None]
        if missing:
            made = self._run([points[i] for i in missing], keys[missing[0]])
            for place, i in enumerate(missing):
                rows[i] = {name: array[place] for name, array in made.items()}
                if cache is not None:
                    cache.put_arrays(keys[i], rows[i] or {})
        found = [row for row in rows if row is not None]
        return _one_or_dict({name: np.stack([row[name] for row in found]) for name in self.command.outputs})

    def _run(self, points: Sequence[Point], key: str) -> dict[str, np.ndarray]:
        command = self.command
        with scratch(command.scratch, key[:12], command.keep) as folder:
            carry_out(command, points, {}, folder)
            return _read(command, folder, len(points), points[0].events)

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return self.command.to_state()

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Together":
        return cls(Command.from_state(spec, arrays))

    _repr_html_ = from_fields


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1, _SEED_END))


def _one_or_dict(arrays: Mapping[str, np.ndarray]) -> Any:
    return next(iter(arrays.values())) if len(arrays) == 1 else dict(arrays)


def _arrays_of(command: Command, point: Point, upstream: Mapping[str, Path], key: str) -> dict[str, np.ndarray]:
    cache = None if command.cache is None else Cache(command.cache)
    found = None if cache is None else cache.arrays(key)
    if found is not None:
        return found
    with scratch(command.scratch, key[:12], command.keep) as folder:
        carry_out(command, [point], upstream, folder)
        arrays = _read(command, folder, None, point.events)
    if cache is not None:
        cache.put_arrays(key, arrays)
    return arrays


def _files_of(
    command: Command, point: Point, upstream: Mapping[str, Path], key: str, open_folders: ExitStack
) -> dict[str, Path]:
    cache = None if command.cache is None else Cache(command.cache)
    found = None if cache is None else cache.files(key)
    if found is not None:
        return found
    folder = open_folders.enter_context(scratch(command.scratch, key[:12], command.keep))
    carry_out(command, [point], upstream, folder)
    files = {name: output.find(folder) for name, output in command.outputs.items()}
    if cache is not None:
        cache.put_files(key, files)
    return files


def _read(command: Command, folder: Path, rows: int | None, events: int | None) -> dict[str, np.ndarray]:
    try:
        return {name: output.read(folder, rows, events) for name, output in command.outputs.items()}
    except SimulationFailed as failure:
        raise SimulationFailed(failure.outcome, failure.detail, tail(folder / "stderr")) from failure


def _check_settings(stages: Sequence[Command], design: Mapping[str, Any] | None) -> None:
    """Refuse settings that would reach no program."""
    unused = [name for name in design or {} if not any(reaches(command, f"design.{name}") for command in stages)]
    if unused:
        raise UsageError(
            f"got the design settings {unused}, which reach no program; expected them in a template as "
            f"{{design.{unused[0]}}}, in an input file with a format, or by a prefix; add them there"
        )


def reaches(command: Command, name: str) -> bool:
    """Whether a parameter or setting gets to the program: by a placeholder, a file of all of them, or variables.

    >>> reaches(Command(["true", "{beta}"], {"x": "x.json"}), "beta")
    True
    """
    if command.prefix is not None or any(file.format is not None for file in command.inputs.values()):
        return True
    asked = [each for template, where in command.templates() for each in placeholders(template, where)]
    return any(each.removeprefix("theta.").split("[")[0] == name for each in asked)
