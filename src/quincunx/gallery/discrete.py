"""Binomial and Poisson draws that compile in a second: one uniform each, inverted outwards from the mode.

JAX's own samplers combine several rejection loops, which takes XLA far longer to compile than a gallery problem takes to
run. The search here ends after a few standard deviations, in lockstep for all draws, and is exact to float32 rounding.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Num, PRNGKeyArray

_TABLE = np.array(
    [0.0] + [math.lgamma(k + 1) - (k + 0.5) * math.log(k) + k - 0.5 * math.log(2 * math.pi) for k in range(1, 16)]
)
_NEGLIGIBLE = 1e-12


def draw_binomial(key: PRNGKeyArray, trials: Num[ArrayLike, "..."], p: Float[Array, "..."]) -> Float[Array, "..."]:
    """Draws of Binomial(trials, p) in the shape of p; `trials` may be traced, and is a whole number below 2^24.

    >>> draws = draw_binomial(jax.random.key(0), 1000, jnp.full(4000, 0.3))
    >>> bool(abs(draws.mean() - 300) < 1), bool(abs(draws.var() - 210) < 20)
    (True, True)
    """
    n = jnp.broadcast_to(jnp.asarray(trials, p.dtype), p.shape)
    flip = p > 0.5
    p = jnp.where(flip, 1 - p, p)
    mode = jnp.minimum(jnp.floor((n + 1) * p), n)
    inner = (mode > 0) & (mode < n)
    k, rest = jnp.where(inner, mode, 1.0), jnp.where(inner, n - mode, 1.0)
    mean = jnp.where(inner, n * p, 1.0)
    other = jnp.where(inner, n * (1 - p), 1.0)
    # Loader's saddle-point form of the probability, whose parts are all small near the mode.
    correction = _stirling_error(jnp.where(inner, n, 1.0)) - _stirling_error(k) - _stirling_error(rest)
    deviance = _deviance(k, mean) + _deviance(rest, other)
    at_mode = correction - deviance - 0.5 * jnp.log(2 * math.pi * k * rest / jnp.where(inner, n, 2.0))
    edge = jnp.where(mode > 0, n * jnp.log(jnp.where(mode > 0, p, 0.5)), n * jnp.log1p(-p))
    odds = p / (1 - p)
    drawn = _search(
        jax.random.uniform(key, p.shape, p.dtype),
        mode,
        jnp.exp(jnp.where(inner, at_mode, edge)),
        up=lambda k: (n - k) / (k + 1) * odds,
        down=lambda k: k / ((n - k + 1) * jnp.where(odds > 0, odds, 1.0)),
    )
    return jnp.where(flip, n - drawn, drawn)


def draw_poisson(key: PRNGKeyArray, mean: Float[Array, "..."]) -> Float[Array, "..."]:
    """Draws of Poisson(mean) in the shape of `mean`.

    >>> draws = draw_poisson(jax.random.key(0), jnp.full(4000, 7.0))
    >>> bool(abs(draws.mean() - 7) < 0.2), bool(abs(draws.var() - 7) < 0.7)
    (True, True)
    """
    mode = jnp.floor(mean)
    inner = mode > 0
    k = jnp.where(inner, mode, 1.0)
    saddle = -_stirling_error(k) - _deviance(k, jnp.where(inner, mean, 1.0)) - 0.5 * jnp.log(2 * math.pi * k)
    return _search(
        jax.random.uniform(key, mean.shape, mean.dtype),
        mode,
        jnp.exp(jnp.where(inner, saddle, -mean)),
        up=lambda k: mean / (k + 1),
        down=lambda k: k / jnp.where(mean > 0, mean, 1.0),
    )


def _search(
    u: Array, mode: Array, at_mode: Array, *, up: Callable[[Array], Array], down: Callable[[Array], Array]
) -> Array:
    """Take probabilities off u, at the mode, then one step further to either side at a time, until none of it is left.

    A rest that rounding leaves over when all probabilities have become negligible goes to the mode.
    """

    def searching(state: tuple[Array, ...]) -> Array:
        left, _, _, p_high, _, p_low = state
        return jnp.any((left >= 0) & (p_high + p_low > _NEGLIGIBLE))

    def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
        left, found, high, p_high, low, p_low = state
        p_high, high = p_high * jnp.maximum(up(high), 0.0), high + 1
        p_low, low = p_low * jnp.maximum(down(low), 0.0), low - 1
        after_high = left - p_high
        after_low = after_high - p_low
        open_before = left >= 0
        found = jnp.where(open_before & (after_high < 0), high, found)
        found = jnp.where(open_before & (after_high >= 0) & (after_low < 0), low, found)
        return jnp.where(open_before, after_low, left), found, high, p_high, low, p_low

    start = (u - at_mode, mode, mode, at_mode, mode, at_mode)
    return jax.lax.while_loop(searching, step, start)[1]


def _stirling_error(k: Array) -> Array:
    """log k! minus Stirling's formula."""
    series = 1 / (12 * k) - 1 / (360 * k**3)
    return jnp.where(k < 16, jnp.asarray(_TABLE, k.dtype)[jnp.clip(k, 0, 15).astype(jnp.int32)], series)


def _deviance(x: Array, mean: Array) -> Array:
    return x * jnp.log(x / mean) + mean - x
