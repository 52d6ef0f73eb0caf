"""Intervals for a proportion."""

import numpy as np
from jaxtyping import Float, Real
from scipy.special import ndtri


def wilson(
    successes: Real[np.ndarray, "..."], trials: Real[np.ndarray, "..."] | int, confidence: float = 0.95
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    r"""Wilson's score interval of a binomial proportion, which stays in [0, 1] and has width at 0 and 1.

    $(\hat p + z^2/2n \pm z\sqrt{\hat p(1-\hat p)/n + z^2/4n^2}) / (1 + z^2/n)$

    >>> low, high = wilson(np.array([0, 5, 10]), 10)
    >>> low.round(2).tolist(), high.round(2).tolist()
    ([0.0, 0.24, 0.72], [0.28, 0.76, 1.0])
    """
    z = float(ndtri(0.5 + confidence / 2))
    n = np.maximum(np.asarray(trials, dtype=float), 1e-9)
    p = np.asarray(successes, dtype=float) / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)
