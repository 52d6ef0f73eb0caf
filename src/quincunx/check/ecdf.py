"""Is a set of ranks uniform? The empirical distribution function with exact simultaneous bands."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int
from scipy.special import gammaln
from scipy.stats import binom

from quincunx.errors import UsageError
from quincunx.notebook import from_fields

MOST_POINTS = 100


@dataclass(frozen=True, eq=False)
class EcdfBand:
    """A simultaneous band for the ECDF of n uniform ranks: all of it stays inside with probability `level`.

    `points` (K,) are the fractions at which it is looked at, `lower` and `upper` (K,) the counts allowed there, `gamma`
    the level of the pointwise intervals that makes the simultaneous one come out right.
    """

    points: Float[np.ndarray, " K"]
    lower: Int[np.ndarray, " K"]
    upper: Int[np.ndarray, " K"]
    gamma: float
    n: int
    level: float

    _repr_html_ = from_fields


def evaluation_points(draws: int) -> Float[np.ndarray, " K"]:
    """The fractions z at which the ECDF of ranks is looked at: multiples of 1 / (draws + 1), at most 100.

    At these points the count of ranks below z (draws + 1) is exactly Binomial(n, z) for an exact posterior, discrete or
    not.

    >>> len(evaluation_points(99)), len(evaluation_points(999))
    (99, 99)
    """
    cells = draws + 1
    step = next(s for s in range(1, cells + 1) if cells % s == 0 and cells // s <= MOST_POINTS)
    if cells // step < 5:
        # A prime number of cells has no coarser division: keep every one of them.
        step = 1
    return np.arange(step, cells, step) / cells


def stays_inside(
    lower: Int[np.ndarray, " K"], upper: Int[np.ndarray, " K"], n: int, points: Float[np.ndarray, " K"]
) -> float:
    """The probability that n uniform values have lower_k <= #{values < z_k} <= upper_k at every k, exactly.

    Given their total, counts in disjoint intervals are those of a Poisson process: the recursion over the states inside the band
    (2103.10522, section 2.2) then has independent increments, C_k = C_{k-1} + Poisson(n (z_k - z_{k-1})), one convolution a point,
    and is divided by P(Poisson(n) = n) at the end.

    >>> import numpy as np
    >>> round(stays_inside(np.array([1]), np.array([1]), 2, np.array([0.5])), 6)
    0.5
    """
    log_factorial = gammaln(np.arange(n + 1) + 1.0)
    counts = np.arange(n + 1)

    @lru_cache(maxsize=8)
    def poisson(rate: float) -> np.ndarray:
        return np.exp(counts * np.log(rate) - rate - log_factorial)

    first, mass, past = 0, np.array([1.0]), 0.0
    for low, high, z in zip(lower, upper, points, strict=True):
        low, high = max(int(low), first), min(int(high), n)
        if high < low:
            return 0.0
        # rounded, so that equal steps are one and the same kernel
        rate = round(n * (z - past), 12)
        mass = np.convolve(mass, poisson(rate)[: high - first + 1])[low - first : high - first + 1]
        first, past = low, z
    left = n - first - np.arange(len(mass))
    total = -n + n * np.log(n) - log_factorial[n]
    return float(mass @ poisson(n * (1.0 - past))[left] / np.exp(total))


def _allowed(gamma: float, n: int, points: np.ndarray, *, strictly: bool) -> tuple[np.ndarray, np.ndarray]:
    # The counts whose two-sided pointwise tail probability is at least (or strictly more than) gamma.
    half = gamma / 2.0
    if strictly:
        # A hair above, so that the observed count itself is outside whatever the rounding.
        half = half * (1.0 + 1e-9)
    lower = binom.ppf(half, n, points)
    upper = binom.isf(half, n, points)
    # ppf gives the first count with cdf >= half and isf the first with sf <= half, that is with P(C >= upper) > half.
    return lower.astype(int), upper.astype(int)


@lru_cache(maxsize=256)
def _band(n: int, draws: int, level: float) -> EcdfBand:
    points = evaluation_points(draws)
    low, high = (1.0 - level) / len(points) / 2.0, 1.0 - level
    for _ in range(40):
        gamma = 0.5 * (low + high)
        if stays_inside(*_allowed(gamma, n, points, strictly=False), n, points) >= level:
            low = gamma
        else:
            high = gamma
    lower, upper = _allowed(low, n, points, strictly=False)
    return EcdfBand(points, lower, upper, low, n, level)


def simultaneous_band(n: int, draws: int, *, level: float = 0.95) -> EcdfBand:
    """The band that holds the whole ECDF of n ranks among `draws` draws with probability at least `level` (2103.10522).

    It is the widest set of pointwise Binomial(n, z) intervals of one common level; computed exactly and remembered.

    >>> band = simultaneous_band(300, 99)
    >>> int(band.lower[49]), int(band.upper[49])
    (125, 175)
    >>> stays_inside(band.lower, band.upper, 300, band.points) >= 0.95
    True
    """
    if n < 1 or draws < 1:
        raise UsageError(f"got {n} ranks among {draws} draws; expected at least one of each; simulate more")
    return _band(int(n), int(draws), float(level))


def ecdf_p_value(ranks: Int[np.ndarray, " n"], draws: int) -> tuple[float, float]:
    """Test uniformity of ranks on {0, ..., draws} by the ECDF's worst pointwise tail; returns (gamma, p).

    gamma = min_k 2 min(P(C_k <= c_k), P(C_k >= c_k)) with c_k = #{rank < z_k (draws + 1)}, C_k ~ Binomial(n, z_k), and
    p = P(gamma of uniform ranks <= gamma), exactly.

    >>> import numpy as np
    >>> gamma, p = ecdf_p_value(np.repeat(np.arange(100), 3), 99)
    >>> round(p, 3)
    1.0
    >>> ecdf_p_value(np.minimum(np.repeat(np.arange(100), 3), 60), 99)[1] < 1e-6
    True
    """
    ranks = np.asarray(ranks)
    n = len(ranks)
    points = evaluation_points(draws)
    counts = np.searchsorted(np.sort(ranks), np.rint(points * (draws + 1)).astype(int), side="left")
    tail = np.minimum(binom.cdf(counts, n, points), binom.sf(counts - 1, n, points))
    gamma = float(min(1.0, 2.0 * tail.min()))
    lower, upper = _allowed(gamma, n, points, strictly=True)
    return gamma, float(np.clip(1.0 - stays_inside(lower, upper, n, points), 0.0, 1.0))
