"""A likelihood-to-evidence ratio must average to one, both ways."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student_t

from quincunx.check.result import TestResult

LEAST_ESS = 30.0
"""Averages of r carried by fewer effective terms than this are reported, but decide nothing."""


def partition(log_ratio: Float[np.ndarray, "B M"], *, over: str = "theta") -> TestResult:
    """Check E_{p(theta)} r(x, theta) = 1 for each x (rows x, columns theta; `over="x"` for E_{p(x)} r = 1, rows theta).

    Row by row it gives the Monte Carlo mean of r and its standard error; the p-value is Student's t for the mean of the rows'
    means against 1, valid when every row has its own independent columns. r has heavy tails when the data say much: rows with an effective number of terms
    (sum r)^2 / sum r^2 below 30 are left out of the test, and p is NaN if fewer than 20 rows remain. NRE-B leaves a factor c(x) free and fails this check by design.

    >>> import numpy as np
    >>> z = np.random.default_rng(0).normal(size=(200, 1000))
    >>> partition(0.5 * z - 0.125).status, partition(0.5 * z).status
    ('pass', 'fail')
    """
    log_ratio = np.asarray(log_ratio, float)
    rows, terms = log_ratio.shape
    ratio = np.exp(np.clip(log_ratio, -700.0, 700.0))
    mean = ratio.mean(axis=1)
    error = ratio.std(axis=1, ddof=1) / np.sqrt(terms)
    shifted = np.exp(log_ratio - log_ratio.max(axis=1, keepdims=True))
    ess = shifted.sum(axis=1) ** 2 / (shifted**2).sum(axis=1)
    good = ess >= LEAST_ESS
    given = "x" if over == "theta" else "theta"
    p, statistic, note = float("nan"), float(np.mean(mean)), "too few effective terms in each average to decide"
    if good.sum() >= 20:
        kept = mean[good]
        error_of_mean = float(kept.std(ddof=1) / np.sqrt(len(kept)))
        t = (float(kept.mean()) - 1.0) / max(error_of_mean, 1e-300)
        p, statistic, note = float(2.0 * student_t.sf(abs(t), len(kept) - 1)), float(kept.mean()), ""
    return TestResult(
        name=f"partition over {over}",
        question=f"Does the ratio average to one over the prior of {over}, for each {given}?",
        p_value=p,
        statistic=statistic,
        n=int(good.sum()),
        effects={
            "mean ratio": statistic,
            "standard error": float(np.std(mean[good], ddof=1) / np.sqrt(good.sum())) if good.sum() > 1 else float("nan"),
            "spread of log mean ratio": float(np.std(np.log(np.maximum(mean, 1e-300)))),
            "median effective terms": float(np.median(ess)),
        },
        note=note,
        detail={"mean": mean, "standard_error": error, "ess": ess},
    )


def balance(joint: Float[np.ndarray, " N"], marginal: Float[np.ndarray, " M"]) -> TestResult:
    """The bounded form of the same law: E_joint[1 / (1 + r)] = E_marginal[r / (1 + r)], from log r of pairs drawn either way.

    It holds for the exact ratio whatever its tails, and p is Student's t for a difference of bounded means (2208.13624 trains for it).

    >>> import numpy as np
    >>> z = np.random.default_rng(0).normal(size=(2, 4000))
    >>> balance(z[0] + 0.5, z[1] - 0.5).status, balance(2 * z[0] + 1, 2 * z[1] - 1.0).status
    ('pass', 'fail')
    """
    first = 0.5 * (1.0 - np.tanh(np.asarray(joint, float) / 2.0))
    second = 0.5 * (1.0 + np.tanh(np.asarray(marginal, float) / 2.0))
    gap = float(first.mean() - second.mean())
    error = float(np.sqrt(first.var(ddof=1) / len(first) + second.var(ddof=1) / len(second)))
    p = float(2.0 * student_t.sf(abs(gap) / max(error, 1e-300), min(len(first), len(second)) - 1))
    return TestResult(
        name="balance",
        question="Is the classifier behind the ratio as sure of real pairs as of shuffled ones?",
        p_value=p,
        statistic=gap,
        n=len(first) + len(second),
        effects={"gap": gap, "standard error": error},
        note="overconfident" if gap > 0 else "",
    )


def ratio_checks(
    log_ratio: Callable[[np.ndarray, np.ndarray], Float[np.ndarray, "..."]],
    theta: Float[np.ndarray, "N D"],
    x: Float[np.ndarray, "N F"],
    *,
    rows: int = 100,
) -> tuple[TestResult, TestResult, TestResult]:
    """Both partition checks and the balance of a ratio estimator on N independent simulated pairs.

    `log_ratio(theta (..., D), x (..., F))` -> (...). Each row of an average takes its own block of the other variable as far as N allows,
    so that rows are independent: with N pairs and `rows` rows an average has N // rows - 1 terms.
    """
    n = len(theta)
    rows = max(20, min(rows, n // 50))
    block = n // rows
    blocks = np.arange(rows * block).reshape(rows, block)
    head, tail = blocks[:, 0], blocks[:, 1:]

    def spread_over(values):
        return np.repeat(values[head][:, None], block - 1, axis=1)

    over_theta = partition(np.asarray(log_ratio(theta[tail], spread_over(x)), float), over="theta")
    over_x = partition(np.asarray(log_ratio(spread_over(theta), x[tail]), float), over="x")
    half = n // 2
    joint = np.asarray(log_ratio(theta[:half], x[:half]), float)
    shuffled = np.asarray(log_ratio(theta[half : 2 * half], np.roll(x[half : 2 * half], 1, axis=0)), float)
    return over_theta, over_x, balance(joint, shuffled)
