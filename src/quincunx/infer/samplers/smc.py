"""Adaptive tempered sequential Monte Carlo: many particles walk together from a broad reference to the target, without losing modes on the way."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from quincunx.infer.samplers.mixture import DEGREES, Mixture, improve, repeat
from quincunx.infer.samplers.moves import LogDensity, Population, sweep, uniforms_per_sweep
from quincunx.infer.samplers.tempering import next_beta, resample


class SMCSettings(eqx.Module):
    """How the population moves.

    `particles` walk; `components` fit their shape; each temperature keeps `ess_target` of the effective size; a level ends when the particles'
    correlation with where they stood is below `level_correlation` or after `level_sweeps`; draws are taken at the target each time the
    correlation falls below `draw_correlation` or after `draw_sweeps`.
    """

    particles: int = eqx.field(static=True, default=4096)
    components: int = eqx.field(static=True, default=16)
    gradient: bool = eqx.field(static=True, default=True)
    ess_target: float = 0.5
    level_correlation: float = 0.5
    level_sweeps: int = 5
    draw_correlation: float = 0.1
    draw_sweeps: int = 20


class SMCState(eqx.Module):
    """Everything a run remembers, so that it can stop at any sweep and go on."""

    population: Population
    reference: Mixture
    mixture: Mixture
    anchor: Float[Array, "P e"]
    eve: Int[Array, " P"]
    beta: Float[Array, ""]
    log_step: Float[Array, ""]
    log_evidence: Float[Array, ""]
    correlation: Float[Array, ""]
    worst_correlation: Float[Array, ""]
    jump_acceptance: Float[Array, ""]
    local_acceptance: Float[Array, ""]
    levels: Int[Array, ""]
    rested: Int[Array, ""]
    sweeps: Int[Array, ""]
    evaluations: Int[Array, ""]
    divergences: Int[Array, ""]
    stored: Int[Array, ""]
    draws: Float[Array, "S P d"]
    key: PRNGKeyArray


def start(prior_sample: Float[Any, "m d"], n: int, settings: SMCSettings, *, key: PRNGKeyArray) -> SMCState:
    """The state before the first sweep; the reference is a Student-t with the prior sample's (winsorised) mean and covariance.

    The particles hold no density yet, so that the first sweep's jump, drawn from the reference, is accepted by all.
    """
    sample = np.asarray(prior_sample)
    dtype = sample.dtype
    P, d = settings.particles, sample.shape[1]
    S = max(1, math.ceil(n / P))
    reference = fit_reference(sample)
    K = settings.components
    mixture = jax.tree.map(np.asarray, repeat(reference, K))
    zero, none = np.zeros((), dtype), np.zeros((), np.int32)
    population = Population(
        np.repeat(reference.mean, P, 0), np.full(P, -np.inf, dtype), np.full(P, -np.inf, dtype), np.zeros((P, d), dtype), np.zeros((P, d), dtype)
    )
    state = SMCState(
        population=population,
        reference=reference,
        mixture=mixture,
        anchor=np.zeros((P, d + 1), dtype),
        eve=np.arange(P, dtype=np.int32),
        beta=zero,
        log_step=np.asarray(np.log(0.8), dtype),
        log_evidence=zero,
        correlation=zero,
        worst_correlation=zero,
        jump_acceptance=zero,
        local_acceptance=zero,
        levels=none,
        rested=none,
        sweeps=none,
        evaluations=none,
        divergences=none,
        stored=none,
        draws=np.zeros((S, P, d), dtype),
        key=key,
    )
    return jax.tree.map(jnp.asarray, state)


def fit_reference(sample: Float[Any, "m d"]) -> Mixture:
    """One Student-t with the sample's mean and covariance after clipping each coordinate at five robust deviations."""
    dtype = sample.dtype
    sample = np.asarray(sample, np.float64)
    d = sample.shape[1]
    centre = np.median(sample, 0)
    spread = 1.4826 * np.median(np.abs(sample - centre), 0)
    spread = np.where(spread > 0, spread, sample.std(0) + 1e-6)
    clipped = np.clip(sample, centre - 5 * spread, centre + 5 * spread)
    covariance = np.cov(clipped, rowvar=False).reshape(d, d) + 1e-6 * np.diag(spread**2)
    scale = np.linalg.cholesky(covariance * (DEGREES - 2) / DEGREES)
    return Mixture(
        np.zeros(1, dtype), clipped.mean(0)[None].astype(dtype), scale[None].astype(dtype), np.linalg.inv(scale)[None].astype(dtype)
    )


@eqx.filter_jit
def advance(log_density: LogDensity, data: PyTree, state: SMCState, settings: SMCSettings, stop_at: Int[Any, ""]) -> SMCState:
    """Sweep until all draws are stored or `stop_at` sweeps are done; compiled once for every observation and every budget."""
    return _advance(log_density, data, state, settings, stop_at)


