"""Whether averages of independent terms agree with what they must be, when some of them have heavy tails."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from scipy.stats import norm

from quincunx.check.result import TestResult

LEAST_TERMS = 100.0
"""Averages carried by fewer effective terms than this decide nothing."""


def effective_terms(terms: Float[np.ndarray, "n J"]) -> Float[np.ndarray, " J"]:
    """(sum v^2)^2 / sum v^4 of the centred terms v: n over the kurtosis, by which the central limit theorem may be trusted.

    The skewness of the mean is at most its inverse root. It stays small, however many the terms, where they have no fourth moment.

    >>> rng = np.random.default_rng(0)
    >>> heavy = effective_terms(rng.standard_cauchy((10_000, 1)))
    >>> bool(heavy[0] < 10), bool(effective_terms(rng.normal(size=(10_000, 1)))[0] > 3000)
    (True, True)
    """
    square = (terms - terms.mean(axis=0)) ** 2
    scale = square.max(axis=0)
    share = square / np.where(scale > 0, scale, 1.0)
    fourth = np.sum(share**2, axis=0)
    return np.where(scale > 0, np.sum(share, axis=0) ** 2 / np.where(fourth > 0, fourth, 1.0), len(terms))


def variance_of_mean(terms: Float[np.ndarray, "n J"]) -> Float[np.ndarray, " J"]:
    """The squared standard error of each column's mean.

    >>> variance_of_mean(np.array([[0.0], [2.0]]))
    array([1.])
    """
    return terms.var(axis=0, ddof=1) / len(terms)


def judge(
    name: str,
    question: str,
    gap: Float[np.ndarray, " J"],
    variance: Float[np.ndarray, " J"],
    carried: Float[np.ndarray, " J"],
    names: Sequence[str],
    *,
    n: int,
    effects: Mapping[str, float] | None = None,
    trusted: bool = True,
    note: str = "",
) -> TestResult:
    """One result from J gaps that must be zero: the largest |gap| / standard error, with Bonferroni's p = min(1, 2 J Phi(-max|z|)).

    Gaps carried by fewer than `LEAST_TERMS` effective terms are left out; p is NaN where none is left or nothing is `trusted`.

    >>> judge("a", "Zero?", np.array([0.1]), np.array([0.01]), np.array([500.0]), ["mean"], n=500).effects["largest z"]
    1.0
    """
    sure = carried >= LEAST_TERMS
    error = np.sqrt(variance)
    # A gap without a spread is rounding or a contradiction.
    exact = error <= 1e-7 * (1 + np.abs(gap))
    z = np.where(exact, np.where(np.abs(gap) > 1e-4, np.inf, 0.0), gap / np.where(exact, 1.0, error))
    said = [note] if note else []
    if sure.any() and trusted:
        at = int(np.argmax(np.where(sure, np.abs(z), -1.0)))
        p = float(min(1.0, 2 * sure.sum() * norm.sf(abs(z[at]))))
        largest = float(z[at])
        said += [f"largest for {names[at]}"] if len(names) > 1 else []
    else:
        p, largest = float("nan"), float("nan")
        said += ["too few effective terms to decide"]
    if trusted and sure.any() and not sure.all():
        said += [f"{(~sure).sum()} of {len(sure)} averages left out: too few effective terms"]
    return TestResult(
        name=name,
        question=question,
        p_value=p,
        statistic=largest,
        n=n,
        effects={"largest z": largest, **(effects or {})},
        note="; ".join(said),
        detail={"gap": gap, "error": error, "z": z, "effective_terms": carried},
    )
