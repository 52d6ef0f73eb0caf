"""Which columns of x say anything about theta: screening by ranks, before a network sees them."""

import numpy as np
from jaxtyping import Array, Bool, Float
from scipy.stats import norm, rankdata

from quincunx.errors import InvalidSimulations, ShapeMismatch, TooFewSimulations

_X_DEGREES, _THETA_DEGREES = (1, 2, 3, 4), (1, 2)
_MOST_ROWS = 30_000
_COLUMNS_AT_ONCE = 32


def relevant_columns(
    x: Float[Array | np.ndarray, "n d"], theta: Float[Array | np.ndarray, "m p"], *, level: float = 0.01
) -> Bool[np.ndarray, " d"]:
    """True for every column of x that depends on theta, by a test of each pair of columns at family-wise error `level`.

    With U the ranks of a column on (0, 1) and P_k Legendre's polynomials, the statistic of column i and parameter j is
    sqrt(n - 1) corr(P_a(U_i), P_b(V_j)) for a = 1..4 and b = 1, 2: a trend in the location (a = 1), scale (2), skewness
    (3) and tails (4) of x with theta (b = 1) or with its distance from the middle (b = 2). Under independence each
    has mean zero and variance one exactly, whatever the tails of x, and is compared with a normal after Bonferroni's
    correction for all 8 d p of them. Sure-independence screening (math/0612857) with rank statistics.

    Dropping the other columns gives the posterior given fewer data: still calibrated, since what is trained on and
    what is conditioned on are the same columns, but wider if a dropped column mattered. What this cannot see is a
    column that matters only together with another (x_2 = theta + x_1, with x_1 pure noise) or only through an
    interaction of parameters. A constant column is never relevant. At most the first 30,000 rows are used.

    Raises `TooFewSimulations` below 50 rows, `ShapeMismatch` if the rows of x and theta do not match,
    `InvalidSimulations` if one is not a number.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> theta = rng.normal(size=(2000, 1))
    >>> x = np.column_stack([theta[:, 0] + rng.normal(size=2000), rng.standard_t(2, size=2000)])
    >>> relevant_columns(x, theta).tolist()
    [True, False]
    """
    if x.shape[0] != theta.shape[0]:
        raise ShapeMismatch(
            f"got {x.shape[0]} rows of x and {theta.shape[0]} of theta; expected one row of each per simulation; "
            "pass both from the same simulations"
        )
    x, theta = np.asarray(x[:_MOST_ROWS]), np.asarray(theta[:_MOST_ROWS])
    n, d = x.shape
    if n < 50:
        raise TooFewSimulations(
            f"got {n} simulations to screen on; expected at least 50; simulate more or do not screen"
        )
    if np.isnan(x).any() or np.isnan(theta).any():
        raise InvalidSimulations(
            "got rows that are not numbers; expected valid simulations; drop the failed ones first"
        )
    targets = _features(theta, _THETA_DEGREES)
    tests = d * theta.shape[1] * len(_X_DEGREES) * len(_THETA_DEGREES)
    threshold = norm.isf(level / tests / 2)
    relevant = np.zeros(d, bool)
    for start in range(0, d, _COLUMNS_AT_ONCE):
        columns = slice(start, start + _COLUMNS_AT_ONCE)
        features = _features(x[:, columns], _X_DEGREES)
        statistic = np.abs(np.einsum("nak,nbj->abkj", features, targets, optimize=True)) * np.sqrt(n - 1) / n
        relevant[columns] = (statistic > threshold).any(axis=(0, 1, 3))
    return relevant


def _features(values: Float[np.ndarray, "n d"], degrees: tuple[int, ...]) -> Float[np.ndarray, "n k d"]:
    """Legendre polynomials of the mid-ranks, brought to mean zero and variance one (zero for a constant column)."""
    n = len(values)
    v = (2 * rankdata(values, axis=0) - (n + 1)) / n
    powers = {1: v, 2: (3 * v**2 - 1) / 2, 3: (5 * v**3 - 3 * v) / 2, 4: (35 * v**4 - 30 * v**2 + 3) / 8}
    features = np.stack([powers[k] for k in degrees], axis=1)
    features -= features.mean(axis=0)
    spread = features.std(axis=0)
    return features / np.where(spread > 1e-9, spread, np.inf)