@eqx.filter_jit
def advance_many(
    log_density: LogDensity, data: PyTree, axes: PyTree, state: SMCState, settings: SMCSettings, stop_at: Int[Any, ""]
) -> SMCState:
    """`advance` for many observations side by side; `axes` says which parts of `data` count them (0 or None)."""

    def one(data: PyTree, state: SMCState) -> SMCState:
        return _advance(log_density, data, state, settings, stop_at)

    return eqx.filter_vmap(one, in_axes=(axes, 0))(data, state)


def _advance(log_density: LogDensity, data: PyTree, state: SMCState, settings: SMCSettings, stop_at: Array) -> SMCState:
    S, P, d = state.draws.shape
    # The correlation of P independent pairs is 1/sqrt(P): asking for less than three of these would never stop.
    threshold = jnp.maximum(settings.draw_correlation, 3.0 / math.sqrt(P))

    def unfinished(state: SMCState) -> Bool[Array, ""]:
        return (state.stored < S) & (state.sweeps < stop_at)

    def once(state: SMCState) -> SMCState:
        noise = jax.random.uniform(
            jax.random.fold_in(state.key, state.sweeps), (P, uniforms_per_sweep(d) + 1), state.draws.dtype, minval=jnp.finfo(state.draws.dtype).tiny
        )
        noise, extra = noise[:, 1:], noise[:, 0]
        due = (state.sweeps > 0) & (state.beta < 1) & ((state.correlation < settings.level_correlation) | (state.rested >= settings.level_sweeps))
        state = jax.lax.cond(due, lambda s: _cool(s, settings.ess_target, extra[0]), lambda s: s, state)
        adapt = (state.beta > 0) & (state.stored == 0) & (state.rested < 4)
        fresh = (state.levels == 1) & (state.rested == 0)
        spare = state.population.u[(extra[1 : 1 + settings.components] * P).astype(jnp.int32)]
        mixture = jax.lax.cond(adapt, lambda m: improve(m, state.population.u, spare, fresh), lambda m: m, state.mixture)
        population, info = sweep(
            log_density, data, state.population, state.reference, mixture, state.beta, state.log_step, noise, gradient=settings.gradient
        )
        wanted = 0.8 if settings.gradient else 0.3
        log_step = jnp.minimum(state.log_step + info.local_acceptance - wanted, math.log(2.0))
        rested = state.rested + 1
        correlation = _correlation(_features(population), state.anchor)
        state = eqx.tree_at(
            lambda s: (
                s.population, s.mixture, s.log_step, s.correlation, s.jump_acceptance, s.local_acceptance, s.rested, s.sweeps,
                s.evaluations, s.divergences,
            ),
            state,
            (
                population, mixture, log_step, correlation, info.jump_acceptance, info.local_acceptance, rested, state.sweeps + 1,
                state.evaluations + info.evaluations, state.divergences + info.divergences * (state.beta == 1),
            ),
        )  # fmt: skip
        settled = (state.stored > 0) | (rested >= 4)
        ready = (state.beta == 1) & settled & ((correlation < threshold) | (rested >= settings.draw_sweeps))
        return jax.lax.cond(ready, _store, lambda s: s, state)

    return jax.lax.while_loop(unfinished, once, state)


def _features(population: Population) -> Array:
    return jnp.concatenate([population.u, population.log_target[:, None]], 1)


def _correlation(now: Array, then: Array) -> Array:
    """The largest correlation over coordinates (and the log-density) between where the particles are and where they were."""
    now, then = now - jnp.mean(now, 0), then - jnp.mean(then, 0)
    scale = jnp.sqrt(jnp.sum(now**2, 0) * jnp.sum(then**2, 0))
    value = jnp.sum(now * then, 0) / jnp.where(scale > 0, scale, 1.0)
    return jnp.max(jnp.where(jnp.isfinite(value), jnp.abs(value), 0.0))


def _cool(state: SMCState, ess_target: Float[Any, ""], offset: Float[Array, ""]) -> SMCState:
    """Raise beta, gather evidence, resample."""
    now = state.population
    log_ratio = now.log_target - now.log_reference
    beta = next_beta(log_ratio, state.beta, ess_target)
    log_weight = jnp.where(jnp.isneginf(log_ratio), -jnp.inf, (beta - state.beta) * log_ratio)
    chosen = resample(log_weight, offset)
    population = jax.tree.map(lambda leaf: leaf[chosen], now)
    return eqx.tree_at(
        lambda s: (s.population, s.anchor, s.eve, s.beta, s.log_evidence, s.levels, s.rested),
        state,
        (
            population,
            _features(population),
            state.eve[chosen],
            beta,
            state.log_evidence + jax.nn.logsumexp(log_weight) - math.log(log_weight.shape[0]),
            state.levels + 1,
            jnp.int32(0),
        ),
    )


def _store(state: SMCState) -> SMCState:
    return eqx.tree_at(
        lambda s: (s.draws, s.stored, s.anchor, s.rested, s.worst_correlation),
        state,
        (
            state.draws.at[state.stored].set(state.population.u),
            state.stored + 1,
            _features(state.population),
            jnp.int32(0),
            jnp.maximum(state.worst_correlation, state.correlation),
        ),
    )
