"""The shortest interval that holds a given probability."""

import numpy as np
from jaxtyping import Float

from quincunx.errors import UsageError


def hdi(draws: Float[np.ndarray, "n *columns"], mass: float = 0.95) -> Float[np.ndarray, "2 *columns"]:
    """Highest-density interval of each column: the shortest [low, high] that holds `mass` of the draws.

    It is one interval; where a marginal has several modes, it spans them.

    Raises:
        UsageError: if `mass` is not in (0, 1].

    >>> import numpy as np
    >>> hdi(np.r_[np.linspace(0.0, 1.0, 90), np.linspace(5.0, 9.0, 10)], 0.9)
    array([0., 1.])
    """
    if not 0.0 < mass <= 1.0:
        raise UsageError(f"got mass={mass}; expected a probability in (0, 1]; pass for example 0.95")
    ordered = np.sort(np.asarray(draws, float), axis=0)
    n = len(ordered)
    kept = min(n, max(1, int(np.ceil(mass * n))))
    widths = ordered[kept - 1 :] - ordered[: n - kept + 1]
    start = np.argmin(widths, axis=0)[None]
    low = np.take_along_axis(ordered, start, axis=0)
    high = np.take_along_axis(ordered, start + kept - 1, axis=0)
    return np.concatenate([low, high])
