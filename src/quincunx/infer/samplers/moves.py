"""One sweep of Markov moves over a population: a jump drawn from the fitted mixture, then a trajectory in the metric of the local component."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from quincunx.infer.samplers.mixture import Mixture, choose, normal, uniforms_needed

LogDensity = Callable[..., Float[Array, ""]]
"""`log_density(u, data) -> ()` for u of shape (d,); the observation and the network travel in `data`."""

LENGTH = 1.6
"""Length of a trajectory in whitened units: a quarter of the period of a Gaussian, where a position has forgotten its start."""

MAX_LEAPFROG = 10
"""More leapfrog steps than this buy less than another jump."""


class Population(eqx.Module):
    """P particles, the two log-densities that tempering interpolates, and their gradients."""

    u: Float[Array, "P d"]
    log_target: Float[Array, " P"]
    log_reference: Float[Array, " P"]
    slope: Float[Array, "P d"]
    reference_slope: Float[Array, "P d"]


class SweepInfo(eqx.Module):
    """What one sweep did: mean acceptance of jumps and of trajectories, number of diverged trajectories, and target evaluations per particle."""

    jump_acceptance: Float[Array, ""]
    local_acceptance: Float[Array, ""]
    divergences: Int[Array, ""]
    evaluations: Int[Array, ""]


def tempered(at: Population, beta: Float[Array, ""]) -> Float[Array, " P"]:
    """log pi_beta = beta log target + (1 - beta) log reference; a target of -inf does not matter at beta = 0."""
    return jnp.where(beta > 0, beta * at.log_target, 0.0) + (1.0 - beta) * at.log_reference


def sweep(
    log_density: LogDensity,
    data: PyTree,
    population: Population,
    reference: Mixture,
    mixture: Mixture,
    beta: Float[Array, ""],
    log_step: Float[Array, ""],
    noise: Float[Array, "P c"],
    *,
    gradient: bool,
) -> tuple[Population, SweepInfo]:
    """Move every particle once globally and once locally, leaving pi_beta invariant; `noise` holds uniforms (`uniforms_per_sweep`).

    Global: independence Metropolis-Hastings with the mixture q as proposal. Local: draw a label k from the responsibilities r_k(u), then
    Hamiltonian dynamics on pi_beta(u) r_k(u) with component k's covariance as inverse mass; that is Gibbs on the joint of (u, k), so
    it is exact for u and follows the shape of each mode. Without a gradient the trajectory is one straight step: a random walk in the same metric.

    The target is evaluated at one place in one loop, so that it is compiled once however large its network is.
    """
    P, d = population.u.shape
    momentum = normal(noise[:, 4 : 4 + d])
    proposal = mixture.sample(noise[:, 4 + d :])
    # Every particle has its own step, so that no trajectory length resonates with a period of the target.
    step = jnp.exp(log_step) * (0.15 + 1.1 * noise[:, :1])
    log_uniform = jnp.log(noise[:, 1:3])
    last = jnp.clip(jnp.ceil(LENGTH / jnp.exp(log_step)), 1, MAX_LEAPFROG).astype(jnp.int32) if gradient else jnp.int32(1)
    log_q = mixture.log_prob(jnp.concatenate([population.u, proposal]))
    log_q_gain = log_q[:P] - log_q[P:]

    def body(j: Array, carry: tuple) -> tuple:
        now, y, p, label, log_start, jumped, moved, diverged = carry
        log_target, slope = evaluate(log_density, data, y, gradient=gradient)
        reference_joint, reference_z, reference_precision = reference.log_joint(y)
        reference_slope = reference.slope(reference_z, reference_precision, jnp.ones_like(reference_precision))
        here = Population(y, log_target, reference_joint[:, 0], slope, reference_slope)
        log_here = tempered(here, beta)
        first, final = j == 0, j == last

        jump = first & (log_uniform[:, 0] < log_here - tempered(now, beta) + log_q_gain)
        now = _select(jump, here, now)

        # At j = 0 the trajectory starts where the jump ended; afterwards it is where the leapfrog left it.
        at = _select(jnp.broadcast_to(first, (P,)), now, here)
        joint, z, precision = mixture.log_joint(at.u)
        responsibility = jax.nn.softmax(joint, -1)
        label = jnp.where(first, choose(responsibility, noise[:, 3]), label)
        chosen = label[:, None] == jnp.arange(joint.shape[1])
        log_local = tempered(at, beta) + jnp.sum(jnp.where(chosen, joint, 0.0), -1) - jax.nn.logsumexp(joint, -1)
        log_start = jnp.where(first, log_local, log_start)
        scale = mixture.scale[label]
        if gradient:
            force = beta * at.slope + (1.0 - beta) * at.reference_slope + mixture.slope(z, precision, chosen - responsibility)
            kick = 0.5 * step * jnp.einsum("pij,pi->pj", scale, force)
        else:
            kick = jnp.zeros_like(p)
        arrived = jnp.where(first, p, p + kick)

        log_move = log_local - log_start - 0.5 * jnp.sum(arrived**2 - momentum**2, -1)
        move = final & (log_uniform[:, 1] < log_move)
        now = _select(move, here, now)
        diverged = diverged + jnp.sum(final & ~(log_move > -1000.0)).astype(jnp.int32)

        p = arrived + kick
        y = at.u + step * jnp.einsum("pij,pj->pi", scale, p)
        return now, y, p, label, log_start, jumped + jnp.mean(jump), moved + jnp.mean(move), diverged

    dtype = population.u.dtype
    zero = jnp.zeros((), dtype)
    begin = (population, proposal, momentum, jnp.zeros(P, jnp.int32), jnp.zeros(P, dtype), zero, zero, jnp.int32(0))
    now, _, _, _, _, jumped, moved, diverged = jax.lax.fori_loop(0, last + 1, body, begin)
    return now, SweepInfo(jumped, moved, diverged, last + 1)


def uniforms_per_sweep(dim: int) -> int:
    """How many uniforms `sweep` uses for each particle."""
    return 4 + dim + uniforms_needed(dim)


def evaluate(log_density: LogDensity, data: PyTree, u: Float[Array, "P d"], *, gradient: bool) -> tuple[Float[Array, " P"], Float[Array, "P d"]]:
    """The target and its gradient at every particle; a value that is not finite counts as zero density."""
    if gradient:
        value, slope = jax.vmap(jax.value_and_grad(lambda v: log_density(v, data)))(u)
        slope = jnp.where(jnp.isfinite(slope), slope, 0.0)
    else:
        value, slope = jax.vmap(lambda v: log_density(v, data))(u), jnp.zeros_like(u)
    return jnp.where(jnp.isfinite(value), value, -jnp.inf).astype(u.dtype), slope.astype(u.dtype)


def _select(chosen: Array, new: Population, old: Population) -> Population:
    return jax.tree.map(lambda a, b: jnp.where(chosen.reshape(chosen.shape + (1,) * (a.ndim - 1)), a, b), new, old)
