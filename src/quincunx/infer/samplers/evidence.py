"""The evidence by bridge sampling between the target and a normalised proposal (Meng and Wong 1996)."""

import numpy as np
from jaxtyping import Float


def bridge(at_target: Float[np.ndarray, " P"], at_proposal: Float[np.ndarray, " Q"]) -> tuple[float, float]:
    """log Z and its standard error, from log target - log q at draws of the target and at draws of q.

    Fixed point of Z = mean_q[r / (s1 r + s2 Z)] / mean_p[1 / (s1 r + s2 Z)], with r = target / q and s1 + s2 = 1 the shares of the two
    samples; the error is the delta method for independent draws. Bounded weights: neither side's tails can spoil it.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> p, q = rng.normal(size=2000), 1.2 * rng.normal(size=2000)
    >>> ratio = lambda x: -0.5 * x**2 + 0.5 * (x / 1.2) ** 2 + np.log(1.2 * np.sqrt(2 * np.pi))
    >>> value, error = bridge(ratio(p), ratio(q))
    >>> bool(abs(value - 0.5 * np.log(2 * np.pi)) < 3 * error), bool(error < 0.01)
    (True, True)
    """
    p, q = np.asarray(at_target, np.float64), np.asarray(at_proposal, np.float64)
    p = p[np.isfinite(p)]
    if not len(p) or not np.isfinite(q).any():
        return float("nan"), float("nan")
    shift = float(np.median(p))
    p, q = np.exp(np.clip(p - shift, -700, 700)), np.exp(np.clip(q - shift, -700, 700))
    s1, s2 = len(p) / (len(p) + len(q)), len(q) / (len(p) + len(q))
    Z = 1.0
    for _ in range(200):
        new = float(np.mean(q / (s1 * q + s2 * Z)) / np.mean(1.0 / (s1 * p + s2 * Z)))
        done = abs(np.log(new / Z)) < 1e-10
        Z = new
        if done:
            break
    f, g = q / (s1 * q + s2 * Z), 1.0 / (s1 * p + s2 * Z)
    variance = f.var() / (f.mean() ** 2 * len(f)) + g.var() / (g.mean() ** 2 * len(g))
    return float(np.log(Z) + shift), float(np.sqrt(variance))
