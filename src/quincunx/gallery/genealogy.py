"""Kingman's coalescent with mutations, exactly: how many, how old the common ancestor, and both together (float64)."""

import numpy as np
from jaxtyping import Float
from scipy.linalg import expm

from quincunx.errors import NoTruth

__all__ = ["ancestor_cdf", "ancestor_density", "ancestor_moments", "draw_ancestor", "sites_probabilities"]

# While j lineages are left, a pair coalesces at the rate j (j - 1) / 2 and a mutation falls at the rate j theta / 2, so the
# number of mutations at that level is geometric and, given it, the time there is Gamma(K_j + 1, j (j - 1 + theta) / 2).


def sites_probabilities(n: int, theta: float, most: int) -> Float[np.ndarray, " sites"]:
    """P(S = k), k = 0..most, of the number of segregating sites in a sample of n: a sum of n - 1 geometric numbers.

    `theta` is twice the mutation rate per lineage in units of the time in which a pair coalesces (infinite sites).

    >>> round(float(sites_probabilities(2, 1.0, 3)[3]), 6)
    0.0625
    """
    found = np.zeros(most + 1)
    found[0] = 1.0
    for level in range(n, 1, -1):
        found = _cut(found, _level(level, theta, most)[0])
    return found


def ancestor_moments(n: int, theta: float, sites: int) -> tuple[float, float]:
    """Mean and standard deviation of the time to the most recent common ancestor given the number of segregating sites.

    Moments of the gammas are carried through the convolution over levels, so that nothing is cut off.

    >>> mean, sd = ancestor_moments(10, 5.0, 5)
    >>> round(mean, 6), round(sd, 6)
    (0.840892, 0.330032)
    """
    zeroth, first, second = np.zeros((3, sites + 1))
    zeroth[0] = 1.0
    for level in range(n, 1, -1):
        mass, rate = _level(level, theta, sites)
        shape = np.arange(sites + 1) + 1.0
        once, twice = mass * shape / rate, mass * shape * (shape + 1) / rate**2
        second = _cut(second, mass) + 2 * _cut(first, once) + _cut(zeroth, twice)
        first = _cut(first, mass) + _cut(zeroth, once)
        zeroth = _cut(zeroth, mass)
    mean = first[sites] / zeroth[sites]
    return float(mean), float(np.sqrt(second[sites] / zeroth[sites] - mean**2))


def ancestor_density(times: Float[np.ndarray, " t"], n: int, theta: float, sites: int) -> Float[np.ndarray, " t"]:
    """The density of the time to the most recent common ancestor given the number of segregating sites.

    By the forward equation of (lineages left, mutations so far), whose solution is the convolution of the gammas.

    >>> ancestor_density(np.array([1.0]), 2, 1.0, 0)
    array([0.27067057])
    """
    at, absorbed = _forward(times, n, theta, sites)
    # From two lineages with all the mutations, at the rate 1.
    return at[:, _state(n, 2, sites, sites)] / absorbed


def ancestor_cdf(times: Float[np.ndarray, " t"], n: int, theta: float, sites: int) -> Float[np.ndarray, " t"]:
    """The distribution function that belongs to `ancestor_density`.

    >>> ancestor_cdf(np.array([0.5]), 2, 1.0, 0)
    array([0.63212056])
    """
    at, absorbed = _forward(times, n, theta, sites)
    return at[:, -1] / absorbed


def draw_ancestor(size: int, n: int, theta: float, sites: int, rng: np.random.Generator) -> Float[np.ndarray, " size"]:
    """Independent draws of the time to the most recent common ancestor given the number of segregating sites.

    How many mutations fall while j lineages are left is drawn level by level from what remains, then a gamma for each.

    >>> draws = draw_ancestor(4000, 5, 2.0, 3, np.random.default_rng(0))
    >>> bool(abs(draws.mean() - 1.281994) < 4 * 0.605684 / 4000**0.5)
    True
    """
    # below[level][k] is the chance of k mutations while level, level - 1, ..., 2 lineages are left.
    below = [np.eye(1, sites + 1)[0]]
    for level in range(2, n + 1):
        below.append(_cut(below[-1], _level(level, theta, sites)[0]))
    left, total = np.full(size, sites), np.zeros(size)
    for level in range(n, 1, -1):
        mass, rate = _level(level, theta, sites)
        here = np.empty(size, int)
        for remaining in np.unique(left):
            chances = mass[: remaining + 1] * below[level - 2][remaining::-1]
            rows = left == remaining
            here[rows] = rng.choice(remaining + 1, size=int(rows.sum()), p=chances / chances.sum())
        total += rng.gamma(here + 1.0, 1 / rate)
        left = left - here
    return total


def _level(level: int, theta: float, most: int) -> tuple[Float[np.ndarray, " sites"], float]:
    """Probabilities of 0..most mutations while `level` lineages are left, and the rate at which that time ends."""
    chance = theta / (level - 1 + theta)
    return (1 - chance) * chance ** np.arange(most + 1), level * (level - 1 + theta) / 2


def _cut(one: Float[np.ndarray, " sites"], other: Float[np.ndarray, " sites"]) -> Float[np.ndarray, " sites"]:
    return np.convolve(one, other)[: len(one)]


def _state(n: int, level: int, mutations: int, sites: int) -> int:
    return (n - level) * (sites + 1) + mutations


def _forward(
    times: Float[np.ndarray, " t"], n: int, theta: float, sites: int
) -> tuple[Float[np.ndarray, "t states"], float]:
    """The chance of each state at each time, the last being the end with the right number of mutations; and P(S = sites)."""
    states = (n - 1) * (sites + 1)
    flow = np.zeros((states + 1, states + 1))
    for level in range(n, 1, -1):
        merge, mutate = level * (level - 1) / 2, level * theta / 2
        for mutations in range(sites + 1):
            here = _state(n, level, mutations, sites)
            flow[here, here] = -(merge + mutate)
            if mutations < sites:
                flow[here, here + 1] = mutate
            if level > 2:
                flow[here, _state(n, level - 1, mutations, sites)] = merge
            elif mutations == sites:
                flow[here, states] = merge
    start = np.zeros(states + 1)
    start[0] = 1.0
    reached, last, step = {0.0: start}, 0.0, {}
    for time in np.unique(times):
        wait = float(np.round(time - last, 12))
        if wait not in step:
            step[wait] = expm(flow * wait)
        reached[float(time)] = reached[last] @ step[wait]
        last = float(time)
    probability = sites_probabilities(n, theta, sites)[sites]
    if not probability > 0:
        raise NoTruth(
            f"got {sites} sites, which never happen at theta = {theta}; expected fewer; check the observation"
        )
    return np.stack([reached[float(time)] for time in times]), float(probability)
