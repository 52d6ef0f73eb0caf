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

__all__ = ["Design", "Space", "brief", "design_rows", "plain_design", "stack_designs"]

Design = dict[str, float | tuple[float, ...]]
"""A design: by name a number, or a tuple of them where a setting is a vector."""
Constraint = Callable[[dict[str, Any]], bool]


@dataclass(frozen=True, init=False, repr=False)
class Space:
    """A box of settings: `energy=(40.0, 50.0)` an interval, `times=(0.0, 24.0, 5)` five numbers in one, `kind=["a", "b"]` levels, and `constraints`,
    functions of a design that hold in it.

    A list holds levels: numbers, or names, which stand for 0, 1, ... because designs are numbers. The numbers of a vector that is named in `increasing`
    are kept in order, as times are: a design is then the same however it was numbered. Designs are dicts {name: number, or tuple of numbers}, many of
    them a dict of arrays (m,) or (m, length).

    Raises:
        UsageError: for a setting that is none of these, an empty interval, or an order of what is no vector.

    >>> space = Space(energy=(40.0, 50.0), kind=["a", "b"])
    >>> space
    Space(energy in [40, 50], kind one of a, b)
    >>> space.grid(3)["energy"].tolist()
    [40.0, 40.0, 45.0, 45.0, 50.0, 50.0]
    >>> space.label({"energy": 45.0, "kind": 1.0})
    'energy = 45, kind = b'
    >>> Space(times=(0.0, 24.0, 2), increasing=["times"]).grid(3)["times"].tolist()
    [[0.0, 0.0], [0.0, 12.0], [0.0, 24.0], [12.0, 12.0], [12.0, 24.0], [24.0, 24.0]]
    """

    bounds: tuple[tuple[str, tuple[float, float] | tuple[float, ...]], ...]
    labels: tuple[tuple[str, tuple[str, ...]], ...]
    lengths: tuple[tuple[str, int], ...]
    continuous: tuple[str, ...]
    increasing: tuple[str, ...]
    constraints: tuple[Constraint, ...]

    def __init__(
        self,
        settings: Mapping[str, Any] | None = None,
        /,
        *,
        constraints: Sequence[Constraint] = (),
        increasing: Sequence[str] = (),
        **named: Any,
    ):
        given = {**(settings or {}), **named}
        if not given:
            raise UsageError("got a space without settings; expected at least one; write Space(dose=(0.0, 10.0))")
        bounds, labels, lengths, continuous = [], [], [], []
        for name, said in given.items():
            if isinstance(said, tuple) and len(said) in (2, 3) and not any(isinstance(end, str) for end in said):
                ends, length = _interval(name, said)
                bounds.append((name, ends))
                continuous.append(name)
                if length is not None:
                    lengths.append((name, length))
                continue
            if isinstance(said, (str, Mapping)) or not isinstance(said, (Sequence, np.ndarray)) or not len(said):
                raise UsageError(f"got {name}={said!r}; expected (low, high), (low, high, length), or a list of levels")
            if all(isinstance(level, str) for level in said):
                labels.append((name, tuple(said)))
                bounds.append((name, tuple(float(i) for i in range(len(said)))))
            else:
                bounds.append((name, tuple(float(level) for level in said)))
        other = [name for name in increasing if name not in dict(lengths)]
        if other:
            raise UsageError(f"got increasing={list(increasing)}; expected names of vectors; leave out {other}")
        object.__setattr__(self, "bounds", tuple(bounds))
        object.__setattr__(self, "labels", tuple(labels))
        object.__setattr__(self, "lengths", tuple(lengths))
        object.__setattr__(self, "continuous", tuple(continuous))
        object.__setattr__(self, "increasing", tuple(increasing))
        object.__setattr__(self, "constraints", tuple(constraints))

    @property
    def names(self) -> tuple[str, ...]:
        """The settings, in order."""
        return tuple(name for name, _ in self.bounds)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every number of a design by name.

        >>> Space(dose=(0.0, 1.0), times=(0.0, 24.0, 2)).columns
        ('dose', 'times[0]', 'times[1]')
        """
        lengths = dict(self.lengths)
        return tuple(
            column
            for name in self.names
            for column in ([f"{name}[{i}]" for i in range(lengths[name])] if name in lengths else [name])
        )

    @property
    def dim(self) -> int:
        """How many numbers a design has."""
        return len(self.columns)

    @property
    def intervals(self) -> int:
        """How many of them are chosen along an interval."""
        lengths = dict(self.lengths)
        return sum(lengths.get(name, 1) for name in self.continuous)

    def grid(self, n: int) -> dict[str, Float[np.ndarray, "m ..."]]:
        """n points of every interval with every level, those that the order and the constraints allow: a dict of arrays.

        Raises:
            DesignOutsideSpace: if the constraints allow none.
        """
        axes = [
            np.linspace(*ends, n) if name in self.continuous else np.asarray(ends)
            for name, ends, where in self._parts()
            for _ in range(where.stop - where.start)
        ]
        mesh = np.stack([part.ravel() for part in np.meshgrid(*axes, indexing="ij")], axis=1)
        for name, _, where in self._parts():
            if name in self.increasing:
                mesh = mesh[np.all(np.diff(mesh[:, where], axis=1) >= 0, axis=1)]
        return self._allowed(self._named(mesh))

    def sobol(self, n: int, *, key: PRNGKeyArray | int = 0) -> dict[str, Float[np.ndarray, "m ..."]]:
        """n points of a scrambled Sobol sequence, fewer where the constraints allow fewer. Raises: as `grid`."""
        seed = np.random.default_rng(np.asarray(jax.random.key_data(as_key(key))))
        unit = qmc.Sobol(self.dim, rng=seed).random(1 << max(0, int(n) - 1).bit_length())[:n]
        return self._allowed(self.from_unit(unit))

    def from_unit(self, u: Float[np.ndarray, "*batch k"]) -> dict[str, Float[np.ndarray, "..."]]:
        """Points of the unit cube, an axis a number, as designs."""
        u = np.asarray(u, np.float64)
        parts = []
        for name, ends, where in self._parts():
            levels, own = np.asarray(ends), u[..., where]
            if name not in self.continuous:
                parts.append(levels[np.minimum((own * len(ends)).astype(int), len(ends) - 1)])
                continue
            values = levels[0] + (levels[1] - levels[0]) * own
            parts.append(np.sort(values, axis=-1) if name in self.increasing else values)
        return self._named(np.concatenate(parts, axis=-1))

    def to_unit(self, design: Mapping[str, Any]) -> Float[np.ndarray, "*batch k"]:
        """Designs as points of the unit cube; levels at the middle of their share."""
        parts, lengths = [], dict(self.lengths)
        for name, ends in self.bounds:
            value = np.asarray(design[name], np.float64)
            value = value if name in lengths else value[..., None]
            if name in self.continuous:
                parts.append((value - ends[0]) / (ends[1] - ends[0]))
            else:
                near = np.argmin(np.abs(value[..., None] - np.asarray(ends)), axis=-1)
                parts.append((near + 0.5) / len(ends))
        return np.concatenate(parts, axis=-1)

    def allows(self, design: Mapping[str, Any]) -> bool:
        """Whether a design is in the box and meets the constraints."""
        return self._why_not(design) is None

    def check(self, design: Mapping[str, Any]) -> Design:
        """The design as plain numbers, and tuples of them.

        Raises:
            NameMismatch: for missing or unknown settings. DesignOutsideSpace: for a value outside, or a vector of another length or out of order,
            saying of which setting.
        """
        check_names(list(design), self.names, "settings")
        why = self._why_not(design)
        if why is not None:
            raise DesignOutsideSpace(f"got {why}; expected a design in {self!r}; choose another, or widen the space")
        return plain_design({name: design[name] for name in self.names})

    def same(self, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
        """Whether two designs differ by no more than rounding, so that a number that was typed is the one that was computed.

        >>> Space(level=(0.0, 1.0)).same({"level": 0.3}, {"level": 0.1 + 0.2})
        True
        """
        return bool(np.all(np.abs(self.to_unit(one) - self.to_unit(other)) <= 1e-6))

    def edges(self, design: Mapping[str, Any]) -> tuple[str, ...]:
        """The continuous settings that are at an end of their interval, or the numbers of vectors that are."""
        found = []
        for name, ends, where in self._parts():
            slack = 1e-6 * (ends[-1] - ends[0])
            for column, value in zip(self.columns[where], np.atleast_1d(design[name]), strict=True):
                if name in self.continuous and (value <= ends[0] + slack or value >= ends[-1] - slack):
                    found.append(column)
        return tuple(found)

    def label(self, design: Mapping[str, Any]) -> str:
        """A design in words, with the names of levels."""
        return ", ".join(f"{name} = {self.said(name, design[name])}" for name in self.names)

    def said(self, name: str, value: Any) -> str:
        """A setting in words.

        >>> Space(times=(0.0, 24.0, 2)).said("times", (0.5, 6.0))
        '[0.5, 6]'
        """
        if np.ndim(value):
            return f"[{', '.join(format(float(one), '.6g') for one in value)}]"
        names = dict(self.labels)
        return names[name][round(float(value))] if name in names else format(float(value), ".6g")

    def repeated(self, times: int) -> "Space":
        """The space of several designs that are run together, whose settings are `name[0]`, `name[1]`, ...; each design must meet the constraints.

        >>> Space(dose=(0.0, 1.0)).repeated(2).names
        ('dose[0]', 'dose[1]')
        """
        lengths, names = dict(self.lengths), dict(self.labels)
        settings: dict[str, Any] = {}
        for k in range(times):
            for name, ends in self.bounds:
                if name in self.continuous:
                    settings[f"{name}[{k}]"] = (*ends, lengths[name]) if name in lengths else ends
                else:
                    settings[f"{name}[{k}]"] = list(names.get(name, ends))

        def each(design: dict[str, Any]) -> bool:
            parts = self.parted(design, times)
            return all(holds(part) for part in parts for holds in self.constraints)

        increasing = [f"{name}[{k}]" for k in range(times) for name in self.increasing]
        return Space(settings, increasing=increasing, constraints=[each] if self.constraints else [])

    def parted(self, design: Mapping[str, Any], times: int) -> list[Design]:
        """A design of `repeated(times)` as the designs that it holds."""
        return [plain_design({name: design[f"{name}[{k}]"] for name in self.names}) for k in range(times)]

    def _parts(self) -> list[tuple[str, tuple[float, ...], slice]]:
        """Name, ends or levels, and columns of every setting."""
        lengths, start, found = dict(self.lengths), 0, []
        for name, ends in self.bounds:
            stop = start + lengths.get(name, 1)
            found.append((name, ends, slice(start, stop)))
            start = stop
        return found

    def _named(self, flat: Float[np.ndarray, "*batch k"]) -> dict[str, Float[np.ndarray, "..."]]:
        lengths = dict(self.lengths)
        return {name: flat[..., w] if name in lengths else flat[..., w.start] for name, _, w in self._parts()}

    def _why_not(self, design: Mapping[str, Any]) -> str | None:
        lengths = dict(self.lengths)
        for name, ends in self.bounds:
            values, slack = np.asarray(design[name], np.float64), 1e-6 * max(1.0, abs(ends[0]), abs(ends[-1]))
            expected = (lengths[name],) if name in lengths else ()
            if values.shape != expected:
                return f"{name} of shape {values.shape}, where {expected} is expected"
            for value in np.atleast_1d(values):
                near = np.min(np.abs(np.asarray(ends) - value)) <= slack
                inside = ends[0] - slack <= value <= ends[-1] + slack if name in self.continuous else near
                if not inside:
                    return f"{name} = {self.said(name, design[name]) if expected else format(value, '.6g')}"
            if name in self.increasing and np.any(np.diff(values) < 0):
                return f"{name} = {self.said(name, design[name])}, which is not in increasing order"
        plain = plain_design({name: design[name] for name in self.names})
        return (
            None
            if all(holds(plain) for holds in self.constraints)
            else f"{self.label(plain)}, which a constraint forbids"
        )

    def _allowed(self, designs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        rows = design_rows(designs)
        kept = [i for i, row in enumerate(rows) if all(holds(dict(row)) for holds in self.constraints)]
        if not kept:
            raise DesignOutsideSpace(
                f"got constraints that allow none of {len(rows)} designs of {self!r}; expected some; loosen them, or take more points"
            )
        return {name: values[kept] for name, values in designs.items()}

    def __repr__(self) -> str:
        names, lengths = dict(self.labels), dict(self.lengths)
        said = []
        for name, ends in self.bounds:
            if name not in self.continuous:
                said.append(f"{name} one of {', '.join(names.get(name, tuple(f'{level:g}' for level in ends)))}")
                continue
            many = f"{lengths[name]} {'increasing ' if name in self.increasing else ''}" if name in lengths else ""
            said.append(f"{many}{name} in [{ends[0]:g}, {ends[1]:g}]")
        held = f"; {len(self.constraints)} constraint(s)" if self.constraints else ""
        return f"Space({', '.join(said)}{held})"

    def _kind(self, name: str) -> str:
        length = dict(self.lengths).get(name)
        return "interval" if length is None else f"{length} {'increasing ' if name in self.increasing else ''}numbers"

    def _repr_html_(self) -> str:
        names = dict(self.labels)
        body = [
            [name, self._kind(name), f"{ends[0]:g} to {ends[1]:g}"]
            if name in self.continuous
            else [name, "levels", ", ".join(names.get(name, tuple(f"{level:g}" for level in ends)))]
            for name, ends in self.bounds
        ]
        held = [("constraints", str(len(self.constraints)))] if self.constraints else []
        return card(
            f"Space of {len(body)} setting{'' if len(body) == 1 else 's'}",
            facts=held,
            head=["setting", "kind", "values"],
            body=body,
        )


def _interval(name: str, said: tuple[Any, ...]) -> tuple[tuple[float, float], int | None]:
    low, high = float(said[0]), float(said[1])
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise UsageError(f"got {name}={said}; expected finite bounds (low, high) with low < high")
    if len(said) == 2:
        return (low, high), None
    if int(said[2]) != said[2] or said[2] < 1:
        raise UsageError(f"got {name}={said}; expected (low, high, length) with a whole length, at least 1")
    return (low, high), int(said[2])


def plain_design(design: Mapping[str, Any]) -> Design:
    """A design as numbers, and tuples of numbers for vectors.

    >>> plain_design({"dose": np.float64(2.0), "times": [1.0, 2.0]})
    {'dose': 2.0, 'times': (1.0, 2.0)}
    """
    return {
        name: tuple(float(one) for one in value) if np.ndim(value) else float(value) for name, value in design.items()
    }


def brief(value: float | tuple[float, ...]) -> str:
    """A setting in a few digits.

    >>> brief(0.123456), brief((1.0, 2.5))
    ('0.1235', '[1, 2.5]')
    """
    return f"[{', '.join(f'{one:.4g}' for one in value)}]" if isinstance(value, tuple) else f"{value:.4g}"


def stack_designs(designs: Sequence[Mapping[str, Any]]) -> dict[str, Float[np.ndarray, "m ..."]]:
    """A sequence of designs as one dict of arrays."""
    return {name: np.asarray([design[name] for design in designs], np.float64) for name in designs[0]}


def design_rows(designs: Mapping[str, Any]) -> list[Design]:
    """A dict of arrays (m,) or (m, length) as a list of designs; a tuple is one vector.

    Raises:
        UsageError: for arrays of different lengths, or none.

    >>> design_rows({"dose": [1.0, 2.0]})
    [{'dose': 1.0}, {'dose': 2.0}]
    >>> design_rows({"dose": 1.0, "times": (0.5, 6.0)})
    [{'dose': 1.0, 'times': (0.5, 6.0)}]
    """
    arrays = {
        name: np.atleast_1d(np.asarray([values] if isinstance(values, tuple) else values, np.float64))
        for name, values in designs.items()
    }
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values() or any(a.ndim > 2 for a in arrays.values()):
        raise UsageError(
            f"got settings of lengths {lengths}; expected arrays of one length, a number or a row of numbers for each design"
        )
    return [
        plain_design({name: values[i] for name, values in arrays.items()}) for i in range(next(iter(lengths.values())))
    ]
