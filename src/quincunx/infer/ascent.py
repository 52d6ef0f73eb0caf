"""Climbing a log-likelihood: a damped Newton ascent inside a box, which JAX maps over starts, observations and grid points."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray
from scipy.special import ndtri

from quincunx.infer.terms import Terms
from quincunx.model import Prior
from quincunx.model.transforms import Transform

STEPS = 100
FORWARD = 8
"""Up to so many parameters the curvature is taken in forward mode, which stores nothing along loops."""
EDGE = float(-ndtri(1e-6))
"""The probit of 1e-6: as near to a bound as unconstrained space goes."""
DEEP = 60.0
"""How far logarithms go: e^-60 of the unit is zero to any purpose."""


class Box(eqx.Module):
    """Where an ascent may go in unconstrained space: bounds of every number, and its scale, the prior's standard deviation."""

    low: Float[Array | np.ndarray, " du"]
    high: Float[Array | np.ndarray, " du"]
    scale: Float[Array | np.ndarray, " du"]

    @classmethod
    def of(cls, prior: Prior, draws: Float[np.ndarray, "n du"]) -> "Box":
        """From draws of the prior in unconstrained space."""
        reach = np.concatenate([_reach(t) for t in prior.transforms])
        spread = np.std(draws, axis=0)
        return cls(-reach, reach, np.where(spread > 0, spread, 1.0).astype(np.float64))


class Hold(eqx.Module):
    """Which parameters are held at which values: masks over flat and unconstrained numbers, and flat values."""

    values: Float[Array | np.ndarray, "*batch d"]
    flat: Bool[Array | np.ndarray, " d"]
    u: Bool[Array | np.ndarray, " du"]


class Peak(eqx.Module):
    """Where an ascent ended: u, flat theta, log L, its gradient and Hessian in u, d theta / d u, and whether it converged."""

    u: Float[Array | np.ndarray, "*batch du"]
    theta: Float[Array | np.ndarray, "*batch d"]
    value: Float[Array | np.ndarray, "*batch"]
    gradient: Float[Array | np.ndarray, "*batch du"]
    hessian: Float[Array | np.ndarray, "*batch du du"]
    jacobian: Float[Array | np.ndarray, "*batch d du"]
    converged: Bool[Array | np.ndarray, "*batch"]


def climb(
    terms: Terms,
    box: Box,
    start: Float[Array, " du"],
    hold: Hold,
    x: Any,
    weight: Float[Array, "blocks m"],
    tolerance: Float[Array, ""] | float,
) -> Peak:
    """One ascent from `start`: p = |H|^-1 g, cut to a trust radius, with numbers at a bound held there while the slope points outwards.

    |H| has the absolute eigenvalues of the Hessian, so that steps go uphill where log L is not concave (1406.2572). It ends when the gain
    that the quadratic model expects, g.p / 2, is below `tolerance`, or when no smaller step gains anything.
    """
    scale, low, high = (jnp.asarray(a) for a in (box.scale, box.low, box.high))

    def theta_of(u: Array) -> Array:
        return jnp.where(hold.flat, hold.values, terms.prior.to_constrained(u))

    def jet(u: Array) -> tuple[Array, Array, Array]:
        value, slope, bend = _jet(lambda v: theta_of(v * scale), terms, u / scale, x, weight)
        sane = jnp.isfinite(value) & jnp.all(jnp.isfinite(slope)) & jnp.all(jnp.isfinite(bend))
        return (
            jnp.where(jnp.isfinite(value), value, -jnp.inf),
            jnp.where(sane, slope, 0.0),
            jnp.where(sane, bend, 0.0),
        )

    def step_of(u: Array, slope: Array, bend: Array) -> Array:
        still = hold.u | ((u <= low) & (slope < 0)) | ((u >= high) & (slope > 0))
        slope = jnp.where(still, 0.0, slope)
        bend = jnp.where(still[:, None] | still[None, :], 0.0, bend)
        values, vectors = jnp.linalg.eigh(bend)
        size = jnp.maximum(jnp.abs(values), 1e-12 * (1.0 + jnp.max(jnp.abs(values))))
        return jnp.where(still, 0.0, vectors @ ((vectors.T @ slope) / size))

    def going(state: tuple) -> Array:
        return ~state[6] & (state[7] < STEPS)

    # one evaluation a turn, of the candidate: the expensive part is then compiled once
    def advance(state: tuple) -> tuple:
        u, value, slope, bend, candidate, radius, _, count, _ = state
        told = jet(candidate)
        better = told[0] >= value
        reach = jnp.linalg.norm((candidate - u) / scale)
        radius = jnp.where(better, jnp.minimum(2.0 * radius, 4.0), 0.25 * jnp.minimum(radius, reach))
        u, value, slope, bend = jax.tree.map(
            lambda there, here: jnp.where(better, there, here), (candidate, *told), (u, value, slope, bend)
        )
        full = step_of(u, slope, bend)
        gain = 0.5 * jnp.vdot(slope, full)
        length = jnp.linalg.norm(full)
        cut = full * jnp.minimum(1.0, radius / jnp.where(length > 0, length, 1.0))
        reached = (gain < tolerance) & jnp.isfinite(value)
        stuck = radius < 1e-7
        # rounding hides gains smaller than what sums of this size can tell
        fine = reached | (stuck & (gain < 1e-3))
        return u, value, slope, bend, jnp.clip(u + cut * scale, low, high), radius, reached | stuck, count + 1, fine

    start = jnp.clip(start, low, high)
    no, zero = jnp.zeros((), bool), jnp.zeros_like(start)
    nothing = (jnp.asarray(-jnp.inf, start.dtype), zero, jnp.zeros((start.size, start.size), start.dtype))
    first = (start, *nothing, start, 0.5 * jnp.ones((), start.dtype), no, jnp.zeros((), jnp.int32), no)
    u, value, slope, bend, _, _, _, _, fine = jax.lax.while_loop(going, advance, first)
    jacobian = jax.jacfwd(theta_of)(u)
    return Peak(
        u, theta_of(u), value, slope / scale, bend / jnp.outer(scale, scale), jacobian, fine & jnp.isfinite(value)
    )


