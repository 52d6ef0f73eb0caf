"""Exact posteriors of one bounded parameter, by a fine grid in float64.

What these functions return takes, after x, whatever else the log-likelihood takes: the design of an experiment.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.errors import NoTruth
from quincunx.gallery.precision import in_float64
from quincunx.model.simulator import rng_from_key

_CELLS = 2000


def grid_log_evidence(
    name: str, log_likelihood: Callable[..., Any], low: float, high: float
) -> Callable[..., Float[Array, ""]]:
    """A function of x: log of the mean of p(x | theta) over theta ~ U(low, high), by the midpoint rule on 2000 cells.

    >>> evidence = grid_log_evidence("p", lambda theta, x: jnp.log(theta["p"]), 0.0, 1.0)
    >>> evidence(jnp.ones(1))
    Array(-0.693, dtype=float32)
    """
    middles = low + (np.arange(_CELLS) + 0.5) / _CELLS * (high - low)

    def log_evidence(x: Any, *design: Any) -> Float[Array, ""]:
        levels = jax.vmap(lambda value: log_likelihood({name: value}, x, *design))(jnp.asarray(middles))
        return jax.nn.logsumexp(levels) - jnp.log(_CELLS)

    return log_evidence


def grid_log_posterior(
    name: str, log_likelihood: Callable[..., Any], low: float, high: float
) -> Callable[..., Float[Array, ""]]:
    """A function of theta and x: log p(theta | x) under theta ~ U(low, high), -inf outside.

    >>> posterior = grid_log_posterior("p", lambda theta, x: jnp.log(theta["p"]), 0.0, 1.0)
    >>> posterior({"p": 0.5}, jnp.ones(1)) < 1e-6
    Array(True, dtype=bool)
    """
    log_evidence = grid_log_evidence(name, log_likelihood, low, high)

    def log_posterior(theta: dict, x: Any, *design: Any) -> Float[Array, ""]:
        inside = (theta[name] >= low) & (theta[name] <= high)
        value = log_likelihood(theta, x, *design) - np.log(high - low) - log_evidence(x, *design)
        return jnp.where(inside, value, -jnp.inf)

    return log_posterior


def grid_posterior_sample(
    name: str, log_likelihood: Callable[..., Any], low: float, high: float
) -> Callable[..., dict[str, Float[Array, " n"]]]:
    """A function of (n, x, key): draws by inverting the distribution function, linear within each of 2000 cells of the
    trapezoid rule, so that its error is of the order of 1e-7 of the range for a smooth likelihood.

    >>> sample = grid_posterior_sample("p", lambda theta, x: jnp.log(theta["p"]), 0.0, 1.0)
    >>> 0.64 < float(sample(4000, jnp.ones(1), key=jax.random.key(0))["p"].mean()) < 0.69
    True
    """
    edges = np.linspace(low, high, _CELLS + 1)
    levels_on_edges = in_float64(
        lambda x, *design: jax.vmap(lambda value: log_likelihood({name: value}, x, *design))(jnp.asarray(edges))
    )

    def posterior_sample(n: int, x: Any, *design: Any, key: PRNGKeyArray) -> dict[str, Float[Array, " n"]]:
        levels = levels_on_edges(x, *design)
        if not np.isfinite(levels).any():
            raise NoTruth(
                f"got x = {x}, which no {name} can produce; expected a possible outcome; check the observation"
            )
        density = np.exp(levels - levels.max())
        mass = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
        draws = np.interp(rng_from_key(key).random(n), mass / mass[-1], edges)
        return {name: jnp.asarray(draws, jnp.float32)}

    return posterior_sample
