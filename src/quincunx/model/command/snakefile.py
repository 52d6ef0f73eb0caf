"""A Snakefile as a simulator: one run of Snakemake a batch, with the simulation's number as the wildcard `i`."""

import importlib.util
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from quincunx.errors import DataFileError, MissingExtra, SimulationFailed, SomeFailed, UsageError
from quincunx.model.command.environment import seen
from quincunx.model.command.output import Output
from quincunx.model.command.parameter_file import ONE, Point
from quincunx.model.command.placeholder import placeholders, render
from quincunx.model.command.process import Limits, run_process
from quincunx.model.command.scratch import KEEP, Keep, scratch, tail, writing
from quincunx.model.design import design_at
from quincunx.model.outcome import Observables
from quincunx.model.prior import Prior
from quincunx.model.simulator import Simulator
from quincunx.notebook import from_fields
from quincunx.values import register

__all__ = ["Workflow", "snakemake"]

_SEED_END = 2**31
_CONFIG = "quincunx_config.json"
_EVENTS = "{events}"


@register("snakemake")
@dataclass(frozen=True, eq=False)
class Workflow:
    """A Snakefile and how a batch of simulations is handed to it.

    For simulation i of a batch of `config["count"]`, `parameters/{i}.json` holds theta, design and seed, as the format
    json of an `Input` does. Its outputs are asked for by name, with `{i}` in their paths, so no rule needs to list them.

    A value `"{events}"` in `config` is the number of independent events that every simulation is to make: its outputs then have one row
    for each, and `shape` is that of one. It is asked for one unless more are wanted.

    Raises:
        UsageError: for an output without `{i}`, or a configuration key that Snakemake does not pass on: keys have two
        letters or more, and are names.
        DataFileError: if there is no such Snakefile.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "Snakefile"
    >>> _ = path.write_text("rule one: ...")
    >>> Workflow(str(path), {"x": "results/{i}.json"}).outputs["x"].reader
    'json'
    """

    kind: ClassVar[str]

    snakefile: str
    outputs: Mapping[str, Any]
    config: Mapping[str, Any] = field(default_factory=dict)
    cores: int = 1
    inherit: Sequence[str] = ()
    timeout: float | int | None = None
    keep: Keep = "never"
    scratch: str | None = None

    def __post_init__(self) -> None:
        path = Path(self.snakefile).resolve()
        if not path.is_file():
            raise DataFileError(f"got '{self.snakefile}', which is not a file; expected a Snakefile; check the path")
        outputs = {name: Output.of(given) for name, given in self.outputs.items()}
        for name, output in outputs.items():
            if placeholders(output.path, f"the output '{name}'") != ("i",):
                raise UsageError(
                    f"got the output '{name}' at '{output.path}'; expected {{i}}, the simulation's number, once in it; "
                    f"write for example results/{{i}}.json"
                )
        if not outputs or self.keep not in KEEP or self.cores < 1:
            raise UsageError(
                f"got outputs {list(outputs)}, keep={self.keep!r} and cores={self.cores}; expected an output, keep among "
                f"{', '.join(KEEP)}, and a core; correct them"
            )
        bad = [key for key in self.config if len(key) < 2 or not key.isidentifier() or key == "count"]
        if bad:
            raise UsageError(
                f"got the configuration keys {bad}; expected names of two letters or more, which Snakemake passes on to "
                "its jobs, and not 'count', which is the number of simulations; rename them"
            )
        changed = {
            "snakefile": str(path),
            "outputs": outputs,
            "config": dict(self.config),
            "inherit": tuple(self.inherit),
        }
        for name, value in changed.items():
            object.__setattr__(self, name, MappingProxyType(value) if isinstance(value, dict) else value)

    @property
    def makes_events(self) -> bool:
        """Whether each simulation of a call makes as many events as it is asked for."""
        return _EVENTS in self.config.values()

    def __call__(
        self, theta: Mapping[str, Any], *, rngs: Sequence[np.random.Generator], design: Any = None, events: int = 1
    ) -> Any:
        """Outcomes along a first axis; where it is told the number of events, these along a second.

        Raises:
            SimulationFailed: if the run ends before its time or without an end.
            SomeFailed: if some of its simulations have no outcome.
        """
        count = events if self.makes_events else None
        points = [
            Point(
                {name: value[i] for name, value in theta.items()},
                design_at(design, i),
                int(rng.integers(1, _SEED_END)),
                count,
            )
            for i, rng in enumerate(rngs)
        ]
        with scratch(self.scratch, "snakemake", self.keep) as folder:
            said = self._run(points, folder)
            rows, failures = self._read(len(points), folder, said, count)
            if failures and len(points) == 1:
                raise failures[0]
        if len(failures) == len(points):
            raise SomeFailed(None, failures)
        template = next(row for row in rows if row is not None)
        missing = {name: np.full_like(array, np.nan) for name, array in template.items()}
        x = {name: np.stack([(row or missing)[name] for row in rows]) for name in self.outputs}
        outcome = next(iter(x.values())) if len(x) == 1 else x
        if failures:
            raise SomeFailed(outcome, failures)
        return outcome

    def _run(self, points: Sequence[Point], folder: Path) -> str:
        """Run Snakemake for a batch, and return what it said of jobs that failed, or nothing."""
        with writing(folder):
            (folder / "parameters").mkdir()
            for i, point in enumerate(points):
                (folder / "parameters" / f"{i}.json").write_text(ONE["json"](point), encoding="utf-8")
            told = {name: points[0].events if value == _EVENTS else value for name, value in self.config.items()}
            (folder / _CONFIG).write_text(json.dumps({**told, "count": len(points)}), encoding="utf-8")
        targets = [
            render(output.path, {"i": str(i)}, "outputs")
            for i in range(len(points))
            for output in self.outputs.values()
        ]
        argv = [sys.executable, "-m", "snakemake", "--snakefile", self.snakefile, "--directory", str(folder)]
        argv += ["--cores", str(self.cores), "--configfile", str(folder / _CONFIG), "--keep-going", "--quiet", "all"]
        limits = Limits(self.timeout)
        ended = run_process([*argv, "--", *targets], folder=folder, variables=seen(self.inherit, {}), limits=limits)
        said = tail(folder / "stderr") or tail(folder / "stdout")
        if ended.outcome in ("timeout", "oom", "signal"):
            raise SimulationFailed(ended.outcome, ended.said(limits), said)
        return said if ended.code else ""

    def _read(
        self, n: int, folder: Path, said: str, events: int | None
    ) -> tuple[list[dict[str, np.ndarray] | None], dict[int, SimulationFailed]]:
        rows: list[dict[str, np.ndarray] | None] = []
        failures = {}
        for i in range(n):
            files = {
                name: Output(render(output.path, {"i": str(i)}, "outputs"), output.reader, output.select, output.shape)
                for name, output in self.outputs.items()
            }
            try:
                if said and not all((folder / output.path).is_file() for output in files.values()):
                    raise SimulationFailed("failed", f"a job of simulation {i} of the batch failed", said)
                rows.append({name: output.read(folder, events=events) for name, output in files.items()})
            except SimulationFailed as failure:
                rows.append(None)
                failures[i] = failure
        return rows, failures

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        spec = {each.name: getattr(self, each.name) for each in fields(self)}
        outputs = {name: output.to_spec() for name, output in self.outputs.items()}
        return {**spec, "outputs": outputs, "config": dict(self.config), "inherit": list(self.inherit)}, {}

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Workflow":
        return cls(**spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Workflow) and self.to_state() == other.to_state()

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_state()[0], sort_keys=True))

    _repr_html_ = from_fields


