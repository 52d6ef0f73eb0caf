"""Simulation-based calibration: ranks of the truth, parameter by parameter and in quantities that look at the data."""

import jax
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray
from scipy.stats import chi2

from quincunx.check.ecdf import ecdf_p_value
from quincunx.check.ranks import random_ranks, rank_effects
from quincunx.check.result import TestResult
from quincunx.check.trials import Trials
from quincunx.values import as_key


def bins_for(n: int, draws: int) -> int:
    """The number of histogram bins: the largest divisor of L + 1 that is at most 20 and leaves at least 10 ranks a bin.

    >>> bins_for(300, 99), bins_for(100, 99)
    (20, 10)
    """
    most = max(2, min(20, n // 10))
    divisors = [b for b in range(2, most + 1) if (draws + 1) % b == 0]
    return max(divisors, default=draws + 1)


def chi2_p_value(ranks: Int[np.ndarray, " n"], draws: int, bins: int) -> float:
    """Pearson's chi-squared test of uniformity over equal bins; L + 1 must be a multiple of their number.

    >>> import numpy as np
    >>> chi2_p_value(np.arange(100), 99, 10)
    1.0
    """
    observed = np.bincount(np.asarray(ranks) * bins // (draws + 1), minlength=bins)
    expected = len(ranks) / bins
    return float(chi2.sf(np.sum((observed - expected) ** 2) / expected, bins - 1))


def rank_test(
    name: str,
    question: str,
    truth: Float[np.ndarray, " N"],
    draws: Float[np.ndarray, "N L"],
    *,
    key: PRNGKeyArray,
    parameter: bool = True,
) -> TestResult:
    """SBC of one scalar quantity: p = 2 min(p of the ECDF's simultaneous band, p of chi-squared), at most 1.

    The statistic is gamma, the worst pointwise tail of the ECDF (2103.10522).
    """
    n, count = draws.shape
    ranks = random_ranks(truth, draws, key=key)
    gamma, p_ecdf = ecdf_p_value(ranks, count)
    bins = bins_for(n, count)
    p_chi2 = chi2_p_value(ranks, count, bins)
    return TestResult(
        name=name,
        question=question,
        p_value=min(1.0, 2.0 * min(p_ecdf, p_chi2)),
        statistic=gamma,
        n=n,
        effects=rank_effects(ranks, count) if parameter else {"mean rank": float((ranks.mean() + 0.5) / (count + 1))},
        detail={
            "ranks": ranks,
            "draws": np.array(count),
            "bins": np.array(bins),
            "p_ecdf": np.array(p_ecdf),
            "p_chi2": np.array(p_chi2),
        },
    )


def sbc(trials: Trials, *, key: int | PRNGKeyArray) -> tuple[TestResult, ...]:
    """Simulation-based calibration (1804.06788) of every parameter, and of log q(theta | x) and log p(x | theta).

    For theta_i ~ p(theta), x_i ~ p(x | theta_i) and theta_il ~ q(theta | x_i) the rank of f(theta_i, x_i) among the
    f(theta_il, x_i) is uniform for every f if q is the posterior. The answer q = p(theta) passes for every f that
    ignores the data; log p(x | theta) catches it (2211.02383).

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> m = rng.normal(size=(200, 1))
    >>> results = sbc(Trials.of(m + rng.normal(size=(200, 1)), m[:, None] + rng.normal(size=(200, 99, 1)), m), key=0)
    >>> [result.name for result in results], results[0].status
    (['sbc: theta[0]'], 'pass')
    """
    keys = jax.random.split(as_key(key), len(trials.names) + 2)
    results = [
        rank_test(
            f"sbc: {name}",
            f"Is the true {name} ranked uniformly among the draws?",
            trials.truth[:, i],
            trials.draws[:, :, i],
            key=keys[i],
        )
        for i, name in enumerate(trials.names)
    ]
    for title, question, truth, draws, k in (
        (
            "log q",
            "Is the answer's own density at the truth ranked uniformly?",
            trials.log_q_truth,
            trials.log_q_draws,
            keys[-2],
        ),
        (
            "log p(x|theta)",
            "Is the likelihood of the truth ranked uniformly? It sees whether the data were used.",
            trials.log_likelihood_truth,
            trials.log_likelihood_draws,
            keys[-1],
        ),
    ):
        if truth is not None and draws is not None:
            results.append(rank_test(f"sbc: {title}", question, truth, draws, key=k, parameter=False))
    return tuple(results)
