"""Galton boards with the same chance at every nail: fair and tilted."""

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, Int, PRNGKeyArray

from quincunx.gallery.catalogue import entry
from quincunx.gallery.conjugate import beta_binomial_truth
from quincunx.gallery.problem import Problem
from quincunx.model import Gold, Prior, simulator


def problem_uniform(*, rows: int = 20) -> Problem:
    """An upright board: P(right) = theta at every nail, theta ~ Beta(1, 1), x ~ Binomial(rows, theta).

    The posterior is Beta(1 + x, 1 + rows - x), the score (x - rows theta) / (theta (1 - theta)), the Fisher information
    rows / (theta (1 - theta)); a path's joint score depends on x only.

    >>> problem_uniform().truth.fisher({"theta": 0.5}).tolist()
    [[80.0]]
    """
    return _board("galton_uniform", rows, 1.0, 1.0, 0.5)


def problem_tilted(*, rows: int = 20) -> Problem:
    """A board that leans to the right, as its prior knows: P(right) = theta at every nail, theta ~ Beta(6, 2).

    >>> problem_tilted().prior.names
    ('theta',)
    """
    return _board("galton_tilted", rows, 6.0, 2.0, 0.75)


def _board(name: str, rows: int, a: float, b: float, default: float) -> Problem:
    truth = beta_binomial_truth(rows, a, b)
    prior = Prior(theta=dist.Beta(a, b))

    def trace(theta: dict, *, key: PRNGKeyArray) -> tuple[Float[Array, " 1"], Int[Array, " rows"]]:
        turns = jax.random.bernoulli(key, theta["theta"], (rows,)).astype(jnp.int32)
        return jnp.sum(turns)[None].astype(jnp.float32), turns

    def joint_log_prob(theta: dict, x: Float[Array, " 1"], z: Int[Array, " rows"]) -> Float[Array, ""]:
        rights = jnp.sum(z)
        value = rights * jnp.log(theta["theta"]) + (rows - rights) * jnp.log1p(-theta["theta"])
        return jnp.where(rights == x[0], value, -jnp.inf)

    @simulator(prior, name=name, observables=["rights"], tractable=truth, gold=Gold(trace, joint_log_prob))
    def simulate(theta, *, key, design=None):
        return trace(theta, key=key)[0]

    return Problem(entry(name), simulate, truth, {"theta": jnp.asarray(default)})
