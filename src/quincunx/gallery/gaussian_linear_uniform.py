"""The mean of a Gaussian under a uniform prior (2101.04653, T.2)."""

import math

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.gallery.benchmark import observed, true_parameters
from quincunx.gallery.catalogue import entry
from quincunx.gallery.normal import box_log_mass, isotropic_log_prob
from quincunx.gallery.problem import Problem, Truth
from quincunx.gallery.truncated import truncated_normal
from quincunx.model import Prior, simulator
from quincunx.model.simulator import rng_from_key

VARIANCE = 0.1
"""Variance of the noise."""


def problem(*, dim: int = 10) -> Problem:
    """theta ~ U(-1, 1)^dim, x | theta ~ N(theta, 0.1 I).

    The posterior is the product of N(x_i, 0.1) truncated to [-1, 1].

    >>> draws = problem(dim=2).reference(1, n=100)["theta"]
    >>> bool((abs(draws) <= 1).all())
    True
    """
    sd = VARIANCE**0.5
    prior = Prior(theta=dist.Uniform(-jnp.ones(dim), jnp.ones(dim)).to_event(1))

    def log_likelihood(theta: dict, x: Float[Array, " dim"]) -> Float[Array, ""]:
        return isotropic_log_prob(x, theta["theta"], VARIANCE)

    def log_evidence(x: Float[Array, " dim"]) -> Float[Array, ""]:
        return box_log_mass(x, sd, 1.0) - dim * math.log(2.0)

    def log_posterior(theta: dict, x: Float[Array, " dim"]) -> Float[Array, ""]:
        inside = jnp.all(jnp.abs(theta["theta"]) <= 1.0)
        return jnp.where(inside, log_likelihood(theta, x) - box_log_mass(x, sd, 1.0), -jnp.inf)

    def posterior_sample(n: int, x: Float[Array, " dim"], *, key: PRNGKeyArray) -> dict[str, Float[Array, "n dim"]]:
        draws = truncated_normal(x, sd, -1.0, 1.0, rng=rng_from_key(key), shape=(n, dim))
        return {"theta": jnp.asarray(draws, jnp.float32)}

    truth = Truth(
        kind="posterior",
        log_likelihood=log_likelihood,
        fisher=lambda theta: jnp.eye(dim) / VARIANCE,
        log_posterior=log_posterior,
        log_evidence=log_evidence,
        posterior_sample=posterior_sample,
    )

    @simulator(prior, name="gaussian_linear_uniform", tractable=truth)
    def simulate(theta, *, key, design=None):
        return theta["theta"] + sd * jax.random.normal(key, (dim,))

    recorded = None
    if dim == 10:
        recorded = (observed("gaussian_linear_uniform"), {"theta": true_parameters("gaussian_linear_uniform")})
    return Problem(entry("gaussian_linear_uniform"), simulate, truth, {"theta": jnp.full(dim, 0.5)}, recorded=recorded)
