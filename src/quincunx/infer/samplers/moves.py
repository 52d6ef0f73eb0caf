"""One sweep of Markov moves over a population: a jump drawn from the fitted mixture, then a trajectory in the metric of the local component."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from quincunx.infer.samplers.mixture import UNIFORMS, Mixture, choose, normal
from quincunx.infer.samplers.reference import log_student

LogDensity = Callable[..., Float[Array, ""]]
"""`log_density(u, data) -> ()` for u of shape (d,); the observation and the network travel in `data`."""

LENGTH = 1.6
"""Length of a trajectory in whitened units: a quarter of the period of a Gaussian, where a position has forgotten its start."""

MAX_LEAPFROG = 10
"""More leapfrog steps than this buy less than another jump."""


class Population(eqx.Module):
    """P particles with the target's log-density and its gradient, in one array of rows so that they are chosen and moved together."""

    rows: Float[Array, "P r"]

    @property
    def u(self) -> Float[Array, "P d"]:
        """Positions."""
        return self.rows[:, 1 : 1 + self.rows.shape[1] // 2]

    @property
    def log_target(self) -> Float[Array, " P"]:
        """The target's log-density."""
        return self.rows[:, 0]

    @property
    def slope(self) -> Float[Array, "P d"]:
        """The gradient of the target's log-density."""
        return self.rows[:, 1 + self.rows.shape[1] // 2 :]

    @property
    def features(self) -> Float[Array, "P e"]:
        """Log-density and positions: what must forget where it was."""
        return self.rows[:, : 1 + self.rows.shape[1] // 2]


class SweepInfo(eqx.Module):
    """What one sweep did: mean acceptance of jumps and of trajectories, diverged trajectories, target evaluations per particle.

    `joint` and `precision` are the mixture's `log_joint` where the sweep began, for whoever refits the mixture; `log_ratio` is log target - log q
    where the sweep began and at the proposed jumps, for whoever wants the evidence.
    """

    jump_acceptance: Float[Array, ""]
    local_acceptance: Float[Array, ""]
    divergences: Int[Array, ""]
    evaluations: Int[Array, ""]
    joint: Float[Array, "P K"]
    precision: Float[Array, "P K"]
    log_ratio: Float[Array, "2 P"]


def sweep(
    log_density: LogDensity,
    data: PyTree,
    population: Population,
    mixture: Mixture,
    beta: Float[Array, ""],
    log_step: Float[Array, ""],
    noise: Float[Array, "P c"],
    *,
    gradient: bool,
    local: Bool[Array, ""],
) -> tuple[Population, SweepInfo]:
    """Move every particle once globally and, if `local`, once locally, leaving pi_beta = target^beta reference^(1 - beta) invariant.

    Global: independence Metropolis-Hastings with the mixture q as proposal. Local: draw a label k from the responsibilities r_k(u), then
    Hamiltonian dynamics on pi_beta(u) r_k(u) with component k's covariance as inverse mass; that is Gibbs on the joint of (u, k), so
    it is exact for u and follows the shape of each mode. Without a gradient the trajectory is one straight step: a random walk in the same metric.

    Positions are the reference's standard coordinates. `noise` holds uniforms (`uniforms_per_sweep` a particle). A particle of log-density
    -inf (before the first sweep, all) accepts any jump. The target is evaluated at one place in one loop, so that it is compiled once
    however large its network is.
    """
    P, d = population.u.shape
    normals = normal(noise[:, : 2 * d])
    momentum, uniform = normals[:, :d], noise[:, 2 * d :]
    proposal = mixture.sample(uniform[:, 4:], normals[:, d:])
    # Every particle has its own step, so that no trajectory length resonates with a period of the target and narrow necks see small steps too.
    step = jnp.exp(log_step) * (0.15 + 1.1 * uniform[:, :1])
    log_uniform = jnp.log(uniform[:, 1:3])
    steps = (
        jnp.clip(jnp.ceil(LENGTH / jnp.exp(log_step)), 1, MAX_LEAPFROG).astype(jnp.int32) if gradient else jnp.int32(1)
    )
    last = jnp.where(local, steps, 0)
    both = jnp.concatenate([population.u, proposal])
    joint, _, precision = mixture.log_joint(both)
    log_q = jax.nn.logsumexp(joint, -1)
    bonus = (1.0 - beta) * log_student(both)[0] - log_q
    jump_bonus = bonus[P:] - bonus[:P]

    def body(j: Array, carry: tuple) -> tuple:
        now, y, p, label, log_start, proposed, count = carry
        first, final = j == 0, (j == last) & local
        here = evaluate(log_density, data, y, gradient=gradient)
        log_jump = jnp.where(beta > 0, beta * (here.log_target - now.log_target), 0.0) + jump_bonus
        jump = first & (jnp.isneginf(now.log_target) | (log_uniform[:, 0] < log_jump))
        now = _select(jump, here, now)
        proposed = jnp.where(first, here.log_target, proposed)

        # At j = 0 the trajectory starts where the jump ended; afterwards it is where the leapfrog left it.
        at = _select(first, now, here)
        log_reference, reference_slope = log_student(at.u)
        joint, z, precision = mixture.log_joint(at.u)
        responsibility = jax.nn.softmax(joint, -1)
        label = jnp.where(first, choose(responsibility, uniform[:, 3]), label)
        chosen = label[:, None] == jnp.arange(responsibility.shape[1])
        log_tempered = jnp.where(beta > 0, beta * at.log_target, 0.0) + (1.0 - beta) * log_reference
        scale = mixture.scale[label]
        if gradient:
            force = (
                beta * at.slope
                + (1.0 - beta) * reference_slope
                + mixture.slope(z, precision * (chosen - responsibility))
            )
            kick = 0.5 * step * jnp.einsum("pij,pi->pj", scale, force)
        else:
            kick = jnp.zeros_like(p)
        arrived = jnp.where(first, p, p + kick)
        energy = log_tempered + jnp.log(jnp.sum(chosen * responsibility, -1)) - 0.5 * jnp.sum(arrived**2, -1)
        log_start = jnp.where(first, energy, log_start)
        log_move = energy - log_start
        move = final & (log_uniform[:, 1] < log_move)
        now = _select(move, here, now)
        diverged = final & ~(log_move > -1000.0)
        count = count + jnp.sum(jnp.stack([jump, move, diverged], 1), 0)

        p = arrived + kick
        y = at.u + step * jnp.einsum("pij,pj->pi", scale, p)
        return now, y, p, label, log_start, proposed, count

    dtype = population.u.dtype
    blank = jnp.zeros(P, dtype)
    begin = (population, proposal, momentum, jnp.zeros(P, jnp.int32), blank, blank, jnp.zeros(3, jnp.int32))
    now, _, _, _, _, proposed, count = jax.lax.fori_loop(0, last + 1, body, begin)
    log_ratio = jnp.stack([population.log_target, proposed]) - log_q.reshape(2, P)
    return now, SweepInfo(count[0] / P, count[1] / P, count[2], last + 1, joint[:P], precision[:P], log_ratio)


def uniforms_per_sweep(dim: int) -> int:
    """How many uniforms `sweep` uses for each particle."""
    return 2 * dim + 4 + UNIFORMS


def evaluate(log_density: LogDensity, data: PyTree, u: Float[Array, "P d"], *, gradient: bool) -> Population:
    """The target and its gradient (zero unless asked for) at every particle; a value that is not finite counts as zero density."""
    if gradient:
        value, slope = jax.vmap(jax.value_and_grad(lambda v: log_density(v, data)))(u)
        slope = jnp.where(jnp.isfinite(slope), slope, 0.0).astype(u.dtype)
    else:
        value, slope = jax.vmap(lambda v: log_density(v, data))(u), jnp.zeros_like(u)
    value = jnp.where(jnp.isfinite(value), value, -jnp.inf).astype(u.dtype)
    return Population(jnp.concatenate([value[:, None], u, slope], 1))


def _select(chosen: Array, new: Population, old: Population) -> Population:
    return Population(jnp.where(chosen[..., None], new.rows, old.rows))
