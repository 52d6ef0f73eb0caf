"""Do the credible regions cover? Highest-density levels of the truth and how often they stay below the stated mass."""

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray
from scipy.stats import f as fisher_f
from scipy.stats import norm

from quincunx.check.ranks import jittered, random_ranks
from quincunx.check.result import WARN_BELOW, TestResult
from quincunx.check.trials import Trials
from quincunx.errors import UsageError
from quincunx.values import as_key

LEVELS = np.linspace(0.05, 0.95, 19)
"""The stated masses at which coverage is reported."""


def wilson_interval(
    hits: Float[np.ndarray, " k"], n: int, *, level: float = 0.95
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Wilson's score interval for binomial proportions hits / n.

    >>> import numpy as np
    >>> low, high = wilson_interval(np.array([95.0]), 100)
    >>> round(float(low[0]), 3), round(float(high[0]), 3)
    (0.888, 0.978)
    """
    z = norm.isf((1.0 - level) / 2.0)
    p = np.asarray(hits, float) / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return centre - half, centre + half


def hpd_levels(
    log_q_truth: Float[np.ndarray, " N"], log_q_draws: Float[np.ndarray, "N L"], *, key: PRNGKeyArray
) -> Float[np.ndarray, " N"]:
    """The mass of the smallest highest-density region that holds each truth, c_i in (0, 1).

    c_i = (#{log q(theta_il | x_i) > log q(theta_i | x_i)} + ties at random + U) / (L + 1): exactly U(0, 1) if q is the
    posterior.
    """
    k_ties, k_jitter = jax.random.split(key)
    count = log_q_draws.shape[1]
    return jittered(random_ranks(-log_q_truth, -log_q_draws, key=k_ties), count, key=k_jitter)


def equivalent_inflation(mean_level: float, dim: int) -> float:
    """The factor by which a D-dimensional Gaussian's standard deviations are off, given its mean highest-density level.

    With sd_q = s sd the level is F_chi2(chi2_D / s^2), so that E c = P(F_{D,D} <= 1 / s^2) and s = F^{-1}(E c)^{-1/2}.
    Below 1 is overconfident.

    >>> round(equivalent_inflation(0.5, 3), 6)
    1.0
    >>> equivalent_inflation(0.6, 3) < 1 < equivalent_inflation(0.4, 3)
    True
    """
    quantile = float(fisher_f.ppf(np.clip(mean_level, 1e-12, 1 - 1e-12), dim, dim))
    return quantile**-0.5


def hpd_coverage(trials: Trials, *, key: int | PRNGKeyArray) -> TestResult:
    """Expected coverage of highest-density regions, ECP(alpha) = P(c <= alpha) against alpha.

    The statistic is the area between curve and diagonal, integral (ECP - alpha) dalpha = 1/2 - mean(c): negative is
    overconfident. For an exact posterior mean(c) has mean 1/2 and variance 1 / (12 N), which gives p. Effects: the
    largest deviation of the curve, and the `equivalent_inflation` of the standard deviations. `detail` holds levels,
    coverage and its Wilson intervals.

    Raises:
        UsageError: if the estimator has no density; use `tarp`, which needs draws only.
    """
    if trials.log_q_truth is None or trials.log_q_draws is None:
        raise UsageError("got an estimator without log_prob_many; expected a density; use tarp, which needs draws only")
    c = hpd_levels(trials.log_q_truth, trials.log_q_draws, key=as_key(key))
    n = len(c)
    area = float(0.5 - c.mean())
    hits = np.sum(c[:, None] <= LEVELS, axis=0).astype(float)
    low, high = wilson_interval(hits, n)
    deviation = hits / n - LEVELS
    worst = float(deviation[np.argmax(np.abs(deviation))])
    inflation = equivalent_inflation(float(c.mean()), trials.truth.shape[1])
    p = float(2.0 * norm.sf(abs(area) * np.sqrt(12.0 * n)))
    return TestResult(
        name="coverage",
        question="Do regions of highest density hold the truth as often as they say?",
        p_value=p,
        statistic=area,
        n=n,
        effects={"sd inflation": inflation, "largest deviation": worst, "coverage of 95 %": float(hits[-1] / n)},
        note="" if p >= WARN_BELOW else "overconfident" if area < 0 else "underconfident",
        detail={"levels": LEVELS, "coverage": hits / n, "low": low, "high": high, "hpd_levels": c},
    )
