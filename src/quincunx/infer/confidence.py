"""Confidence sets: the parameters that a test of each does not reject, at every level asked for."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float
from scipy.interpolate import PchipInterpolator, RegularGridInterpolator

from quincunx.errors import NameMismatch, UsageError
from quincunx.notebook import card
from quincunx.values import register, save

LEVELS = (0.6827, 0.95)
"""The levels at which sets are given unless others are asked for."""
FINE = 64
"""Into how many parts an interval of the grid is divided to find where q crosses its critical value."""


@register("confidence_set")
@dataclass(frozen=True, eq=False)
class ConfidenceSet:
    """{theta : q(theta) <= c_level(theta)} on a grid of one or two parameters, for every level.

    `method` says where the critical values c come from: "asymptotic" (chi-squared quantiles) or "neyman" (simulated experiments, whose
    `critical_error` is the standard error of c). `q` and `p_value` have the grid's shape, `critical` and `critical_error` one axis of levels more in
    front. Between grid points the signed root of q, nearly straight, is interpolated. `notes` says what is amiss.

    >>> mu = np.linspace(-3.0, 3.0, 13)
    >>> one = ConfidenceSet("asymptotic", {"mu": mu}, mu**2, np.array([0.6827, 0.95]), np.ones((2, 13)) * [[1.0], [3.84]],
    ...     np.zeros((2, 13)), np.exp(-mu**2), np.zeros(1), 20.0)
    >>> one
    ConfidenceSet(asymptotic, 20 events, best at mu = 0)
      68.27 %  mu in [-1, 1]
      95 %     mu in [-1.96, 1.96]
    >>> one.contains({"mu": 1.5}, 0.95), one.contains({"mu": 1.5}, 0.6827)
    (True, False)
    """

    kind: ClassVar[str]

    method: str
    axes: dict[str, Float[np.ndarray, " _"]]
    q: Float[np.ndarray, "..."]
    levels: Float[np.ndarray, " levels"]
    critical: Float[np.ndarray, "levels ..."]
    critical_error: Float[np.ndarray, "levels ..."]
    p_value: Float[np.ndarray, "..."]
    best: Float[np.ndarray, " k"]
    n: float
    notes: tuple[str, ...] = ()
    units: Mapping[str, str] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters of interest."""
        return tuple(self.axes)

    @property
    def members(self) -> Bool[np.ndarray, "levels ..."]:
        """Which grid points are in the set at each level."""
        return self.q <= self.critical

    def intervals(self, level: float) -> tuple[tuple[float, float], ...]:
        """The set at one level as disjoint intervals [low, high], one parameter; an end on the edge of the grid is the edge.

        Raises:
            UsageError: for two parameters, or a level that the set does not have.
        """
        which = self._level(level)
        if len(self.axes) != 1:
            raise UsageError(
                f"got a set in {', '.join(self.names)}; expected one parameter for intervals; profile over one of them"
            )
        axis = next(iter(self.axes.values()))
        fine = np.unique(
            np.concatenate([np.linspace(a, b, FINE + 1) for a, b in zip(axis[:-1], axis[1:], strict=True)])
        )
        inside = self._slack_1d(fine, which)
        return _runs(fine, inside)

    def contains(self, theta: Mapping[str, Any], level: float) -> bool:
        """Whether a parameter point is in the set at one level.

        Raises:
            NameMismatch: for a missing parameter of interest; others are ignored. UsageError: for a point outside the grid, of which the set says nothing.
        """
        which = self._level(level)
        missing = [name for name in self.names if name not in theta]
        if missing:
            raise NameMismatch(
                f"got a point without {missing}; expected {list(self.names)}; name the parameters of interest"
            )
        point = np.asarray([float(np.asarray(theta[name])) for name in self.names])
        for value, (name, axis) in zip(point, self.axes.items(), strict=True):
            # single-precision parameters on the edge of a grid are on it
            slack = 1e-6 * (axis[-1] - axis[0])
            if not axis[0] - slack <= value <= axis[-1] + slack:
                raise UsageError(
                    f"got {name} = {value:.6g}; expected a value in the scanned range [{axis[0]:.6g}, {axis[-1]:.6g}]; scan a wider one"
                )
        point = np.clip(point, [a[0] for a in self.axes.values()], [a[-1] for a in self.axes.values()])
        if len(point) == 1:
            return bool(self._slack_1d(point, which)[0] <= 0.0)
        grids = tuple(self.axes.values())
        smooth = "cubic" if min(map(len, grids)) >= 4 and np.all(np.isfinite(self.q)) else "linear"
        q = RegularGridInterpolator(grids, np.minimum(self.q, 1e6), method=smooth)(point)
        return bool(q[0] <= RegularGridInterpolator(grids, self.critical[which])(point)[0])

    def touches_edge(self, level: float) -> bool:
        """Whether the set reaches the edge of the scanned region, so that it may go on beyond."""
        inside = self.members[self._level(level)]
        return any(bool(np.any(np.take(inside, end, axis=i))) for i in range(inside.ndim) for end in (0, -1))

    def plot(self, **options: Any) -> Any:
        """q and its critical values along one parameter, or the regions of two: a Matplotlib figure."""
        from quincunx.plot import confidence_curve, confidence_regions

        if len(self.axes) == 1:
            intervals = [self.intervals(float(level)) for level in self.levels]
            axis, name = next(iter(self.axes.values())), self.names[0]
            drawn = {"best": float(self.best[0]), "units": self.units, **options}
            return confidence_curve(axis, self.q, self.critical, self.levels, intervals, name, **drawn)
        drawn = {"best": self.best, "units": self.units, **options}
        return confidence_regions(
            list(self.axes.values()), self.q, self.critical, self.levels, list(self.names), **drawn
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to one file; `quincunx.load` reads it back."""
        return save(self, path)

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        spec = {
            "method": self.method,
            "names": list(self.axes),
            "n": self.n,
            "notes": list(self.notes),
            "units": dict(self.units or {}),
        }
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        return spec, arrays | {f"axes/{name}": value for name, value in self.axes.items()}

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "ConfidenceSet":
        """The inverse of `to_state`."""
        axes = {name: arrays[f"axes/{name}"] for name in spec["names"]}
        held = {name: arrays[name] for name in _ARRAYS}
        return cls(spec["method"], axes, n=spec["n"], notes=tuple(spec["notes"]), units=spec["units"], **held)

    def _level(self, level: float) -> int:
        near = np.flatnonzero(np.abs(self.levels - level) < 1e-9)
        if not near.size:
            raise UsageError(f"got level {level}; expected one of {self.levels.tolist()}; make the set with levels=")
        return int(near[0])

    def _slack_1d(self, at: np.ndarray, which: int) -> np.ndarray:
        """sqrt q - sqrt c, interpolated: negative inside."""
        axis, best = next(iter(self.axes.values())), float(self.best[0])
        root = np.sign(axis - best) * np.sqrt(np.clip(self.q, 0.0, 1e12))
        bound = np.sqrt(np.maximum(self.critical[which], 0.0))
        return np.abs(PchipInterpolator(axis, root)(at)) - np.interp(at, axis, bound)

    def _lines(self) -> list[str]:
        lines = []
        for level in self.levels:
            said = f"{100 * level:.4g} %"
            if len(self.axes) == 1:
                name, axis = self.names[0], next(iter(self.axes.values()))
                unit = (self.units or {}).get(name, "")
                parts = [f"[{low:.4g}, {high:.4g}]" for low, high in self.intervals(float(level))]
                region = f"{name} in {' and '.join(parts) or 'nothing'}{' ' + unit if unit else ''}"
                region = region if axis.size else "nothing"
            else:
                share = float(self.members[self._level(float(level))].mean())
                region = f"{100 * share:.3g} % of the scanned region"
            open_end = ", touching the edge of the scan" if self.touches_edge(float(level)) else ""
            lines.append(f"  {said.ljust(7)}  {region}{open_end}")
        return lines

    def __repr__(self) -> str:
        at = ", ".join(f"{name} = {value:.4g}" for name, value in zip(self.names, self.best, strict=True))
        head = f"ConfidenceSet({self.method}, {self.n:g} events, best at {at})"
        return "\n".join([head, *self._lines(), *(f"  note: {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        from quincunx.plot import inline_svg

        title = repr(self).splitlines()[0]
        found = [(line.split("%")[0].strip() + " %", line.split("%", 1)[1].strip()) for line in self._lines()]
        return card(title, facts=found, warnings=self.notes, picture=lambda: inline_svg(self.plot(), alt=title))


_ARRAYS = ("q", "levels", "critical", "critical_error", "p_value", "best")


def _runs(at: np.ndarray, slack: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Where `slack` is not positive, as intervals whose ends are crossings between neighbours."""
    inside = slack <= 0
    runs: list[tuple[float, float]] = []
    start = None
    for i, here in enumerate(inside):
        if here and start is None:
            start = at[i] if i == 0 else _crossing(at, slack, i - 1)
        if start is not None and not here:
            runs.append((float(start), float(_crossing(at, slack, i - 1))))
            start = None
    if start is not None:
        runs.append((float(start), float(at[-1])))
    return tuple(runs)


def _crossing(at: np.ndarray, slack: np.ndarray, i: int) -> float:
    low, high = slack[i], slack[i + 1]
    if not np.isfinite(low) or not np.isfinite(high) or low == high:
        return float(at[i] if low <= 0 else at[i + 1])
    return float(at[i] + (at[i + 1] - at[i]) * (0.0 - low) / (high - low))
