"""Many chains side by side with one shared metric and step, adapted on all of them and then frozen."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from quincunx.infer.samplers.moves import LogDensity

WARMUP = 250
"""Steps of warm-up; the metric is refreshed at the ends of `WINDOWS`, the last hundred tune the step alone."""
WINDOWS = (25, 75, 150)


class Tuning(eqx.Module):
    """What the kernel may use: the lower Cholesky factor and the covariance of the target as seen so far, and the step."""

    scale: Float[Array, "d d"]
    covariance: Float[Array, "d d"]
    step: Float[Array, ""]


class ChainInfo(eqx.Module):
    """What one step of one chain did."""

    acceptance: Float[Array, " C"]
    divergent: Float[Array, " C"]
    evaluations: Float[Array, " C"]


class ChainState(eqx.Module):
    """Everything a run of chains remembers, so that it can stop at any step and go on."""

    points: PyTree
    covariance: Float[Array, "d d"]
    log_step: Float[Array, ""]
    log_step_mean: Float[Array, ""]
    first: Float[Array, " d"]
    second: Float[Array, "d d"]
    count: Float[Array, ""]
    t: Int[Array, ""]
    draws: Float[Array, "N C d"]
    acceptance: Float[Array, ""]
    divergences: Float[Array, ""]
    evaluations: Float[Array, ""]
    key: PRNGKeyArray


Kernel = Callable[[PRNGKeyArray, PyTree, LogDensity, PyTree, Tuning], tuple[PyTree, ChainInfo]]
"""`kernel(key, points, log_density, data, tuning)` moves all chains one step; `points.position` is (C, d)."""


def begin(
    points: PyTree, covariance: Float[Array, "d d"], length: int, *, step: float, key: PRNGKeyArray
) -> ChainState:
    """The state before the first step, at the given points and with a first guess of the covariance."""
    C, d = points.position.shape
    dtype = points.position.dtype
    zero = jnp.zeros((), dtype)
    log_step = jnp.log(jnp.asarray(step, dtype))
    return ChainState(
        points, covariance.astype(dtype), log_step, log_step, jnp.zeros(d, dtype), jnp.zeros((d, d), dtype), zero,
        jnp.int32(0), jnp.zeros((length, C, d), dtype), zero, zero, zero, key,
    )  # fmt: skip


@eqx.filter_jit
def advance_chains(
    kernel: Kernel,
    log_density: LogDensity,
    data: PyTree,
    state: ChainState,
    target_acceptance: float,
    stop_at: Int[Any, ""],
) -> ChainState:
    """Step all chains until the draws are full or `stop_at` steps are done.

    During warm-up the step follows the mean acceptance over chains (Robbins-Monro, averaged), the metric the pooled covariance of the
    last window. Both are frozen afterwards, so the recorded draws come from a fixed Markov kernel.
    """
    N, C, d = state.draws.shape
    ends = jnp.asarray(WINDOWS)

    def once(state: ChainState) -> ChainState:
        warm = state.t < WARMUP
        log_step = jnp.where(warm, state.log_step, state.log_step_mean)
        eye = jnp.eye(d, dtype=state.covariance.dtype)
        scale = jnp.linalg.cholesky(state.covariance + 1e-6 * eye * jnp.diagonal(state.covariance))
        tuning = Tuning(scale, state.covariance, jnp.exp(log_step))
        points, info = kernel(jax.random.fold_in(state.key, state.t), state.points, log_density, data, tuning)
        u = points.position
        acceptance = jnp.mean(info.acceptance).astype(u.dtype)

        window = state.t - jnp.max(jnp.where(ends <= state.t, ends, 0))
        gain = 1.0 / (1.0 + window) ** 0.6
        log_step = jnp.where(warm, state.log_step + gain * (acceptance - target_acceptance) * 2.0, state.log_step)
        weight = 1.0 / (1.0 + jnp.maximum(window - 10, 0)) ** 0.75
        log_step_mean = jnp.where(warm, weight * log_step + (1 - weight) * state.log_step_mean, state.log_step_mean)

        first, second, count = state.first + jnp.sum(u, 0), state.second + u.T @ u, state.count + C
        mean = first / count
        pooled = second / count - jnp.outer(mean, mean)
        keep = count / (count + 5.0)
        fresh = keep * pooled + (1 - keep) * eye * jnp.diagonal(pooled)
        refresh = jnp.any(state.t + 1 == ends)
        fresh = jnp.where(jnp.all(jnp.isfinite(fresh)) & jnp.all(jnp.diagonal(fresh) > 0), fresh, state.covariance)
        row = jnp.maximum(state.t - WARMUP, 0)
        kept = ~warm
        return ChainState(
            points,
            jnp.where(refresh, fresh, state.covariance),
            log_step,
            log_step_mean,
            jnp.where(refresh, 0.0, first),
            jnp.where(refresh, 0.0, second),
            jnp.where(refresh, 0.0, count),
            state.t + 1,
            state.draws.at[row].set(u),
            state.acceptance + kept * acceptance,
            state.divergences + kept * jnp.sum(info.divergent).astype(u.dtype),
            state.evaluations + jnp.max(info.evaluations).astype(u.dtype),
            state.key,
        )

    return jax.lax.while_loop(lambda s: (s.t < N + WARMUP) & (s.t < stop_at), once, state)
