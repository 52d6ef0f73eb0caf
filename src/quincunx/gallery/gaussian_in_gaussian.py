"""A Gaussian seen through a Gaussian: the shortest simulator whose hidden step carries the parameter."""

import math

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.gallery.catalogue import entry
from quincunx.gallery.normal import isotropic_log_prob
from quincunx.gallery.problem import Problem, Truth
from quincunx.model import Gold, Prior, simulator

HIDDEN_SD, NOISE_SD = 2.0, 1.0
VARIANCE = HIDDEN_SD**2 + NOISE_SD**2


def problem(*, events: int = 5, prior_sd: float = 3.0) -> Problem:
    """z ~ N(theta, 2^2), x ~ N(z, 1), theta ~ N(0, s^2), and an observation is a set of k independent x_i.

    x ~ N(theta, 5), so that the posterior is N(w mean(x), (1 - w) s^2), w = k s^2 / (k s^2 + 5). For one event

        joint score (z - theta) / 4,   score (x - theta) / 5,   log r(x | theta, 0) = (2 x theta - theta^2) / 10,

    and the information on theta is 1/4 where z is seen, 1/5 where only x is (1805.00020). (x - theta) / 4 is a well-known
    mistake for the joint score: it is no function of the draw that depends on theta, and its mean given x is wrong. The
    simulator draws one event; the truth takes any number, of shape (events, 1), or a single one, (1,).

    >>> pair = problem()
    >>> pair.gold.joint_score({"theta": 1.0}, jnp.array([5.0]), jnp.asarray(3.0))["theta"]
    Array(0.5, dtype=float32, weak_type=True)
    >>> pair.truth.score({"theta": 1.0}, jnp.array([5.0]))["theta"]
    Array(0.8, dtype=float32, weak_type=True)
    """

    def posterior_moments(x: Float[Array, "*events 1"]) -> tuple[Float[Array, ""], float]:
        weight = x.size * prior_sd**2 / (x.size * prior_sd**2 + VARIANCE)
        return weight * jnp.mean(x), math.sqrt(1 - weight) * prior_sd

    def log_likelihood(theta: dict, x: Float[Array, "*events 1"]) -> Float[Array, ""]:
        return isotropic_log_prob(x.reshape(-1), theta["theta"], VARIANCE)

    def log_posterior(theta: dict, x: Float[Array, "*events 1"]) -> Float[Array, ""]:
        return dist.Normal(*posterior_moments(x)).log_prob(theta["theta"])

    def log_evidence(x: Float[Array, "*events 1"]) -> Float[Array, ""]:
        # x ~ N(0, 5 I + s^2 1 1'): along the mean's direction the variance is 5 + k s^2.
        k, mean = x.size, jnp.mean(x)
        along = VARIANCE + k * prior_sd**2
        square = jnp.sum((x - mean) ** 2) / VARIANCE + k * mean**2 / along
        return -0.5 * (square + (k - 1) * math.log(VARIANCE) + math.log(along) + k * math.log(2 * math.pi))

    def posterior_sample(n: int, x: Float[Array, "*events 1"], *, key: PRNGKeyArray) -> dict[str, Float[Array, " n"]]:
        mean, sd = posterior_moments(x)
        return {"theta": mean + sd * jax.random.normal(key, (n,))}

    truth = Truth(
        kind="posterior",
        log_likelihood=log_likelihood,
        fisher=lambda theta: jnp.full((1, 1), 1 / VARIANCE),
        log_posterior=log_posterior,
        log_evidence=log_evidence,
        posterior_sample=posterior_sample,
    )
    prior = Prior(theta=dist.Normal(0.0, prior_sd))

    def trace(theta: dict, *, key: PRNGKeyArray) -> tuple[Float[Array, " 1"], Float[Array, ""]]:
        hidden, noise = jax.random.normal(key, (2,))
        z = theta["theta"] + HIDDEN_SD * hidden
        return (z + NOISE_SD * noise)[None], z

    def joint_log_prob(theta: dict, x: Float[Array, " 1"], z: Float[Array, ""]) -> Float[Array, ""]:
        hidden = -((z - theta["theta"]) ** 2) / (2 * HIDDEN_SD**2)
        noise = -((x[0] - z) ** 2) / (2 * NOISE_SD**2)
        return hidden + noise - math.log(2 * math.pi * HIDDEN_SD * NOISE_SD)

    @simulator(prior, name="gaussian_in_gaussian", tractable=truth, gold=Gold(trace, joint_log_prob))
    def simulate(theta, *, key, design=None):
        return trace(theta, key=key)[0]

    return Problem(entry("gaussian_in_gaussian"), simulate, truth, {"theta": jnp.asarray(2.0)}, events=events)
