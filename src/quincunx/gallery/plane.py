"""Exact posteriors of two bounded parameters, by a fine grid in float64."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.errors import NoTruth
from quincunx.gallery.precision import in_float64
from quincunx.model.simulator import rng_from_key

Box = tuple[tuple[float, float], tuple[float, float]]


def plane_log_evidence(
    log_likelihood: Callable[..., Any], box: Box, *, cells: int = 200
) -> Callable[..., Float[Array, ""]]:
    """A function of x: log of the mean of p(x | point) over a uniform point of the box, by the midpoint rule on cells^2 cells.

    >>> evidence = plane_log_evidence(lambda point, x: jnp.log(point[0] * point[1]), ((0.0, 1.0), (0.0, 1.0)))
    >>> evidence(jnp.ones(1))
    Array(-1.386, dtype=float32)
    """
    middles = _middles(box, cells)

    def log_evidence(x: Any) -> Float[Array, ""]:
        levels = jax.vmap(lambda point: log_likelihood(point, x))(jnp.asarray(middles))
        return jax.nn.logsumexp(levels) - 2 * jnp.log(cells)

    return log_evidence


def plane_posterior_sample(
    log_likelihood: Callable[..., Any], box: Box, *, cells: int = 200
) -> Callable[..., Float[np.ndarray, "n 2"]]:
    """A function of (n, x, key): draws of the point given x under a uniform prior on the box, a cell by its mass at the middle and
    a uniform point in it, so that the variance is wrong by the order of a cell's: 1 / (12 cells^2) of the box's width squared.

    Raises:
        NoTruth: from the function, if no point of the grid can produce x.

    >>> sample = plane_posterior_sample(lambda point, x: jnp.log(point[0]), ((0.0, 1.0), (0.0, 1.0)))
    >>> 0.64 < float(sample(4000, jnp.ones(1), key=jax.random.key(0))[:, 0].mean()) < 0.69
    True
    """
    middles = _middles(box, cells)
    widths = np.array([(high - low) / cells for low, high in box])
    # In slices: a likelihood that steps through time keeps its state for every point of a slice only.
    levels_on_grid = in_float64(
        lambda x: jax.lax.map(lambda point: log_likelihood(point, x), jnp.asarray(middles), batch_size=cells)
    )

    def posterior_sample(n: int, x: Any, *, key: PRNGKeyArray) -> Float[np.ndarray, "n 2"]:
        levels = levels_on_grid(x)
        if not np.isfinite(levels).any():
            raise NoTruth(
                f"got x = {x}, which no parameters can produce; expected a possible outcome; check the observation"
            )
        mass = np.cumsum(np.exp(levels - levels.max()))
        rng = rng_from_key(key)
        chosen = np.searchsorted(mass, rng.random(n) * mass[-1], side="right")
        return middles[chosen] + widths * (rng.random((n, 2)) - 0.5)

    return posterior_sample


def _middles(box: Box, cells: int) -> Float[np.ndarray, "points 2"]:
    share = (np.arange(cells) + 0.5) / cells
    axes = [low + share * (high - low) for low, high in box]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
