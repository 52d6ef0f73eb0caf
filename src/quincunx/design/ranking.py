"""Ranking and selection: many designs with few draws, and the rest of the draws on those that may still be the best."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import norm

from quincunx.design.curve import Curve, Eigs
from quincunx.design.estimate import EIG

__all__ = ["indistinguishable", "merged", "ranked", "threshold"]


def threshold(comparisons: int, level: float = 0.05) -> float:
    """How many standard errors a difference must have to count among several, one-sided with Bonferroni's correction.

    >>> round(threshold(1), 3), round(threshold(50), 3)
    (1.645, 3.09)
    """
    return float(norm.ppf(1.0 - level / max(1, comparisons)))


def indistinguishable(curve: Curve, *, level: float = 0.05) -> Bool[np.ndarray, " d"]:
    """Which designs cannot be told from the best one, by differences paired over the common draws.

    A design is out where its difference from the best is more than `threshold` standard errors of that difference.
    """
    best, z = int(np.argmax(curve.value)), threshold(len(curve) - 1, level)
    kept = []
    for j in range(len(curve)):
        gap, error = curve.difference(best, j)
        # values that were added up exactly still carry rounding
        kept.append(gap <= z * error + 1e-9 * max(1.0, abs(float(curve.value[best]))))
    return np.asarray(kept)


def ranked(
    evaluate: Callable[[Mapping[str, Any], int], Curve],
    designs: Mapping[str, Float[np.ndarray, "d ..."]],
    *,
    rounds: int = 3,
    utility: Callable[[Curve], Curve] = lambda curve: curve,
    level: float = 0.05,
) -> Curve:
    """A curve whose draws were spent where they decide: after each round designs that are worse than the best are left as they are.

    `evaluate(designs, round)` gives the curve of some designs on draws that are the same for all of them and new in each round;
    `utility` turns information into what is maximised. In each round the survivors get as many draws again as the round before gave to all;
    the rounds are pooled, rows beside rows, and survivors have more rows than the others, whose rows end in NaN.
    """
    d = len(next(iter(designs.values())))
    alive = np.ones(d, bool)
    curve = evaluate(designs, 0)
    budget, per_round = d * curve.contributions.shape[1], curve.contributions.shape[1]
    for number in range(1, rounds):
        if per_round < 2:
            break
        alive &= indistinguishable(utility(curve), level=level)
        if alive.sum() <= 1:
            break
        some = {name: np.asarray(values)[alive] for name, values in designs.items()}
        repeats = min(4, max(1, budget // (int(alive.sum()) * per_round)))
        for repeat in range(repeats):
            curve = merged(curve, evaluate(some, 8 * number + repeat), alive)
    return curve


def merged(curve: Curve, more: Curve, where: Bool[np.ndarray, " d"]) -> Curve:
    """A curve with further draws at some of its designs: values weighted by their numbers of rows, rows side by side."""
    width = more.contributions.shape[1]
    extra = np.full((len(curve), width), np.nan)
    extra[where] = more.contributions
    rows = np.concatenate([curve.contributions, extra], axis=1)
    before = np.isfinite(curve.contributions).sum(axis=1)
    eigs: list[EIG] = []
    fresh = iter(more.eigs)
    for i, old in enumerate(curve.eigs):
        eigs.append(_pooled(old, int(before[i]), next(fresh), width) if where[i] else old)
    return Curve(curve.designs, Eigs.of(eigs), rows)


def _pooled(a: EIG, n: int, b: EIG, m: int) -> EIG:
    def mean(x: float | None, y: float | None) -> float | None:
        return None if x is None or y is None else (n * x + m * y) / (n + m)

    def error(x: float | None, y: float | None) -> float | None:
        return None if x is None or y is None else float(np.hypot(n * x, m * y) / (n + m))

    return EIG(
        mean(a.value, b.value), error(a.se, b.se), mean(a.lower, b.lower), mean(a.upper, b.upper), error(a.lower_se, b.lower_se),
        error(a.upper_se, b.upper_se), a.estimator, a.n_outer, max(a.n_inner, b.n_inner), mean(a.ess, b.ess),
        tuple(dict.fromkeys((*a.warnings, *b.warnings))),
    )  # fmt: skip
