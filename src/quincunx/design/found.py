"""What every estimator finds at one design: a contribution for each outer draw, and the bounds it can vouch for."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from quincunx.design.estimate import EIG
from quincunx.notebook import from_fields

__all__ = ["Found", "OPEN", "mean_and_se", "settled"]

OPEN = 0.25
"""A bracket wider than this (in nats) is open: its middle says nothing, and the lower end is reported."""


@dataclass(frozen=True, eq=False)
class Found:
    """Contributions (N,) whose means are the lower and the upper bound, or the value where there are no bounds; NaN in rows that failed.

    `pool` is how many inner draws all rows share between them: N rows that share M draws count as independent up to a
    factor 1 + N / M in the variance; `extra` is added to it. With `scramblings` the rows are as many independent sets, one after another, of rows
    that are not independent: the error is that of the mean of their means.
    """

    estimator: str
    lower: Float[np.ndarray, " n"] | None
    upper: Float[np.ndarray, " n"] | None
    value: Float[np.ndarray, " n"] | None = None
    n_inner: int = 0
    ess: float | None = None
    pool: int | None = None
    extra: float = 0.0
    exact: bool = False
    scramblings: int = 1
    warnings: tuple[str, ...] = ()

    @property
    def gap(self) -> float:
        """The width of the bracket, 0 without one."""
        return float(np.nanmean(self.upper - self.lower)) if self.lower is not None and self.upper is not None else 0.0

    def rows(self, open_bracket: bool) -> Float[np.ndarray, " n"]:
        """The contributions to the value: the middle of a closed bracket, whose O(1/L) biases cancel, or the lower end of an open one."""
        if self.value is not None:
            return self.value
        if self.lower is None:
            raise AssertionError("an estimator without a value has a lower bound")
        return self.lower if self.upper is None or open_bracket else 0.5 * (self.lower + self.upper)

    def eig(self, *, open_bracket: bool | None = None) -> EIG:
        """The estimate with its errors."""
        is_open = self.gap > OPEN if open_bracket is None else open_bracket
        rows = self.rows(is_open)
        value, se = self._mean(rows)
        low = (None, None) if self.lower is None else self._mean(self.lower)
        high = (None, None) if self.upper is None else self._mean(self.upper)
        said = list(self.warnings)
        if self.gap > OPEN:
            said.append(
                f"the bracket is open by {self.gap:.3g} nats; the value is its lower end; take a larger inner=, or method='proposal'"
            )
        lost = int(np.isnan(rows).sum())
        if lost:
            said.append(
                f"{lost} of {len(rows)} simulations failed: the information is that of outcomes which do not fail"
            )
        return EIG(
            value, se, low[0], high[0], low[1], high[1], self.estimator, len(rows), self.n_inner, self.ess, tuple(said)
        )

    def _mean(self, rows: np.ndarray) -> tuple[float, float]:
        value, se = mean_and_se(rows)
        if self.exact:
            return value, 0.0
        if self.scramblings > 1:
            sets = np.nanmean(rows.reshape(self.scramblings, -1), axis=1)
            shared = len(rows) * se**2 / self.pool if self.pool else 0.0
            return value, float(np.sqrt(sets.var(ddof=1) / len(sets) + shared + self.extra))
        return value, float(np.sqrt(se**2 * (1.0 + (len(rows) / self.pool if self.pool else 0.0)) + self.extra))

    _repr_html_ = from_fields


def mean_and_se(rows: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Mean and standard error over the rows that are not NaN.

    >>> mean_and_se(np.array([1.0, 3.0, np.nan]))
    (2.0, 1.0)
    """
    kept = rows[~np.isnan(rows)]
    if not np.all(np.isfinite(kept)):
        return float(kept.mean()), float("inf")
    return float(kept.mean()), float(kept.std(ddof=1) / np.sqrt(len(kept))) if len(kept) > 1 else float("inf")


def settled(found: list[Found]) -> bool:
    """Whether all designs are read at the lower end, because one of them has an open bracket: they must be read alike to be compared."""
    return any(one.gap > OPEN for one in found)
