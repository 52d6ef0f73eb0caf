"""What one diagnostic says: a p-value, how large the discrepancy is, and what that means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from quincunx.notebook import from_repr

Status = Literal["pass", "warn", "fail"]

FAIL_BELOW = 0.01
"""A p-value (after Holm's correction, in a report) below this fails."""

WARN_BELOW = 0.05
"""A p-value (after Holm's correction, in a report) below this warns."""


def status_of(p_value: float) -> Status:
    """Turn a p-value into a verdict: fail below 0.01, warn below 0.05; one that is NaN was not computable and warns.

    >>> status_of(0.2), status_of(0.03), status_of(0.001)
    ('pass', 'warn', 'fail')
    """
    if np.isnan(p_value):
        return "warn"
    return "fail" if p_value < FAIL_BELOW else "warn" if p_value < WARN_BELOW else "pass"


@dataclass(frozen=True, eq=False)
class TestResult:
    """One diagnostic's answer.

    `p_value` is the probability, were the estimator exact, of a `statistic` at least this extreme. `effects` are the
    sizes of the discrepancy in words a scientist can act on (an equivalent inflation of the standard deviation, a bias
    in standard deviations, ...). `detail` keeps the arrays that a plot needs.

    >>> TestResult(name="sbc: mu", question="Is mu ranked uniformly?", p_value=0.004, statistic=0.001, n=300).status
    'fail'
    """

    # Pytest would take the name for a test class.
    __test__ = False

    name: str
    question: str
    p_value: float
    statistic: float
    n: int
    effects: Mapping[str, float] = field(default_factory=dict)
    note: str = ""
    detail: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        """The verdict of this test alone, without correction for its company."""
        return status_of(self.p_value)

    def __repr__(self) -> str:
        effects = ", ".join(f"{name} {value:.3g}" for name, value in self.effects.items())
        return f"{self.name}: {self.status} (p = {self.p_value:.2g}, n = {self.n}{', ' + effects if effects else ''})"

    def to_spec(self) -> dict[str, Any]:
        """Everything but the arrays, as JSON."""
        return {
            "name": self.name,
            "question": self.question,
            "p_value": float(self.p_value),
            "statistic": float(self.statistic),
            "n": int(self.n),
            "effects": {name: float(value) for name, value in self.effects.items()},
            "note": self.note,
        }

    _repr_html_ = from_repr


def holm(p_values: Sequence[float] | Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """Holm's step-down correction: adjusted p-values that bound the chance of a false alarm, however tests depend.

    p_(i) -> max_{j <= i} min(1, (m - j + 1) p_(j)) over the ordered p-values. A NaN stays NaN and is not counted.

    >>> holm([0.01, 0.04, 0.5]).tolist()
    [0.03, 0.08, 0.5]
    """
    p = np.asarray(p_values, dtype=float)
    known = ~np.isnan(p)
    adjusted = np.full(p.shape, np.nan)
    values = p[known]
    order = np.argsort(values, kind="stable")
    steps = np.minimum(1.0, (len(values) - np.arange(len(values))) * values[order])
    corrected = np.empty_like(values)
    corrected[order] = np.maximum.accumulate(steps) if len(steps) else steps
    adjusted[known] = corrected
    return adjusted
