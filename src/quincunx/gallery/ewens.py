"""How many kinds there are in a sample: Ewens' sampling formula, by the urn that draws from it."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import xlogy
from jaxtyping import Array, Float, Int, PRNGKeyArray

from quincunx.gallery.catalogue import entry
from quincunx.gallery.grid import grid_log_evidence, grid_posterior_sample
from quincunx.gallery.problem import Problem, Truth
from quincunx.model import Gold, Prior, simulator


def problem(*, samples: int = 10, theta_prior: tuple[float, float] = (4.0, 2.0), most_theta: float = 20.0) -> Problem:
    """n genes are drawn one after another; the one after i others is a new allele with probability theta / (theta + i), else the
    copy of one of the others; x is the number of alleles, K (Ewens 1972; Hoppe's urn, or the Chinese restaurant).

    With the unsigned Stirling numbers of the first kind |s(n, k)| and theta^(n) = theta (theta + 1) ... (theta + n - 1)

        P(K = k) = |s(n, k)| theta^k / theta^(n),   E[K] = sum_{i<n} theta / (theta + i),   score (k - E[K]) / theta,

    and the Fisher information is sum_{i<n} i / (theta (theta + i)^2). K is sufficient: the joint score of the whole history, in
    which z says whom each gene copies (itself where it is new), equals the score. theta ~ Gamma(a, b) (b a rate), its posterior
    on a grid up to `most_theta`.

    >>> alleles = problem()
    >>> [round(float(jnp.exp(alleles.truth.log_likelihood({"theta": 2.0}, jnp.array([k])))), 4) for k in (1.0, 4.0)]
    [0.0182, 0.2901]
    """
    a, b = theta_prior
    others = np.arange(samples, dtype=np.int32)
    ways = np.array([-np.inf, *(math.log(number) for number in stirling_numbers(samples)[1:])])

    def log_likelihood(theta: dict, x: Float[Array, " 1"]) -> Float[Array, ""]:
        value = jnp.asarray(theta["theta"])
        index = jnp.round(x[0]).astype(jnp.int32)
        possible = (index == x[0]) & (index >= 1) & (index <= samples)
        known = jnp.asarray(ways, value.dtype)[jnp.clip(index, 1, samples)]
        return jnp.where(possible, known + xlogy(x[0], value) - jnp.sum(jnp.log(value + others)), -jnp.inf)

    def fisher(theta: dict) -> Float[Array, "1 1"]:
        value = jnp.asarray(theta["theta"])
        return jnp.sum(others / (value * (value + others) ** 2)).reshape(1, 1)

    def weighted(theta: dict, x: Float[Array, " 1"]) -> Float[Array, ""]:
        # The grid's own weight is that of a uniform prior.
        return log_likelihood(theta, x) + dist.Gamma(a, b).log_prob(theta["theta"]) + math.log(most_theta)

    log_evidence = grid_log_evidence("theta", weighted, 0.0, most_theta)
    truth = Truth(
        kind="posterior",
        log_likelihood=log_likelihood,
        fisher=fisher,
        log_posterior=lambda theta, x: (
            log_likelihood(theta, x) + dist.Gamma(a, b).log_prob(theta["theta"]) - log_evidence(x)
        ),
        log_evidence=log_evidence,
        posterior_sample=grid_posterior_sample("theta", weighted, 1e-9, most_theta),
    )
    prior = Prior(theta=dist.Gamma(a, b))

    def trace(theta: dict, *, key: PRNGKeyArray) -> tuple[Float[Array, " 1"], Int[Array, " samples"]]:
        first, second = jax.random.split(key)
        new = jax.random.uniform(first, (samples,)) * (theta["theta"] + others) < theta["theta"]
        # The first has nobody to copy, whatever rounding says.
        new = new.at[0].set(True)
        copied = jnp.where(new, others, jax.random.randint(second, (samples,), 0, np.maximum(others, 1)))
        return jnp.sum(new)[None].astype(jnp.float32), copied

    def joint_log_prob(theta: dict, x: Float[Array, " 1"], z: Int[Array, " samples"]) -> Float[Array, ""]:
        alleles = jnp.sum(z == others)
        value = alleles * jnp.log(theta["theta"]) - jnp.sum(jnp.log(theta["theta"] + others))
        return jnp.where(alleles == x[0], value, -jnp.inf)

    gold = Gold(trace, joint_log_prob)

    @simulator(prior, name="ewens", observables=["alleles"], tractable=truth, gold=gold)
    def simulate(theta, *, key, design=None):
        return trace(theta, key=key)[0]

    return Problem(entry("ewens"), simulate, truth, {"theta": jnp.asarray(2.0)})


@functools.lru_cache(maxsize=32)
def stirling_numbers(n: int) -> tuple[int, ...]:
    """|s(n, k)|, k = 0..n: how many permutations of n have k cycles, exactly; |s(n+1, k)| = n |s(n, k)| + |s(n, k-1)|.

    >>> stirling_numbers(4)
    (0, 6, 11, 6, 1)
    """
    row = [1]
    for i in range(n):
        row = [i * here + left for here, left in zip([*row, 0], [0, *row])]
    return tuple(row)


def allele_frequencies(copied: Int[np.ndarray, " samples"]) -> Int[np.ndarray, " samples"]:
    """How many alleles are found j times, j = 1..n, in a history that says whom each gene copies.

    Ewens' formula gives its chance: n! / theta^(n) prod_j theta^{a_j} / (j^{a_j} a_j!).

    >>> allele_frequencies(np.array([0, 0, 2, 1]))
    array([1, 0, 1, 0])
    """
    first = np.arange(len(copied))
    for i, other in enumerate(copied):
        first[i] = first[other] if other != i else i
    times = np.bincount(first, minlength=len(copied))
    return np.bincount(times, minlength=len(copied) + 1)[1:]