def snakemake(
    prior: Prior,
    snakefile: str | os.PathLike[str],
    *,
    outputs: Mapping[str, Any],
    name: str | None = None,
    version: str = "0",
    units: Mapping[str, str] | str | None = None,
    observables: Observables = None,
    **options: Any,
) -> Simulator:
    """Make a Snakefile a simulator, with the simulation's number as the wildcard `i`.

    A rule reads `parameters/{i}.json` (theta, design and seed) and makes the outputs, whose paths hold `{i}`; where its
    inputs come from other rules, those are run too. One run of Snakemake, which takes about two seconds to start, makes
    a batch. `options` are the fields of `Workflow`: config, cores, inherit, timeout (seconds a batch), keep and scratch.

    Raises:
        MissingExtra: if Snakemake is not installed.
        UsageError, DataFileError: as `Workflow`.

    >>> import numpyro.distributions as dist
    >>> snakemake(Prior(a=dist.Normal(0.0, 1.0)), "no/Snakefile", outputs={"x": "{i}.json"})
    Traceback (most recent call last):
        ...
    quincunx.errors...
    """
    if importlib.util.find_spec("snakemake") is None:
        raise MissingExtra("snakemake", "a Snakefile as simulator")
    function = Workflow(os.fspath(snakefile), outputs, **options)
    own_name = name or Path(snakefile).resolve().parent.name
    return Simulator(function, prior, name=own_name, version=version, units=units, observables=observables)
