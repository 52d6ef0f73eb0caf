"""The mean of a Gaussian under a Gaussian prior (2101.04653, T.1)."""

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.gallery.benchmark import observed, true_parameters
from quincunx.gallery.catalogue import entry
from quincunx.gallery.normal import isotropic_log_prob
from quincunx.gallery.problem import Problem, Truth
from quincunx.model import Prior, simulator

VARIANCE = 0.1
"""Variance of the prior and of the noise: 0.1 is no standard deviation here."""


def problem(*, dim: int = 10) -> Problem:
    """theta ~ N(0, 0.1 I), x | theta ~ N(theta, 0.1 I).

    The posterior is N(x/2, 0.05 I), the evidence N(x; 0, 0.2 I), and the mutual information (dim/2) log 2 nats.

    >>> problem(dim=2).truth.fisher({"theta": jax.numpy.zeros(2)})[0, 0]
    Array(10., dtype=float32)
    """
    sd = VARIANCE**0.5
    prior = Prior(theta=dist.Normal(jnp.zeros(dim), sd).to_event(1))

    def log_likelihood(theta: dict, x: Float[Array, " dim"]) -> Float[Array, ""]:
        return isotropic_log_prob(x, theta["theta"], VARIANCE)

    def log_posterior(theta: dict, x: Float[Array, " dim"]) -> Float[Array, ""]:
        return isotropic_log_prob(theta["theta"], x / 2, VARIANCE / 2)

    def posterior_sample(n: int, x: Float[Array, " dim"], *, key: PRNGKeyArray) -> dict[str, Float[Array, "n dim"]]:
        return {"theta": x / 2 + (VARIANCE / 2) ** 0.5 * jax.random.normal(key, (n, dim))}

    truth = Truth(
        kind="posterior",
        log_likelihood=log_likelihood,
        fisher=lambda theta: jnp.eye(dim) / VARIANCE,
        log_posterior=log_posterior,
        log_evidence=lambda x: isotropic_log_prob(x, 0.0, 2 * VARIANCE),
        posterior_sample=posterior_sample,
    )

    @simulator(prior, name="gaussian_linear", tractable=truth)
    def simulate(theta, *, key, design=None):
        return theta["theta"] + sd * jax.random.normal(key, (dim,))

    recorded = None
    if dim == 10:
        recorded = (observed("gaussian_linear"), {"theta": true_parameters("gaussian_linear")})
    return Problem(entry("gaussian_linear"), simulate, truth, {"theta": jnp.full(dim, 0.2)}, recorded=recorded)
