"""Simulations: parameters, outcomes, settings and failures, row by row, in plain NumPy arrays."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt8

from quincunx import values
from quincunx.errors import (
    DataFileError,
    MissingExtra,
    ShapeMismatch,
    UnsupportedPrior,
)
from quincunx.model.outcome import Outcome, flatten_outcome
from quincunx.model.prior import Prior, check_names, columns_of
from quincunx.notebook import card
from quincunx.run.files import group_of, read_npz, write_npz
from quincunx.run.status import NON_FINITE, OK, RAISED, counted
from quincunx.values import pack, register, unpack

__all__ = ["NON_FINITE", "OK", "RAISED", "Simulations"]

Named = Mapping[str, Shaped[np.ndarray, "..."]]


@register("simulations")
@dataclass(frozen=True, eq=False, repr=False)
class Simulations:
    """N simulations: `theta` by name (N, ...), `x` (N, ...) or a dict of such, and how each went in `status` (see
    `quincunx.run.status` for its codes).

    With `events`, `x` is (N, k, ...): k independent outcomes for each theta. `index` numbers the simulations within
    their run, so that any one can be run again from its key. `design` holds the settings with a leading axis of N.
    `gold` and `latents` hold what some simulators tell about their inside. `messages` maps rows that failed to what
    they said (the first thousand). `stopped` is "interrupted" when Ctrl-C ended the run early.

    Raises:
        ShapeMismatch: if the leading axes differ.

    >>> sims = Simulations.of({"mu": np.zeros(3)}, np.ones((3, 2)))
    >>> sims
    Simulations: 3, none failed
      theta  mu ()
      x      (2,)
    >>> len(sims[:2]), sims.x_flat().shape
    (2, (3, 2))
    """

    kind: ClassVar[str]

    theta: Named
    x: Any
    status: UInt8[np.ndarray, " n"]
    index: Int[np.ndarray, " n"]
    outcome: Outcome
    prior: Prior | None = None
    design: Named | None = None
    gold: Named | None = None
    latents: Named | None = None
    events: bool = False
    simulator: str = ""
    messages: Mapping[int, str] | None = None
    stopped: str | None = None

    def __post_init__(self) -> None:
        if self.messages is None:
            object.__setattr__(self, "messages", {})
        n = len(self.status)
        lengths = {"index": len(self.index)}
        for group in ("theta", "x", "design", "gold", "latents"):
            part = getattr(self, group)
            named = part if isinstance(part, Mapping) else {} if part is None else {"": part}
            lengths.update({f"{group} {name}".strip(): len(array) for name, array in named.items()})
        wrong = {name: length for name, length in lengths.items() if length != n}
        if wrong:
            raise ShapeMismatch(f"got leading axes {wrong}; expected {n}, one row for each simulation; reshape them")

    @classmethod
    def of(
        cls,
        theta: Mapping[str, Any],
        x: Any,
        *,
        prior: Prior | None = None,
        design: Mapping[str, Any] | None = None,
        gold: Mapping[str, Any] | None = None,
        latents: Mapping[str, Any] | None = None,
        events: bool = False,
        simulator: str = "",
    ) -> "Simulations":
        """Simulations run elsewhere, from arrays with the same leading axis; rows with NaN count as failed."""
        if prior is not None:
            check_names(list(theta), prior.names, "parameters")
        named = {name: np.asarray(value, np.float32) for name, value in theta.items()}
        x = jax.tree.map(lambda a: np.asarray(a, np.float32), dict(x) if isinstance(x, Mapping) else x)
        first = 2 if events else 1
        x = jax.tree.map(lambda a: a[..., None] if a.ndim == first else a, x)
        flat = flatten_outcome(x, first)
        n = len(flat)
        status = np.where(np.isfinite(flat).reshape(n, -1).all(axis=1), OK, NON_FINITE).astype(np.uint8)
        outcome = Outcome.of(jax.tree.map(lambda a: np.empty(a.shape[first:]), x))
        settings, mined, inside = (
            None if group is None else {name: np.asarray(value) for name, value in group.items()}
            for group in (design, gold, latents)
        )
        index = np.arange(n)
        return cls(named, x, status, index, outcome, prior, settings, mined, inside, events=events, simulator=simulator)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names."""
        return self.prior.names if self.prior is not None else tuple(self.theta)

    @property
    def columns(self) -> tuple[str, ...]:
        """A name for each flat parameter."""
        return tuple(c for name in self.names for c in columns_of(name, self.theta[name].shape[1:]))

    @property
    def failed(self) -> Bool[np.ndarray, " n"]:
        """Which rows have no finite outcome."""
        return self.status != OK

    @property
    def failure_rate(self) -> float:
        """The share of rows without a finite outcome."""
        return float(np.mean(self.failed)) if len(self) else 0.0

    def __len__(self) -> int:
        return len(self.status)

    def theta_flat(self) -> Float[np.ndarray, "n dim"]:
        """Parameters as one array, in the order of `columns`."""
        n = len(self)
        parts = [np.asarray(self.theta[name]).reshape(n, -1) for name in self.names]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def x_flat(self) -> Float[np.ndarray, "n ..."]:
        """Outcomes as one array (N, dim_x), or (N, k, dim_x) for sets of k events; no copy where x is flat already."""
        return np.asarray(flatten_outcome(self.x, 2 if self.events else 1))

    def valid(self) -> "Simulations":
        """The rows with a finite outcome."""
        return self if not self.failed.any() else self[~self.failed]

    def at_theta(self) -> "Simulations":
        """The rows whose outcome was drawn at their theta: all but those that were drawn from the reference of a ratio.

        >>> mined = Simulations.of({"a": np.zeros(3)}, np.ones((3, 2)), gold={"label": np.array([1.0, 0.0, 1.0])})
        >>> len(mined.at_theta())
        2
        """
        if self.gold is None or "label" not in self.gold:
            return self
        own = np.asarray(self.gold["label"]) == 1
        return self if own.all() else self[own]

    def failures(self) -> dict[str, dict[str, float]]:
        """For each parameter: its median where simulations worked and where they failed, and the chance that a failed
        one lies above a working one (0.5 when failing has nothing to do with it).

        >>> sims = Simulations.of({"a": np.arange(4.0)}, np.array([1.0, 1.0, np.nan, np.nan]))
        >>> sims.failures()["a"]
        {'worked': 0.5, 'failed': 2.5, 'above': 1.0}
        """
        bad = self.failed
        if not bad.any() or bad.all():
            return {}
        table = {}
        for column, values_ in zip(self.columns, self.theta_flat().T):
            ordered = np.sort(values_[~bad])
            below = np.searchsorted(ordered, values_[bad], "left")
            upto = np.searchsorted(ordered, values_[bad], "right")
            above = float(np.mean(0.5 * (below + upto)) / len(ordered))
            table[column] = {
                "worked": float(np.median(ordered)),
                "failed": float(np.median(values_[bad])),
                "above": above,
            }
        return table

    def __getitem__(self, rows: slice | Shaped[np.ndarray, " m"] | list[int]) -> "Simulations":
        def take(part: Any) -> Any:
            return None if part is None else jax.tree.map(lambda a: a[rows], part)

        kept = np.arange(len(self))[rows]
        messages = self.messages or {}
        where = {int(old): new for new, old in enumerate(kept)} if messages else {}
        changed = {name: take(_plain(getattr(self, name))) for name in ("theta", "x", "design", "gold", "latents")}
        return replace(
            self,
            **changed,
            status=self.status[rows],
            index=self.index[rows],
            messages={where[row]: text for row, text in messages.items() if row in where},
        )

    def concatenate(self, *others: "Simulations") -> "Simulations":
        """These rows and then those of the others.

        Raises:
            NameMismatch: if parameters, entries of x or settings have other names.
            ShapeMismatch: if outcomes have other shapes.

        >>> sims = Simulations.of({"a": np.zeros(3)}, np.ones((3, 2)))
        >>> len(Simulations.concatenate(sims, sims))
        6
        """
        for other in others:
            check_names(sorted(other.theta), sorted(self.theta), "parameters")
            if self.events != other.events or self.outcome.shapes != other.outcome.shapes:
                raise ShapeMismatch(
                    f"got outcomes {other.outcome} (events: {other.events}); expected {self.outcome} (events: "
                    f"{self.events}); "
                    "join simulations of one simulator"
                )
            for group in ("design", "gold", "latents"):
                mine, theirs = getattr(self, group), getattr(other, group)
                check_names(sorted(theirs or {}), sorted(mine or {}), group)
        parts = (self, *others)
        changed = {
            name: jax.tree.map(lambda *a: _join(a), *[_plain(getattr(part, name)) for part in parts])
            for name in ("theta", "x", "design", "gold", "latents")
        }
        starts = np.cumsum([0, *[len(part) for part in parts[:-1]]])
        messages = {
            int(start) + row: text for start, part in zip(starts, parts) for row, text in (part.messages or {}).items()
        }
        return replace(
            self,
            **changed,
            status=np.concatenate([part.status for part in parts]),
            index=np.concatenate([part.index for part in parts]),
            messages=messages,
            stopped=parts[-1].stopped,
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write to a file; with the ending `.npz`, to one that any NumPy can open (see `write_npz`)."""
        return write_npz(self, Path(path)) if Path(path).suffix == ".npz" else values.save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Simulations":
        """Read what `save` wrote, or any `.npz` with arrays named `theta/<name>` and `x` or `x/<name>`.

        Raises:
            DataFileError: if there is no such file, or its arrays have other names.
            CorruptFile, UnsafeFile, SchemaTooNew: as `quincunx.load`.
        """
        if Path(path).suffix != ".npz":
            return values.load(path)
        spec, arrays = read_npz(Path(path))
        if spec is not None:
            return cls.from_state(spec, arrays)
        theta, x = group_of(arrays, "theta"), group_of(arrays, "x") or arrays.get("x")
        if not theta or x is None:
            raise DataFileError(
                f"'{path}' holds {sorted(arrays)}; expected arrays named theta/<parameter> and x (or x/<entry>); "
                "rename them"
            )
        return cls.of(theta, x)

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        arrays: dict[str, np.ndarray] = {"status": self.status, "index": self.index}
        repeated = []
        for group in ("theta", "x", "design", "gold", "latents"):
            part = getattr(self, group)
            named = part if isinstance(part, Mapping) else {} if part is None else {None: part}
            for name, array in named.items():
                path = group if name is None else f"{group}/{name}"
                if len(self) > 1 and array.strides[0] == 0:
                    repeated.append(path)
                    array = array[:1]
                arrays[path] = array
        spec: dict[str, Any] = {
            "outcome": pack(self.outcome, "outcome")[0],
            "names": list(self.theta),
            "groups": [g for g in ("design", "gold", "latents") if getattr(self, g) is not None],
            "repeated": repeated,
            "events": self.events,
            "simulator": self.simulator,
            "messages": {str(row): text for row, text in (self.messages or {}).items()},
            "stopped": self.stopped,
            "prior": None,
        }
        if self.prior is not None:
            try:
                spec["prior"], own = pack(self.prior, "prior")
                arrays.update(own)
            except UnsupportedPrior:
                # Simulations outlive a prior that cannot be written down; whoever needs it passes it again.
                spec["prior"] = None
        return spec, arrays

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Simulations":
        status = arrays["status"]
        arrays = dict(arrays)
        for path in spec["repeated"]:
            arrays[path] = np.broadcast_to(arrays[path], (len(status), *arrays[path].shape[1:]))
        groups = {group: group_of(arrays, group) for group in spec["groups"]}
        outcome = unpack(spec["outcome"], arrays, "outcome")
        theta = group_of(arrays, "theta")
        return cls(
            {name: theta[name] for name in spec["names"]},
            group_of(arrays, "x") if outcome.keyed else arrays["x"],
            status,
            arrays["index"],
            outcome,
            unpack(spec["prior"], arrays, "prior") if spec["prior"] is not None else None,
            **groups,
            events=spec["events"],
            simulator=spec["simulator"],
            messages={int(row): text for row, text in spec["messages"].items()},
            stopped=spec["stopped"],
        )

    def to_pandas(self) -> Any:
        """A pandas DataFrame: parameters, outcome columns and status; sets of events take one row for each event.

        Raises:
            MissingExtra: if pandas is not installed.
        """
        try:
            import pandas
        except ModuleNotFoundError as error:
            raise MissingExtra("pandas", "a data frame") from error
        x = self.x_flat()
        repeats = x.shape[1] if self.events else 1
        columns: dict[str, np.ndarray] = {"simulation": np.repeat(self.index, repeats)}
        if self.events:
            columns["event"] = np.tile(np.arange(repeats), len(self))
        columns.update(zip(self.columns, np.repeat(self.theta_flat(), repeats, axis=0).T))
        columns.update(zip(self.outcome.columns, x.reshape(-1, x.shape[-1]).T))
        return pandas.DataFrame({**columns, "status": np.repeat(self.status, repeats)})

    def _rows(self) -> list[tuple[str, str]]:
        rows = [("theta", ", ".join(f"{name} {self.theta[name].shape[1:]}" for name in self.names))]
        shapes = self.outcome.shapes
        many = f", sets of {self._events_each()} events" if self.events else ""
        said = (
            ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            if self.outcome.keyed
            else str(next(iter(shapes.values())))
        )
        rows.append(("x", said + many))
        for group in ("design", "gold", "latents"):
            if getattr(self, group) is not None:
                rows.append((group, ", ".join(getattr(self, group))))
        if self.failed.any():
            rows.append(("failed", f"{int(self.failed.sum())}: {counted(self.status)}"))
        if self.stopped:
            rows.append(("stopped", self.stopped))
        return rows

    def _events_each(self) -> int:
        first = next(iter(self.x.values())) if isinstance(self.x, Mapping) else self.x
        return first.shape[1]

    def _title(self) -> str:
        bad = f"{100 * self.failure_rate:.3g} % failed" if self.failed.any() else "none failed"
        return f"Simulations{f' of {self.simulator}' if self.simulator else ''}: {len(self)}, {bad}"

    def __repr__(self) -> str:
        return "\n".join([self._title(), *[f"  {name.ljust(5)}  {said}" for name, said in self._rows()]])

    def _repr_html_(self) -> str:
        return card(self._title(), facts=self._rows())


def _plain(part: Any) -> Any:
    return dict(part) if isinstance(part, Mapping) else part


def _join(arrays: tuple[np.ndarray, ...]) -> np.ndarray:
    first = arrays[0]
    same = all(len(a) and a.strides[0] == 0 and a.shape[1:] == first.shape[1:] for a in arrays)
    if same and all(np.array_equal(a[0], first[0]) for a in arrays):
        return np.broadcast_to(first[0], (sum(map(len, arrays)), *first.shape[1:]))
    return np.concatenate(arrays)
