"""Adaptive tempered sequential Monte Carlo: many particles walk together from a broad reference to the target, without losing modes on the way."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from quincunx.infer.samplers.mixture import Mixture, refit, standard
from quincunx.infer.samplers.moves import LogDensity, Population, evaluate, sweep, uniforms_per_sweep
from quincunx.infer.samplers.noise import uniforms
from quincunx.infer.samplers.reference import log_student
from quincunx.infer.samplers.tempering import next_beta, resample

ADAPT = 4
"""Sweeps after each change of temperature in which the mixture is refitted; afterwards, and for every recorded draw, it is frozen."""


class SMCSettings(eqx.Module):
    """How the population moves.

    `particles` walk; `components` fit their shape; each temperature keeps `ess_target` of the effective size; a level ends when the particles'
    correlation with where they stood is below `level_correlation` or after `level_sweeps`; draws are taken at the target each time the
    correlation falls below `draw_correlation` or after `draw_sweeps`. Where more than `jump_enough` of the jumps are accepted, most sweeps only jump.
    """

    particles: int = eqx.field(static=True, default=4096)
    components: int = eqx.field(static=True, default=32)
    gradient: bool = eqx.field(static=True, default=True)
    ess_target: float = 0.5
    level_correlation: float = 0.5
    level_sweeps: int = 5
    draw_correlation: float = 0.1
    draw_sweeps: int = 20
    jump_enough: float = 0.3


class SMCState(eqx.Module):
    """Everything a run remembers, so that it can stop at any sweep and go on."""

    population: Population
    mixture: Mixture
    anchor: Float[Array, "P e"]
    eve: Int[Array, " P"]
    beta: Float[Array, ""]
    log_step: Float[Array, ""]
    log_evidence: Float[Array, ""]
    log_ratio: Float[Array, "2 P"]
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


def start(n: int, d: int, settings: SMCSettings, *, key: PRNGKeyArray, dtype: Any = np.float32) -> SMCState:
    """The state before the first sweep, in coordinates in which the reference is standard.

    The particles hold no density yet, so that the first sweep's jump, drawn from the reference, is accepted by all.
    """
    P = settings.particles
    S = max(1, math.ceil(n / P))
    zero, none = jnp.zeros((), dtype), jnp.zeros((), jnp.int32)
    rows = np.concatenate([np.full((P, 1), -np.inf), np.zeros((P, 2 * d))], 1).astype(dtype)
    return SMCState(
        population=Population(jnp.asarray(rows)),
        mixture=standard(settings.components, d, str(np.dtype(dtype))),
        anchor=jnp.zeros((P, d + 1), dtype),
        eve=jnp.arange(P, dtype=jnp.int32),
        beta=zero,
        log_step=jnp.asarray(math.log(0.8), dtype),
        log_evidence=zero,
        log_ratio=jnp.zeros((2, P), dtype),
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
        draws=jnp.zeros((S, P, d), dtype),
        key=key,
    )


@eqx.filter_jit
def advance(
    log_density: LogDensity, data: PyTree, state: SMCState, settings: SMCSettings, stop_at: Int[Any, ""]
) -> SMCState:
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


@eqx.filter_jit
def again(log_density: LogDensity, data: PyTree, state: SMCState) -> SMCState:
    """The same particles with their gradients and no draws stored: where drawing starts once more with Hamiltonian moves."""
    population = evaluate(log_density, data, state.population.u, gradient=True)
    none, zero = jnp.zeros_like(state.stored), jnp.zeros_like(state.beta)
    return eqx.tree_at(
        lambda s: (s.population, s.anchor, s.stored, s.rested, s.divergences, s.worst_correlation, s.log_step),
        state,
        (population, population.features, none, none, none, zero, jnp.full_like(zero, math.log(0.5))),
    )


def _advance(
    log_density: LogDensity, data: PyTree, state: SMCState, settings: SMCSettings, stop_at: Int[Any, ""]
) -> SMCState:
    S, P, d = state.draws.shape
    dtype = state.draws.dtype
    # The correlation of P independent pairs is 1/sqrt(P): asking for less than three of these would never stop.
    threshold = max(settings.draw_correlation, 3.0 / math.sqrt(P))

    def unfinished(state: SMCState) -> Bool[Array, ""]:
        return (state.stored < S) & (state.sweeps < stop_at)

    def once(state: SMCState) -> SMCState:
        noise = uniforms(state.key, state.sweeps, (P, uniforms_per_sweep(d) + 1), dtype)
        noise, extra = noise[:, 1:], noise[:, 0]

        unmoved = (state.correlation >= settings.level_correlation) & (state.rested < settings.level_sweeps)
        due = (state.sweeps > 0) & (state.beta < 1) & ~unmoved
        line = Lineage(state.population, state.anchor, state.eve, state.beta, state.log_evidence)
        line = jax.lax.cond(due, lambda line: _cool(line, settings.ess_target, extra[0]), lambda line: line, line)
        levels, rested = state.levels + due, jnp.where(due, 0, state.rested)

        here = line.population.u
        # A jump that is often accepted forgets more for its price than a trajectory; every third sweep has one all the same.
        local = (state.jump_acceptance < settings.jump_enough) | (state.sweeps % 3 == 0)
        population, info = sweep(
            log_density,
            data,
            line.population,
            state.mixture,
            line.beta,
            state.log_step,
            noise,
            gradient=settings.gradient,
            local=local,
        )
        adapt = (line.beta > 0) & (state.stored == 0) & (rested < ADAPT)
        spare = here[(extra[1 : 1 + settings.components] * P).astype(jnp.int32)]
        fresh = due & (state.levels == 0)
        mixture = jax.lax.cond(
            adapt, lambda m: refit(m, here, info.joint, info.precision, spare, fresh), lambda m: m, state.mixture
        )
        wanted = 0.8 if settings.gradient else 0.3
        rested = rested + 1
        correlation = _correlation(population.features, line.anchor)
        settled = (state.stored > 0) | (rested > ADAPT)
        ready = (line.beta == 1) & settled & ((correlation < threshold) | (rested >= settings.draw_sweeps))
        return SMCState(
            population=population,
            mixture=mixture,
            anchor=jnp.where(ready, population.features, line.anchor),
            eve=line.eve,
            beta=line.beta,
            log_step=jnp.where(
                local, jnp.minimum(state.log_step + info.local_acceptance - wanted, math.log(2.0)), state.log_step
            ),
            log_evidence=line.log_evidence,
            log_ratio=info.log_ratio,
            correlation=correlation,
            worst_correlation=jnp.where(
                ready, jnp.maximum(state.worst_correlation, correlation), state.worst_correlation
            ),
            jump_acceptance=info.jump_acceptance,
            local_acceptance=jnp.where(local, info.local_acceptance, state.local_acceptance),
            levels=levels,
            rested=jnp.where(ready, 0, rested),
            sweeps=state.sweeps + 1,
            evaluations=state.evaluations + info.evaluations,
            divergences=jnp.where(line.beta == 1, state.divergences + info.divergences, 0),
            stored=state.stored + ready,
            # Written at every sweep and counted only when ready: cheaper than a branch.
            draws=state.draws.at[state.stored].set(population.u),
            key=state.key,
        )

    return jax.lax.while_loop(unfinished, once, state)


class Lineage(eqx.Module):
    """What a change of temperature touches."""

    population: Population
    anchor: Float[Array, "P e"]
    eve: Int[Array, " P"]
    beta: Float[Array, ""]
    log_evidence: Float[Array, ""]


def _cool(line: Lineage, ess_target: float, offset: Float[Array, ""]) -> Lineage:
    """Raise beta, gather evidence, resample."""
    now = line.population
    log_ratio = now.log_target - log_student(now.u)[0]
    beta = next_beta(log_ratio, line.beta, ess_target)
    log_weight = (beta - line.beta) * log_ratio
    chosen = resample(log_weight, offset)
    population = Population(now.rows[chosen])
    gained = jax.nn.logsumexp(log_weight) - math.log(log_weight.shape[0])
    return Lineage(population, population.features, line.eve[chosen], beta, line.log_evidence + gained)


def _correlation(now: Float[Array, "P e"], then: Float[Array, "P e"]) -> Float[Array, ""]:
    """The largest correlation over columns between where the particles are and where they were."""
    now, then = now - jnp.mean(now, 0), then - jnp.mean(then, 0)
    scale = jnp.sqrt(jnp.sum(now**2, 0) * jnp.sum(then**2, 0))
    value = jnp.abs(jnp.sum(now * then, 0)) / jnp.where(scale > 0, scale, 1.0)
    return jnp.max(jnp.where(jnp.isfinite(value), value, 0.0))
