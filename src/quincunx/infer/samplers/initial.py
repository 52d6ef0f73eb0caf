"""Where chains start: prior draws resampled by density (sampling-importance-resampling)."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quincunx.infer.samplers.moves import LogDensity, evaluate
from quincunx.infer.samplers.points import SlicePoints, TrajectoryPoints
from quincunx.infer.samplers.reference import log_student
from quincunx.infer.samplers.tempering import next_beta, resample


@eqx.filter_jit
def initial(
    log_density: LogDensity, data: PyTree, prior_sample: Float[Array, "m d"], chains: int, *, key: PRNGKeyArray
) -> Float[Array, "{chains} d"]:
    """Starting points for `chains` chains, drawn among the prior's draws with weight (target / reference)^beta.

    beta <= 1 is the largest power that keeps an effective size of four points per chain (or a twentieth of the draws), so that a narrow target
    does not send every chain to one point, which would blind R-hat. All in standard coordinates.
    """
    m = len(prior_sample)
    pick_key, shuffle_key = jax.random.split(key)
    log_ratio = evaluate(log_density, data, prior_sample, gradient=False).log_target - log_student(prior_sample)[0]
    beta = next_beta(log_ratio, jnp.zeros((), log_ratio.dtype), min(0.5, max(4.0 * chains / m, 0.05)))
    chosen = resample(beta * log_ratio, jax.random.uniform(pick_key, (), log_ratio.dtype))
    # Systematic resampling sorts its output; every (m / chains)-th keeps the proportions.
    stride = jnp.floor((jnp.arange(chains) + 0.5) * m / chains).astype(jnp.int32)
    return jax.random.permutation(shuffle_key, prior_sample[chosen[jnp.minimum(stride, m - 1)]])


@eqx.filter_jit
def points_at(log_density: LogDensity, data: PyTree, u: Float[Array, "C d"], kind: Literal["nuts", "slice"]) -> PyTree:
    """The chains' state at positions u: with the gradient for "nuts", without for "slice"."""
    here = evaluate(log_density, data, u, gradient=kind == "nuts")
    return TrajectoryPoints(u, here.log_target, here.slope) if kind == "nuts" else SlicePoints(u, here.log_target)
