"""The settings that an experiment can be run at: intervals, levels, and constraints on them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray
from scipy.stats import qmc

from quincunx.errors import DesignOutsideSpace, UsageError
from quincunx.model.prior import check_names
from quincunx.notebook import card
from quincunx.values import as_key

__all__ = ["Space", "design_rows", "stack_designs"]

Constraint = Callable[[dict[str, float]], bool]


@dataclass(frozen=True, init=False, repr=False)
class Space:
    """A box of settings: `energy=(40.0, 50.0)` an interval, `kind=["a", "b"]` levels, `constraints` functions of a design that hold in it.

    A tuple of two numbers is an interval; a list holds levels: numbers, or names, which stand for 0, 1, ... because designs are numbers.
    Designs are dicts {name: number}, many of them a dict of arrays of one length.

    Raises:
        UsageError: for a setting that is neither, or an empty interval.

    >>> space = Space(energy=(40.0, 50.0), kind=["a", "b"])
    >>> space
    Space(energy in [40, 50], kind one of a, b)
    >>> space.grid(3)["energy"].tolist()
    [40.0, 40.0, 45.0, 45.0, 50.0, 50.0]
    >>> space.label({"energy": 45.0, "kind": 1.0})
    'energy = 45, kind = b'
    """

    bounds: tuple[tuple[str, tuple[float, float] | tuple[float, ...]], ...]
    labels: tuple[tuple[str, tuple[str, ...]], ...]
    continuous: tuple[str, ...]
    constraints: tuple[Constraint, ...]

    def __init__(
        self, settings: Mapping[str, Any] | None = None, /, *, constraints: Sequence[Constraint] = (), **named: Any
    ):
        given = {**(settings or {}), **named}
        if not given:
            raise UsageError("got a space without settings; expected at least one; write Space(dose=(0.0, 10.0))")
        bounds, labels, continuous = [], [], []
        for name, said in given.items():
            if isinstance(said, tuple) and len(said) == 2 and not any(isinstance(end, str) for end in said):
                low, high = float(said[0]), float(said[1])
                if not (np.isfinite(low) and np.isfinite(high) and low < high):
                    raise UsageError(f"got {name}={said}; expected finite bounds (low, high) with low < high")
                bounds.append((name, (low, high)))
                continuous.append(name)
                continue
            if isinstance(said, (str, Mapping)) or not isinstance(said, (Sequence, np.ndarray)) or not len(said):
                raise UsageError(f"got {name}={said!r}; expected (low, high), or a list of levels")
            if all(isinstance(level, str) for level in said):
                labels.append((name, tuple(said)))
                bounds.append((name, tuple(float(i) for i in range(len(said)))))
            else:
                bounds.append((name, tuple(float(level) for level in said)))
        object.__setattr__(self, "bounds", tuple(bounds))
        object.__setattr__(self, "labels", tuple(labels))
        object.__setattr__(self, "continuous", tuple(continuous))
        object.__setattr__(self, "constraints", tuple(constraints))

    @property
    def names(self) -> tuple[str, ...]:
        """The settings, in order."""
        return tuple(name for name, _ in self.bounds)

    @property
    def dim(self) -> int:
        """How many settings there are."""
        return len(self.bounds)

    def grid(self, n: int) -> dict[str, Float[np.ndarray, " m"]]:
        """n points of every interval with every level, those that the constraints allow: a dict of arrays.

        Raises:
            DesignOutsideSpace: if the constraints allow none.
        """
        axes = [np.linspace(*ends, n) if name in self.continuous else np.asarray(ends) for name, ends in self.bounds]
        mesh = np.stack([part.ravel() for part in np.meshgrid(*axes, indexing="ij")], axis=1)
        return self._allowed(mesh)

    def sobol(self, n: int, *, key: PRNGKeyArray | int = 0) -> dict[str, Float[np.ndarray, " m"]]:
        """n points of a scrambled Sobol sequence, fewer where the constraints allow fewer. Raises: as `grid`."""
        seed = np.random.default_rng(np.asarray(jax.random.key_data(as_key(key))))
        unit = qmc.Sobol(self.dim, rng=seed).random(1 << max(0, int(n) - 1).bit_length())[:n]
        return self._allowed(np.stack([self._from_unit(name, u) for (name, _), u in zip(self.bounds, unit.T)], axis=1))

    def from_unit(self, u: Float[np.ndarray, "*batch k"]) -> dict[str, Float[np.ndarray, "*batch"]]:
        """Points of the unit cube, an axis a setting, as designs."""
        return {name: self._from_unit(name, u[..., i]) for i, (name, _) in enumerate(self.bounds)}

    def to_unit(self, design: Mapping[str, Any]) -> Float[np.ndarray, "*batch k"]:
        """Designs as points of the unit cube; levels at the middle of their share."""
        parts = []
        for name, ends in self.bounds:
            value = np.asarray(design[name], np.float64)
            if name in self.continuous:
                parts.append((value - ends[0]) / (ends[1] - ends[0]))
            else:
                near = np.argmin(np.abs(value[..., None] - np.asarray(ends)), axis=-1)
                parts.append((near + 0.5) / len(ends))
        return np.stack(parts, axis=-1)

    def allows(self, design: Mapping[str, Any]) -> bool:
        """Whether a design is in the box and meets the constraints."""
        return self._why_not(design) is None

    def check(self, design: Mapping[str, Any]) -> dict[str, float]:
        """The design as plain numbers.

        Raises:
            NameMismatch: for missing or unknown settings. DesignOutsideSpace: for a value outside, saying of which setting.
        """
        check_names(list(design), self.names, "settings")
        why = self._why_not(design)
        if why is not None:
            raise DesignOutsideSpace(f"got {why}; expected a design in {self!r}; choose another, or widen the space")
        return {name: float(design[name]) for name in self.names}

    def same(self, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
        """Whether two designs differ by no more than rounding, so that a number that was typed is the one that was computed.

        >>> Space(level=(0.0, 1.0)).same({"level": 0.3}, {"level": 0.1 + 0.2})
        True
        """
        return bool(np.all(np.abs(self.to_unit(one) - self.to_unit(other)) <= 1e-6))

    def edges(self, design: Mapping[str, Any]) -> tuple[str, ...]:
        """The continuous settings that are at an end of their interval."""
        found = []
        for name, ends in self.bounds:
            slack = 1e-6 * (ends[-1] - ends[0])
            if name in self.continuous and (design[name] <= ends[0] + slack or design[name] >= ends[-1] - slack):
                found.append(name)
        return tuple(found)

    def label(self, design: Mapping[str, Any]) -> str:
        """A design in words, with the names of levels."""
        names = dict(self.labels)
        return ", ".join(
            f"{name} = {names[name][round(float(design[name]))] if name in names else format(float(design[name]), '.6g')}"
            for name in self.names
        )

    def _why_not(self, design: Mapping[str, Any]) -> str | None:
        for name, ends in self.bounds:
            value, slack = float(design[name]), 1e-6 * max(1.0, abs(ends[0]), abs(ends[-1]))
            near = np.min(np.abs(np.asarray(ends) - value)) <= slack
            inside = ends[0] - slack <= value <= ends[-1] + slack if name in self.continuous else near
            if not inside:
                return f"{name} = {value:.6g}"
        plain = {name: float(design[name]) for name in self.names}
        return (
            None
            if all(holds(plain) for holds in self.constraints)
            else f"{self.label(plain)}, which a constraint forbids"
        )

    def _from_unit(self, name: str, u: Any) -> np.ndarray:
        ends = np.asarray(dict(self.bounds)[name])
        if name in self.continuous:
            return ends[0] + (ends[1] - ends[0]) * np.asarray(u, np.float64)
        return ends[np.minimum((np.asarray(u) * len(ends)).astype(int), len(ends) - 1)]

    def _allowed(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        kept = [row for row in rows if all(holds(dict(zip(self.names, map(float, row)))) for holds in self.constraints)]
        if not kept:
            raise DesignOutsideSpace(
                f"got constraints that allow none of {len(rows)} designs of {self!r}; expected some; loosen them, or take more points"
            )
        return {name: np.asarray(column) for name, column in zip(self.names, np.stack(kept).T)}

    def __repr__(self) -> str:
        names = dict(self.labels)
        said = [
            f"{name} in [{ends[0]:g}, {ends[1]:g}]"
            if name in self.continuous
            else f"{name} one of {', '.join(names.get(name, tuple(f'{level:g}' for level in ends)))}"
            for name, ends in self.bounds
        ]
        held = f"; {len(self.constraints)} constraint(s)" if self.constraints else ""
        return f"Space({', '.join(said)}{held})"

    def _repr_html_(self) -> str:
        names = dict(self.labels)
        body = [
            [name, "interval", f"{ends[0]:g} to {ends[1]:g}"]
            if name in self.continuous
            else [name, "levels", ", ".join(names.get(name, tuple(f"{level:g}" for level in ends)))]
            for name, ends in self.bounds
        ]
        held = [("constraints", str(len(self.constraints)))] if self.constraints else []
        return card(f"Space of {len(body)} settings", facts=held, head=["setting", "kind", "values"], body=body)


def stack_designs(designs: Sequence[Mapping[str, Any]]) -> dict[str, Float[np.ndarray, " m"]]:
    """A sequence of designs as one dict of arrays."""
    return {name: np.asarray([float(design[name]) for design in designs]) for name in designs[0]}


def design_rows(designs: Mapping[str, Any]) -> list[dict[str, float]]:
    """A dict of arrays as a list of designs.

    Raises:
        UsageError: for arrays of different lengths, or none.

    >>> design_rows({"dose": [1.0, 2.0]})
    [{'dose': 1.0}, {'dose': 2.0}]
    """
    arrays = {name: np.atleast_1d(np.asarray(values, np.float64)) for name, values in designs.items()}
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values() or any(a.ndim != 1 for a in arrays.values()):
        raise UsageError(f"got settings of lengths {lengths}; expected arrays of one length, a number for each design")
    return [{name: float(values[i]) for name, values in arrays.items()} for i in range(next(iter(lengths.values())))]
