"""Is the observation like anything that was simulated? Asked before any draw is handed out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from quincunx.notebook import fields_text, from_fields
from quincunx.values import register

_REFERENCE_ROWS = 4000
_DIRECTIONS = 64


@dataclass(frozen=True)
class Misspecification:
    """How an observation compares with the simulations: a p-value, and the column that is farthest out.

    `p_value` is the chance that a simulation lies at least as far out; `beyond` lists the columns whose value is
    farther outside everything simulated than the whole simulated range is wide; `worst` and `deviations` name the
    most extreme column and its distance from the median in robust standard deviations.
    """

    p_value: float
    worst: str
    deviations: float
    beyond: tuple[str, ...]

    @property
    def is_suspect(self) -> bool:
        """Whether to warn: p < 0.01, or a column far beyond everything simulated."""
        return self.p_value < 0.01 or bool(self.beyond)

    def message(self) -> str:
        """What a scientist should know."""
        where = f"'{self.worst}' is {self.deviations:.3g} standard deviations from the median of the simulations"
        if self.beyond:
            more = "" if len(self.beyond) == 1 else f" and {len(self.beyond) - 1} more columns"
            where += f"; '{self.beyond[0]}'{more} lies far outside everything simulated"
        return (
            f"the observation is unlike the simulations (p = {self.p_value:.2g}): {where}; expected an observation that "
            "the simulator could have produced; the answer below extrapolates: check the data's units and columns, widen "
            "the prior, or add the missing effect to the simulator"
        )

    _repr_html_ = from_fields


@register("familiarity")
@dataclass(frozen=True)
class Familiarity:
    """What the simulations looked like, kept small, to test an observation against.

    Two statistics of the robustly scaled, asinh-compressed x: the Mahalanobis distance (in the leading principal
    directions, the rest pooled) and the most extreme column. Half of the reference rows fit the location and
    directions and the other half give the distribution of the statistics, so that the p-value

        p = min(1, 2 min_s (1 + #{s(x_i) >= s(x_o)}) / (m + 1))

    is valid for well-specified x whatever its distribution and dimension. For a set of events the smallest p of the
    events is multiplied by their number.

    >>> import numpy as np
    >>> known = Familiarity.of(np.random.default_rng(0).normal(size=(1000, 2)), ("a", "b"))
    >>> known.test(np.array([[0.1, -0.5]])).is_suspect
    False
    >>> result = known.test(np.array([[0.1, 50.0]]))
    >>> result.is_suspect, result.worst
    (True, 'b')
    """

    columns: tuple[str, ...]
    centre: Float[np.ndarray, " d"]
    spread: Float[np.ndarray, " d"]
    mean: Float[np.ndarray, " d"]
    directions: Float[np.ndarray, "d k"]
    variances: Float[np.ndarray, " k"]
    rest: float
    low: Float[np.ndarray, " d"]
    high: Float[np.ndarray, " d"]
    distances: Float[np.ndarray, " m"]
    extremes: Float[np.ndarray, " m"]

    @classmethod
    def of(cls, x: Float[np.ndarray, "n d"], columns: Sequence[str]) -> "Familiarity":
        """Learn what simulated outcomes look like from rows in random order; four thousand rows suffice."""
        x = np.asarray(x, np.float64)
        low, high = x.min(0), x.max(0)
        rows = x[: max(4, min(_REFERENCE_ROWS, int(4e7 // max(1, x.shape[1]))))]
        centre = np.median(rows, axis=0)
        spread = 1.4826 * np.median(np.abs(rows - centre), axis=0)
        fallback = rows.std(0)
        spread = np.where(spread > 1e-12 * np.maximum(fallback, 1e-300), spread, fallback)
        # a constant column: any other value is far out, measured in units of its own size
        spread = np.where(spread > 0, spread, np.maximum(np.abs(centre), 1.0) * 1e-3)
        half = len(rows) // 2
        squashed = np.arcsinh((rows - centre) / spread)
        mean = squashed[:half].mean(0)
        residual = squashed[:half] - mean
        k = max(1, min(_DIRECTIONS, x.shape[1], half // 5))
        _, singular, vt = np.linalg.svd(residual, full_matrices=False)
        variances = singular**2 / max(1, half - 1)
        total = variances.sum()
        floor = 1e-6 * max(total / x.shape[1], 1e-12)
        directions = vt[:k].T
        pooled = max(float(total - variances[:k].sum()) / max(1, x.shape[1] - k), floor)
        shape = cls(
            tuple(columns), centre, spread, mean, directions, np.maximum(variances[:k], floor), pooled,
            low, high, np.zeros(0), np.zeros(0),
        )  # fmt: skip
        distances, extremes = shape._statistics(rows[half:])
        return cls(
            tuple(columns), centre, spread, mean, directions, shape.variances, pooled,
            low, high, np.sort(distances), np.sort(extremes),
        )  # fmt: skip

    def within(self, low: Float[np.ndarray, " d"], high: Float[np.ndarray, " d"]) -> "Familiarity":
        """The same with the range of everything simulated, where the reference rows are only some of it."""
        return replace(self, low=np.asarray(low, np.float64), high=np.asarray(high, np.float64))

    def test(self, events: Float[np.ndarray, "events d"]) -> Misspecification:
        """Compare one observation, given as its events (one row if it is a single outcome)."""
        events = np.asarray(events, np.float64)
        p = min(1.0, len(events) * float(self.p_values(events).min()))
        deviations = np.abs(events - self.centre) / self.spread
        column = int(np.argmax(deviations.max(0)))
        width = np.maximum(self.high - self.low, self.spread)
        outside = ((events > self.high + width) | (events < self.low - width)).any(0)
        beyond = tuple(name for name, out in zip(self.columns, outside, strict=True) if out)
        return Misspecification(p, self.columns[column], float(deviations[:, column].max()), beyond)

    def p_values(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        """The p-value of each row on its own."""
        distances, extremes = self._statistics(np.asarray(x, np.float64))
        p = np.minimum(_tail(self.distances, distances), _tail(self.extremes, extremes))
        return np.minimum(1.0, 2.0 * p)

    def _statistics(self, x):
        squashed = np.arcsinh((x - self.centre) / self.spread)
        residual = squashed - self.mean
        scores = residual @ self.directions
        left = np.maximum((residual**2).sum(1) - (scores**2).sum(1), 0.0)
        return (scores**2 / self.variances).sum(1) + left / self.rest, np.abs(squashed).max(1)

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        names = ("centre", "spread", "mean", "directions", "variances", "low", "high", "distances", "extremes")
        return {"columns": list(self.columns), "rest": self.rest}, {name: getattr(self, name) for name in names}

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Familiarity":
        """The inverse of `to_state`."""
        return cls(columns=tuple(spec["columns"]), rest=float(spec["rest"]), **arrays)

    __repr__ = fields_text
    _repr_html_ = from_fields


def _tail(reference: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(1 + number of reference values at or above) / (m + 1)."""
    above = len(reference) - np.searchsorted(reference, values, side="left")
    return (1.0 + above) / (len(reference) + 1.0)
