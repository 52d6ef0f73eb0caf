"""Where chains start: prior draws resampled by density (sampling-importance-resampling)."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quincunx.infer.samplers.mixture import Mixture
from quincunx.infer.samplers.moves import LogDensity, evaluate
from quincunx.infer.samplers.points import SlicePoints, TrajectoryPoints
from quincunx.infer.samplers.tempering import next_beta, resample


@eqx.filter_jit
def initial(
    log_density: LogDensity, data: PyTree, prior_sample: Float[Array, "m d"], reference: Mixture, chains: int, *, key: PRNGKeyArray
) -> Float[Array, "{chains} d"]:
    """Starting points for `chains` chains, drawn among the prior's draws with weight (target / reference)^beta.

    beta <= 1 is the largest power that keeps an effective size of four points per chain (or a twentieth of the draws), so that a narrow target
    does not send every chain to one point, which would blind R-hat. `reference` is the density the prior's draws were fitted with.
    """
    m, d = prior_sample.shape
    pick_key, shuffle_key = jax.random.split(key)
    log_target, _ = evaluate(log_density, data, prior_sample, gradient=False)
    log_ratio = log_target - reference.log_prob(prior_sample)
    beta = next_beta(log_ratio, jnp.zeros((), log_ratio.dtype), min(0.5, max(4.0 * chains / m, 0.05)))
    log_weight = jnp.where(jnp.isneginf(log_ratio), -jnp.inf, beta * log_ratio)
    chosen = resample(log_weight, jax.random.uniform(pick_key, (), log_ratio.dtype))
    # Systematic resampling sorts its output; every (m / chains)-th keeps the proportions.
    stride = jnp.floor((jnp.arange(chains) + 0.5) * m / chains).astype(jnp.int32)
    return jax.random.permutation(shuffle_key, prior_sample[chosen[jnp.minimum(stride, m - 1)]])


@eqx.filter_jit
def points_at(log_density: LogDensity, data: PyTree, u: Float[Array, "C d"], kind: Literal["nuts", "slice"]) -> PyTree:
    """The chains' state at positions u: with the gradient for "nuts", without for "slice"."""
    log_target, slope = evaluate(log_density, data, u, gradient=kind == "nuts")
    return TrajectoryPoints(u, log_target, slope) if kind == "nuts" else SlicePoints(u, log_target)
