"""Information about parameters in an outcome that has finitely many values, by adding up all of them."""

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp


def finite_information(log_p: Float[np.ndarray, "points outcomes"], weights: Float[np.ndarray, " points"]) -> float:
    """sum_x E[p(x | theta) log(p(x | theta) / p(x))] in nats, theta on points with weights, which are made to add up to one.

    >>> certain = np.array([[0.0, -np.inf], [-np.inf, 0.0]])                 # x tells theta: one bit
    >>> round(finite_information(certain, np.array([1.0, 1.0])), 4)
    0.6931
    """
    weights = weights / weights.sum()
    log_mean = logsumexp(log_p, b=weights[:, None], axis=0)
    p = np.exp(log_p)
    with np.errstate(invalid="ignore"):
        terms = np.where(p > 0, p * (log_p - log_mean), 0.0)
    return max(float(weights @ terms.sum(axis=1)), 0.0)
