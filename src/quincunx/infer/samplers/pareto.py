"""Pareto-smoothed importance weights and the tail index k that says whether to trust them (arXiv:1507.02646)."""

import numpy as np
from jaxtyping import Float


def pareto_smooth(log_weight: Float[np.ndarray, " m"]) -> tuple[Float[np.ndarray, " m"], float]:
    """Smoothed log-weights (normalised to sum to one) and the shape k of a generalised Pareto fitted to the largest ones.

    The M = min(m/5, 3 sqrt(m)) largest weights are replaced by the fitted distribution's quantiles, none above the largest raw weight. k < 0.5: the
    weights have a variance; k < 0.7: estimates are usable; above, they are ruled by a few draws. k is -inf for equal weights and
    inf when fewer than five tail weights differ.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> k = pareto_smooth(rng.exponential(scale=0.5, size=10_000))[1]
    >>> bool(abs(k - 0.5) < 0.15)
    True
    """
    log_weight = np.array(log_weight, np.float64)
    log_weight[~np.isfinite(log_weight)] = -np.inf
    m = len(log_weight)
    top = log_weight.max(initial=-np.inf)
    if not np.isfinite(top):
        return np.full(m, -np.log(m)), float("inf")
    log_weight -= top
    if np.ptp(log_weight) == 0:
        return log_weight - np.log(m), float("-inf")
    tail = int(min(np.ceil(0.2 * m), np.ceil(3 * np.sqrt(m))))
    order = np.argsort(log_weight)
    k = float("inf")
    if 5 <= tail < m:
        inside = order[-tail:]
        cut = max(log_weight[order[-tail - 1]], np.log(np.finfo(np.float64).tiny))
        exceedance = np.exp(log_weight[inside]) - np.exp(cut)
        if np.unique(exceedance[exceedance > 0]).size >= 5:
            k, sigma = fit_pareto(exceedance[exceedance > 0])
            if np.isfinite(k):
                p = (np.arange(tail) + 0.5) / tail
                quantile = -sigma * np.log1p(-p) if abs(k) < 1e-12 else sigma * np.expm1(-k * np.log1p(-p)) / k
                log_weight[inside] = np.minimum(np.log(quantile + np.exp(cut)), 0.0)
    return log_weight - np.logaddexp.reduce(log_weight), k


def fit_pareto(x: Float[np.ndarray, " m"]) -> tuple[float, float]:
    """Shape k and scale sigma of a generalised Pareto with positive sample x, by Zhang and Stephens (2009), k shrunk weakly to 1/2."""
    x = np.sort(np.asarray(x, np.float64))
    n = len(x)
    grid = 30 + int(np.sqrt(n))
    prior = 3.0
    b = 1.0 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))
    b = b / (prior * x[int(n / 4 + 0.5) - 1]) + 1.0 / x[-1]
    k = np.log1p(-b[:, None] * x).mean(1)
    likelihood = n * (np.log(-b / k) - k - 1.0)
    weight = np.exp(likelihood - np.logaddexp.reduce(likelihood))
    slope = float(np.sum(b * weight))
    shape = float(np.log1p(-slope * x).mean())
    sigma = -shape / slope
    return (n * shape + 10 * 0.5) / (n + 10), sigma
