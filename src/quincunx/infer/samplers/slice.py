"""Hit-and-run slice sampling (Neal, doi:10.1214/aos/1056562461) along directions of the target's own covariance; needs no gradient."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree

from quincunx.infer.samplers.chains import ChainInfo, Tuning
from quincunx.infer.samplers.moves import LogDensity, evaluate
from quincunx.infer.samplers.points import SlicePoints

MAX_STEPS_OUT = 8
MAX_ROUNDS = 60


def slice_kernel(
    key: PRNGKeyArray, points: PyTree, log_density: LogDensity, data: PyTree, tuning: Tuning
) -> tuple[PyTree, ChainInfo]:
    """d hit-and-run moves of every chain: a random direction, stepping out to at most eight widths, then shrinking to an accepted point.

    Stepping left, stepping right and shrinking are three phases of one loop that evaluates one point a chain, so chains never wait for
    each other's phase and the target is compiled once.
    """
    C, d = points.position.shape

    def move(i: Array, carry: tuple) -> tuple:
        points, rounds = carry
        points, used = _hit_and_run(jax.random.fold_in(key, i), points, log_density, data, tuning)
        return points, rounds + used

    points, rounds = jax.lax.fori_loop(0, d, move, (points, jnp.zeros((), points.position.dtype)))
    ones = jnp.ones((C,), points.position.dtype)
    return points, ChainInfo(ones, 0 * ones, rounds * ones)


def _hit_and_run(
    key: PRNGKeyArray, points: PyTree, log_density: LogDensity, data: PyTree, tuning: Tuning
) -> tuple[PyTree, Array]:
    C, d = points.position.shape
    dtype = points.position.dtype
    direction_key, uniform_key, shrink_key = jax.random.split(key, 3)
    direction = jax.random.normal(direction_key, (C, d), dtype)
    direction = direction / jnp.linalg.norm(direction, axis=1, keepdims=True) @ tuning.scale.T
    uniform = jax.random.uniform(uniform_key, (3, C), dtype, minval=jnp.finfo(dtype).tiny)
    height = points.logdensity + jnp.log(uniform[0])
    width = 3.0 * tuning.step
    left = -uniform[1] * width
    left_budget = jnp.floor(uniform[2] * MAX_STEPS_OUT)
    budget = jnp.stack([left_budget, MAX_STEPS_OUT - 1 - left_budget])

    def one(carry: tuple) -> tuple:
        t, phase, low, high, budget, x, value = carry
        inside = low + (high - low) * jax.random.uniform(jax.random.fold_in(shrink_key, t), (C,), dtype)
        at = jnp.where(phase == 0, low, jnp.where(phase == 1, high, inside))
        log_target = evaluate(log_density, data, points.position + at[:, None] * direction, gradient=False).log_target
        above = log_target > height

        widen_left = (phase == 0) & above & (budget[0] > 0)
        widen_right = (phase == 1) & above & (budget[1] > 0)
        accepted = (phase == 2) & above
        rejected = (phase == 2) & ~above
        low = jnp.where(widen_left, low - width, jnp.where(rejected & (at < 0), at, low))
        high = jnp.where(widen_right, high + width, jnp.where(rejected & (at >= 0), at, high))
        budget = budget - jnp.stack([widen_left, widen_right])
        x = jnp.where(accepted, at, x)
        value = jnp.where(accepted, log_target, value)
        done_left, done_right = (phase == 0) & ~widen_left, (phase == 1) & ~widen_right
        phase = phase + done_left + done_right + accepted
        return t + 1, phase, low, high, budget, x, value

    start = (
        jnp.int32(0), jnp.zeros(C, jnp.int32), left, left + width, budget, jnp.zeros(C, dtype), points.logdensity,
    )  # fmt: skip
    t, _, _, _, _, x, value = jax.lax.while_loop(lambda c: (c[0] < MAX_ROUNDS) & jnp.any(c[1] < 3), one, start)
    return SlicePoints(points.position + x[:, None] * direction, value), t.astype(dtype)
