"""Two Gaussians with one mean and very different widths (2101.04653, T.7, as corrected in sbibm 1.1)."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.gallery.benchmark import observed, true_parameters
from quincunx.gallery.catalogue import entry
from quincunx.gallery.normal import box_log_mass, isotropic_log_prob
from quincunx.gallery.problem import Problem, Truth
from quincunx.gallery.truncated import truncated_normal
from quincunx.model import Prior, simulator
from quincunx.model.simulator import rng_from_key

SCALES = (1.0, 0.1)
"""Standard deviations of the two components, each of weight one half."""

HALF_WIDTH = 10.0


def problem(*, dim: int = 2) -> Problem:
    """theta ~ U(-10, 10)^dim, x | theta ~ 1/2 N(theta, I) + 1/2 N(theta, 0.01 I): one component for the whole vector.

    The posterior is the same mixture around x truncated to the box, its weights in proportion to the mass that each
    component has inside.

    >>> problem().truth.log_likelihood({"theta": jnp.zeros(2)}, jnp.zeros(2))
    Array(2.084, dtype=float32)
    """
    prior = Prior(theta=dist.Uniform(-HALF_WIDTH * jnp.ones(dim), HALF_WIDTH * jnp.ones(dim)).to_event(1))

    def log_likelihood(theta: dict, x: Float[Array, " dim"]) -> Float[Array, ""]:
        parts = [isotropic_log_prob(x, theta["theta"], scale**2) for scale in SCALES]
        return jnp.logaddexp(*parts) - math.log(2.0)

    def component_masses(x: Float[Array, " dim"]) -> Float[Array, " 2"]:
        return jnp.stack([box_log_mass(x, scale, HALF_WIDTH) for scale in SCALES])

    def log_evidence(x: Float[Array, " dim"]) -> Float[Array, ""]:
        return jnp.logaddexp(*component_masses(x)) - math.log(2.0) - dim * math.log(2 * HALF_WIDTH)

    def log_posterior(theta: dict, x: Float[Array, " dim"]) -> Float[Array, ""]:
        inside = jnp.all(jnp.abs(theta["theta"]) <= HALF_WIDTH)
        value = log_likelihood(theta, x) - jnp.logaddexp(*component_masses(x)) + math.log(2.0)
        return jnp.where(inside, value, -jnp.inf)

    def posterior_sample(n: int, x: Float[Array, " dim"], *, key: PRNGKeyArray) -> dict[str, Float[Array, "n dim"]]:
        rng = rng_from_key(key)
        wide = 1 / (1 + np.exp(float(jnp.diff(component_masses(x))[0])))
        scale = np.where(rng.random(n) < wide, *SCALES)[:, None]
        draws = truncated_normal(np.asarray(x), scale, -HALF_WIDTH, HALF_WIDTH, rng=rng, shape=(n, dim))
        return {"theta": jnp.asarray(draws, jnp.float32)}

    truth = Truth(
        kind="posterior",
        log_likelihood=log_likelihood,
        log_posterior=log_posterior,
        log_evidence=log_evidence,
        posterior_sample=posterior_sample,
    )

    @simulator(prior, name="gaussian_mixture", tractable=truth)
    def simulate(theta, *, key, design=None):
        component, noise = jax.random.split(key)
        scale = jnp.where(jax.random.bernoulli(component), SCALES[0], SCALES[1])
        return theta["theta"] + scale * jax.random.normal(noise, (dim,))

    recorded = None
    if dim == 2:
        recorded = (observed("gaussian_mixture"), {"theta": true_parameters("gaussian_mixture")})
    return Problem(entry("gaussian_mixture"), simulate, truth, {"theta": jnp.zeros(dim)}, recorded=recorded)
