"""Calibration of a ratio classifier: what its output is worth, learned from fresh draws of both classes."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from quincunx.errors import InvalidSimulations, TooFewSimulations, UsageError
from quincunx.notebook import from_fields
from quincunx.values import register

_METHODS = ("histogram", "isotonic")


@register("calibration")
class Calibration(eqx.Module):
    """A step function from a classifier's log-ratio to the calibrated one: `log_ratio[i]` between `edges[i - 1]` and
    `edges[i]`.

    Any monotone function of the true ratio becomes the true ratio by r_cal = p(s | numerator) / p(s | reference)
    (1506.02169, theorem 1). `expected_ratio` is E_ref[r] over the calibration draws before it was normalised to one.
    """

    kind: ClassVar[str] = "calibration"

    edges: Float[Array, " e"]
    log_ratio: Float[Array, " b"]
    expected_ratio: float
    method: str = eqx.field(static=True)

    def __call__(self, log_ratio: Float[Array | np.ndarray, "..."]) -> Float[Array, "..."]:
        """The calibrated log-ratio, of any shape; piecewise constant, so it has no useful gradient."""
        return self.log_ratio[jnp.searchsorted(self.edges, log_ratio, side="right")]

    def to_state(self) -> tuple[dict, dict[str, np.ndarray]]:
        """JSON-able specification and arrays."""
        spec = {"method": self.method, "expected_ratio": self.expected_ratio}
        return spec, {"edges": np.asarray(self.edges), "log_ratio": np.asarray(self.log_ratio)}

    @classmethod
    def from_state(cls, spec: dict, arrays: dict[str, np.ndarray]) -> "Calibration":
        """The calibration that `to_state` described."""
        edges, log_ratio = jnp.asarray(arrays["edges"]), jnp.asarray(arrays["log_ratio"])
        return cls(edges, log_ratio, spec["expected_ratio"], spec["method"])

    _repr_html_ = from_fields


def calibrate(
    numerator: Float[Array | np.ndarray, " n"],
    reference: Float[Array | np.ndarray, " m"],
    *,
    method: str = "isotonic",
    bins: int | None = None,
) -> Calibration:
    """Learn the calibrated ratio from a classifier's log-ratios on held-out draws of the numerator and of the
    reference.

    "histogram": `bins` bins of equal occupancy (default: the square root of the smaller sample, at most 50), with
    half a count added to every bin of either class. "isotonic": the bins are the level sets of the best non-decreasing
    probability (pooled adjacent violators) that hold at least sqrt(n + m) draws, with the same half counts; the
    result is monotone. In either case r is
    normalised so that its mean over the reference draws is one, as a likelihood ratio's is.

    Raises `TooFewSimulations` below ten draws of either class, `InvalidSimulations` for log-ratios that are not finite,
    `UsageError` for an unknown method.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> numerator, reference = rng.normal(1, 1, 20_000), rng.normal(0, 1, 20_000)
    >>> calibration = calibrate(3 * (numerator - 0.5), 3 * (reference - 0.5))    # three times too confident
    >>> bool(abs(calibration(np.array(3 * (1.0 - 0.5))) - 0.5) < 0.1)
    True
    """
    if method not in _METHODS:
        raise UsageError(f"got calibration {method!r}; expected one of {', '.join(_METHODS)}; choose one of those")
    numerator, reference = (np.asarray(a, np.float64) for a in (numerator, reference))
    if min(len(numerator), len(reference)) < 10:
        raise TooFewSimulations(
            f"got {len(numerator)} and {len(reference)} draws to calibrate on; expected at least 10 of each class; "
            "simulate more at these parameters"
        )
    scores = np.concatenate([numerator, reference])
    if not np.isfinite(scores).all():
        raise InvalidSimulations(
            f"got {np.sum(~np.isfinite(scores))} log-ratios that are not finite; expected finite ones; "
            "leave out failed simulations before calibrating"
        )
    labels = np.concatenate([np.ones(len(numerator)), np.zeros(len(reference))])
    edges = _equal_occupancy(scores, numerator, reference, bins) if method == "histogram" else _levels(scores, labels)
    counts_1, counts_0 = _occupancy(numerator, edges), _occupancy(reference, edges)
    ratio = _smoothed(counts_1, counts_0)
    if method == "isotonic":
        ratio = pool_adjacent_violators(ratio, counts_1 + counts_0 + 1)
    expected = float(np.sum(counts_0 * ratio) / len(reference))
    return Calibration(
        jnp.asarray(edges, jnp.float32), jnp.asarray(np.log(ratio / expected), jnp.float32), expected, method
    )


def pool_adjacent_violators(
    values: Float[np.ndarray, " n"], weights: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """The non-decreasing sequence nearest to `values` in weighted least squares.

    >>> pool_adjacent_violators(np.array([1.0, 3.0, 2.0]), np.ones(3)).tolist()
    [1.0, 2.5, 2.5]
    """
    means: list[float] = []
    masses: list[float] = []
    sizes: list[int] = []
    for value, mass in zip(values.tolist(), weights.tolist(), strict=True):
        size = 1
        while means and means[-1] >= value:
            total = masses[-1] + mass
            value = (masses[-1] * means.pop() + mass * value) / total
            mass, size = total, size + sizes.pop()
            masses.pop()
        means.append(value)
        masses.append(mass)
        sizes.append(size)
    return np.repeat(means, sizes)


def _equal_occupancy(scores, numerator, reference, bins):
    count = bins or min(50, max(2, int(min(len(numerator), len(reference)) ** 0.5)))
    return np.unique(np.quantile(scores, np.linspace(0, 1, count + 1)[1:-1]))


def _levels(scores, labels):
    """Edges half-way between the level sets of the isotonic probability of label 1, equal scores taken together.

    Level sets of fewer than sqrt(n) draws join their neighbour: the smallest ones, at the ends, are chosen for being
    extreme, and their ratios would be too.
    """
    distinct, index, counts = np.unique(scores, return_inverse=True, return_counts=True)
    balance = np.where(labels == 1, 1 / np.sum(labels), 1 / np.sum(1 - labels))
    mass = np.bincount(index, balance, len(counts))
    level = pool_adjacent_violators(np.bincount(index, balance * labels, len(counts)) / mass, mass)
    jumps = np.flatnonzero(np.diff(level) > 0)
    below = np.cumsum(counts)
    least, kept = len(labels) ** 0.5, [-1]
    for jump in jumps.tolist():
        so_far = below[jump] - (below[kept[-1]] if kept[-1] >= 0 else 0)
        if so_far >= least and below[-1] - below[jump] >= least:
            kept.append(jump)
    jumps = np.array(kept[1:], dtype=int)
    return 0.5 * (distinct[jumps] + distinct[jumps + 1])


def _occupancy(scores, edges):
    return np.bincount(np.searchsorted(edges, scores, side="right"), minlength=len(edges) + 1).astype(float)


def _smoothed(counts_1, counts_0):
    """The ratio of bin probabilities, with half a count in every bin."""
    ones, zeros = counts_1 + 0.5, counts_0 + 0.5
    return (ones / ones.sum()) / (zeros / zeros.sum())