def _jet(theta_of: Any, terms: Terms, v: Array, x: Any, weight: Array) -> tuple[Array, Array, Array]:
    """log L, its gradient and its Hessian, summed over blocks of events so that nothing is stored for all of them."""

    def jet_of(function: Any) -> tuple[Array, Array, Array]:
        jacobian = jax.jacfwd if v.size <= FORWARD else jax.jacrev

        def slope(v: Array) -> tuple[Array, tuple[Array, Array]]:
            g, value = jacobian(lambda w: (function(w),) * 2, has_aux=True)(v)
            return g, (value, g)

        bend, (value, g) = jax.jacfwd(slope, has_aux=True)(v)
        return value, g, bend

    def of_block(carry: Any, block: Any) -> tuple[Any, None]:
        told = jet_of(lambda w: terms.block_total(theta_of(w), *block))
        return jax.tree.map(jnp.add, carry, told), None

    zero = (jnp.zeros((), v.dtype), jnp.zeros(v.shape, v.dtype), jnp.zeros((v.size, v.size), v.dtype))
    if len(weight) == 1:
        total = of_block(zero, jax.tree.map(lambda a: a[0], (x, weight)))[0]
    else:
        total = jax.lax.scan(of_block, zero, (x, weight))[0]
    if terms.rate is None:
        return total
    return jax.tree.map(jnp.add, total, jet_of(lambda w: terms.log_rate(theta_of(w), jnp.sum(weight))))


def _reach(transform: Transform) -> np.ndarray:
    low, high = transform.bounds()
    if transform.unconstrained_size != transform.size:
        return np.full(transform.unconstrained_size, DEEP)
    bounded = np.isfinite(low).astype(int) + np.isfinite(high).astype(int)
    return np.choose(bounded, [np.full(low.shape, np.inf), np.full(low.shape, DEEP), np.full(low.shape, EDGE)])


@eqx.filter_jit
def climb_all(
    terms: Terms,
    box: Box,
    starts: Any,
    hold: Hold,
    x: Any,
    weight: Any,
    tolerance: Any,
    shared: bool,
) -> Peak:
    """The best of several ascents for each of b sets of events or held values: starts (b, k, du), held values (b, d).

    With `shared` there is one set of events for all of them, else x and weight have a leading axis of b.
    """

    def one(starts: Array, values: Array, x: Any, weight: Array) -> Peak:
        mine = Hold(values, hold.flat, hold.u)
        peaks = jax.vmap(lambda start: climb(terms, box, start, mine, x, weight, tolerance))(starts)
        best = jnp.argmax(jnp.where(jnp.isnan(peaks.value), -jnp.inf, peaks.value))
        return jax.tree.map(lambda a: a[best], peaks)

    axis = None if shared else 0
    return jax.vmap(one, in_axes=(0, 0, axis, axis))(starts, hold.values, x, weight)


@eqx.filter_jit
def prior_draws(prior: Prior, n: int, key: PRNGKeyArray) -> tuple[Array, Array]:
    """n prior draws, flat and unconstrained."""
    flat = prior.sample_flat(n, key=key)
    return flat, prior.to_unconstrained(flat)
