"""The age of a family tree, from its mutations: Kingman's coalescent under infinite sites (Tavaré et al. 1997)."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import gammaln, xlogy
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.errors import MissingExtra, UsageError
from quincunx.gallery import genealogy
from quincunx.gallery.catalogue import entry
from quincunx.gallery.discrete import draw_poisson
from quincunx.gallery.grid import grid_log_evidence, grid_posterior_sample
from quincunx.gallery.latent import LatentPosterior
from quincunx.gallery.problem import Problem, Truth
from quincunx.model import Gold, Prior, simulator

_SEED_END = 2**31


def problem(
    *,
    samples: int = 10,
    most_sites: int = 300,
    theta_prior: tuple[float, float] = (4.0, 0.8),
    most_theta: float = 30.0,
    engine: Literal["jax", "msprime"] = "jax",
) -> Problem:
    """Sequences of n individuals; x is at how many sites they differ, S, and theta twice the mutation rate per lineage.

    In units of the time in which a pair of lineages coalesces, j lineages stay T_j ~ Exp(j (j - 1) / 2), the tree has the
    length L = sum_j j T_j, and S ~ Poisson(theta L / 2): E[S] = theta sum_{i<n} 1/i. theta ~ Gamma(a, b) (b a rate), its
    posterior on a grid up to `most_theta`; the likelihood is known for S up to `most_sites`. `gold` traces the times.
    `truth.latents(theta, x)["age"]` is the exact posterior of the age of the common ancestor, sum_j T_j, given both
    (`quincunx.gallery.genealogy`). `engine="msprime"` draws with
    msprime (the extra of that name), many at a time, as a plain Python simulator, and has no gold.

    Raises:
        MissingExtra: if msprime is asked for and not installed.

    >>> family = problem(samples=2)
    >>> round(float(jnp.exp(family.truth.log_likelihood({"theta": 1.0}, jnp.array([3.0])))), 4)
    0.0625
    >>> family.truth.latents({"theta": 1.0}, jnp.array([3.0]))["age"]
    LatentPosterior(mean 2, sd 1)
    """
    if engine not in ("jax", "msprime"):
        raise UsageError(f"got engine={engine!r}; expected jax or msprime; name one of these")
    a, b = theta_prior
    levels = np.arange(samples, 1, -1)

    def log_likelihood(theta: dict, x: Float[Array, " 1"]) -> Float[Array, ""]:
        return log_sites_probability(jnp.asarray(theta["theta"]), x[0], samples, most_sites)

    prior = Prior(theta=dist.Gamma(a, b))

    def weighted(theta: dict, x: Float[Array, " 1"]) -> Float[Array, ""]:
        # The grid's own weight is that of a uniform prior.
        return log_likelihood(theta, x) + dist.Gamma(a, b).log_prob(theta["theta"]) + jnp.log(most_theta)

    log_evidence = grid_log_evidence("theta", weighted, 0.0, most_theta)

    def log_posterior(theta: dict, x: Float[Array, " 1"]) -> Float[Array, ""]:
        return log_likelihood(theta, x) + dist.Gamma(a, b).log_prob(theta["theta"]) - log_evidence(x)

    truth = Truth(
        kind="posterior",
        log_likelihood=log_likelihood,
        log_posterior=log_posterior,
        log_evidence=log_evidence,
        posterior_sample=grid_posterior_sample("theta", weighted, 1e-9, most_theta),
        latents=lambda theta, x: {"age": _age(samples, float(theta["theta"]), int(np.asarray(x).item()))},
    )

    def trace(theta: dict, *, key: PRNGKeyArray) -> tuple[Float[Array, " 1"], Float[Array, " levels"]]:
        first, second = jax.random.split(key)
        times = jax.random.exponential(first, (samples - 1,)) / (levels * (levels - 1) / 2)
        return draw_poisson(second, (theta["theta"] * jnp.sum(levels * times) / 2)[None]), times

    def joint_log_prob(theta: dict, x: Float[Array, " 1"], z: Float[Array, " levels"]) -> Float[Array, ""]:
        rates, mean = levels * (levels - 1) / 2, theta["theta"] * jnp.sum(levels * z) / 2
        return jnp.sum(jnp.log(rates) - rates * z) + xlogy(x[0], mean) - mean - gammaln(x[0] + 1)

    described: dict[str, Any] = {"name": "coalescent", "observables": ["segregating sites"], "tractable": truth}

    @simulator(prior, gold=Gold(trace, joint_log_prob), **described)
    def simulate(theta, *, key, design=None):
        return trace(theta, key=key)[0]

    default = {"theta": jnp.asarray(5.0)}
    if engine == "jax":
        return Problem(entry("coalescent"), simulate, truth, default)
    _msprime()

    @simulator(prior, **described)
    def simulate_with_msprime(theta, *, rngs, design=None):
        return sites_and_age(theta["theta"], samples, rngs)[:, :1]

    return Problem(entry("coalescent"), simulate_with_msprime, truth, default)


def log_sites_probability(
    theta: Float[Array, ""], sites: Float[Array, ""], samples: int, most: int
) -> Float[Array, ""]:
    """log P(S = sites), S the sum of n - 1 geometric numbers, -inf for what is no number from 0 to `most`.

    With q_j = theta / (j + theta), P(S = k) = prod_j (1 - q_j) h_k(q), where h_k is the sum of all products of k of the q_j.
    The alternating sum of the textbooks loses all digits beyond n = 30; this is a sum of positive terms, and after q_1^k is
    taken out of h_k it neither overflows nor underflows.

    >>> log_sites_probability(jnp.asarray(1.0), jnp.asarray(0.0), 2, 10)
    Array(-0.693147, dtype=float32)
    """
    others = jnp.arange(1, samples)
    ratios = (1 + theta) / (others + theta)

    def next_count(before: Array, count: Array) -> tuple[Array, Array]:
        above = jnp.where(count == 0, 1.0, 0.0).astype(ratios.dtype)
        found = []
        for level in range(samples - 1):
            above = above + ratios[level] * before[level]
            found.append(above)
        return jnp.stack(found), above

    table = jax.lax.scan(next_count, jnp.zeros_like(ratios), jnp.arange(most + 1))[1]
    index = jnp.round(sites).astype(jnp.int32)
    possible = (index == sites) & (index >= 0) & (index <= most)
    none = jnp.sum(jnp.log(others) - jnp.log(others + theta))
    value = none + xlogy(sites, theta) - sites * jnp.log1p(theta) + jnp.log(table[jnp.clip(index, 0, most)])
    return jnp.where(possible, value, -jnp.inf)


def sites_and_age(
    theta: Float[np.ndarray, " n"], samples: int, rngs: Sequence[np.random.Generator]
) -> Float[np.ndarray, "n 2"]:
    """The number of segregating sites and the age of the common ancestor, by msprime, one row for each theta.

    Raises:
        MissingExtra: if msprime is not installed.
    """
    msprime = _msprime()
    # One haploid in each generation's unit of time makes a pair coalesce at the rate 1.
    history: Mapping[str, Any] = {"ploidy": 1, "population_size": 1, "sequence_length": 1, "discrete_genome": False}
    found = np.empty((len(rngs), 2))
    for row, (value, rng) in enumerate(zip(theta, rngs)):
        first, second = (int(seed) for seed in rng.integers(1, _SEED_END, 2))
        trees = msprime.sim_ancestry(samples, random_seed=first, **history)
        mutated = msprime.sim_mutations(trees, rate=float(value) / 2, random_seed=second, discrete_genome=False)
        tree = trees.first()
        found[row] = mutated.num_sites, tree.time(tree.root)
    return found


def _age(samples: int, theta: float, sites: int) -> LatentPosterior:
    given = (samples, theta, sites)
    return LatentPosterior(
        *genealogy.ancestor_moments(*given),
        density=lambda times: genealogy.ancestor_density(times, *given),
        cdf=lambda times: genealogy.ancestor_cdf(times, *given),
        draw=lambda size, rng: genealogy.draw_ancestor(size, *given, rng),
    )


def _msprime() -> Any:
    try:
        return importlib.import_module("msprime")
    except ModuleNotFoundError as error:
        raise MissingExtra("msprime", "the coalescent by msprime") from error
