"""A likelihood-to-evidence ratio must average to one, both ways."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student_t

from quincunx.check.result import TestResult

LEAST_ESS = 30.0
"""Averages of r carried by fewer effective terms than this are reported, but decide nothing."""


def partition(
    log_ratio: Float[np.ndarray, "B M"], *, over: Literal["theta", "x"] = "theta", shared: bool = False
) -> TestResult:
    """Check E_{p(theta)} r(x, theta) = 1 for each x (rows x, columns theta; `over="x"` for E_{p(x)} r = 1, rows theta).

    Row by row it gives the Monte Carlo mean of r and its standard error. The p-value is Student's t, against 1, for the
    mean of the rows' means if every row has its own columns, of the columns' means if all rows share them (`shared`). r
    has heavy tails when the data say much: rows with an effective number of terms (sum r)^2 / sum r^2 below 30 are left
    out of the test, and p is NaN if fewer than 20 rows remain. NRE-B leaves a factor c(x) free and fails this check by
    design.

    >>> import numpy as np
    >>> z = np.random.default_rng(0).normal(size=(200, 1000))
    >>> partition(0.5 * z - 0.125).status, partition(0.5 * z).status
    ('pass', 'fail')
    """
    log_ratio = np.asarray(log_ratio, float)
    terms = log_ratio.shape[1]
    ratio = np.exp(np.clip(log_ratio, -700.0, 700.0))
    mean = ratio.mean(axis=1)
    error = ratio.std(axis=1, ddof=1) / np.sqrt(terms)
    shifted = np.exp(log_ratio - log_ratio.max(axis=1, keepdims=True))
    ess = shifted.sum(axis=1) ** 2 / (shifted**2).sum(axis=1)
    good = ess >= LEAST_ESS
    given = "x" if over == "theta" else "theta"
    error_of_mean = float("nan")
    p, statistic, note = float("nan"), float(np.mean(mean)), "too few effective terms in each average to decide"
    if good.sum() >= 20:
        kept = ratio[good].mean(axis=0) if shared else mean[good]
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
            "standard error": error_of_mean,
            "spread of log mean ratio": float(np.std(np.log(np.maximum(mean, 1e-300)))),
            "median effective terms": float(np.median(ess)),
        },
        note=note,
        detail={"mean": mean, "standard_error": error, "ess": ess},
    )


def balance(joint: Float[np.ndarray, " N"], marginal: Float[np.ndarray, "N M"]) -> TestResult:
    """The bounded form of the same law: E_joint[1 / (1 + r)] = E_marginal[r / (1 + r)].

    `joint` is log r of the N pairs, `marginal` log r of each x with M draws of the prior. The law holds for the exact
    ratio whatever its tails, and sees a wrong factor rather than a wrong spread; p is Student's t for the mean over x of the difference (2208.13624 trains for it).

    >>> import numpy as np
    >>> z = np.random.default_rng(0).normal(size=(4000, 2))
    >>> first, second = z[:, 0] + 0.5, z[:, 1:] - 0.5
    >>> balance(first, second).status, balance(first + 0.5, second + 0.5).status
    ('pass', 'fail')
    """
    sure = 0.5 * (1.0 - np.tanh(np.asarray(joint, float) / 2.0))
    difference = sure - 0.5 * (1.0 + np.tanh(np.asarray(marginal, float) / 2.0)).mean(axis=1)
    n = len(difference)
    gap, error = float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(n))
    return TestResult(
        name="balance",
        question="Is the classifier behind the ratio as sure of real pairs as of shuffled ones?",
        p_value=float(2.0 * student_t.sf(abs(gap) / max(error, 1e-300), n - 1)),
        statistic=gap,
        n=n,
        effects={"gap": gap, "standard error": error},
    )


def ratio_checks(
    log_ratio: Callable[[np.ndarray, Any], np.ndarray],
    theta: Float[np.ndarray, "N D"],
    x: Any,
    fresh: Float[np.ndarray, "N M D"],
    *,
    most: int = 100,
) -> tuple[TestResult, TestResult, TestResult]:
    """Both partition checks and the balance of a ratio estimator, on N simulated pairs and M prior draws for each.

    `log_ratio(theta (N, M, D), x (N, ...))` -> (N, M). Over theta every x has its own draws; over x the first `most`
    fresh thetas all see the same N outcomes.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> theta, fresh = rng.normal(size=(300, 1)), rng.normal(size=(300, 200, 1))
    >>> x = theta + rng.normal(size=(300, 1))
    >>> exact = lambda t, x: -0.5 * (x[:, None, 0] - t[..., 0]) ** 2 + 0.25 * x[:, None, 0] ** 2 + 0.5 * np.log(2)
    >>> [result.status for result in ratio_checks(exact, theta, x, fresh)]
    ['pass', 'pass', 'pass']
    """
    given_x = np.asarray(log_ratio(fresh, x), float)
    heads = np.broadcast_to(fresh[:most, 0], (len(theta), *fresh[:most, 0].shape))
    given_theta = np.asarray(log_ratio(np.ascontiguousarray(heads), x), float).T
    joint = np.asarray(log_ratio(theta[:, None], x), float)[:, 0]
    return (
        partition(given_x, over="theta"),
        partition(given_theta, over="x", shared=True),
        balance(joint, given_x),
    )
