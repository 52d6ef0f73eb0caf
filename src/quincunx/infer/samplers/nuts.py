"""The No-U-Turn sampler (BlackJAX's kernel, arXiv:1111.4246), many chains side by side with a pooled warm-up."""

import blackjax.mcmc.hmc as hmc
import blackjax.mcmc.nuts as nuts
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray, PyTree

from quincunx.infer.samplers.chains import ChainInfo, Tuning
from quincunx.infer.samplers.moves import LogDensity
from quincunx.infer.samplers.points import TrajectoryPoints

_KERNEL = nuts.build_kernel()
MAX_DOUBLINGS = 8


def nuts_kernel(
    key: PRNGKeyArray, points: PyTree, log_density: LogDensity, data: PyTree, tuning: Tuning
) -> tuple[PyTree, ChainInfo]:
    """One NUTS transition of every chain, with the pooled covariance as dense inverse mass matrix."""

    def one(key: PRNGKeyArray, point: PyTree) -> tuple[PyTree, nuts.NUTSInfo]:
        return _KERNEL(key, point, lambda u: log_density(u, data), tuning.step, tuning.covariance, MAX_DOUBLINGS)

    C = points.position.shape[0]
    moved, info = jax.vmap(one)(jax.random.split(key, C), hmc.HMCState(*points))
    dtype = points.position.dtype
    return TrajectoryPoints(*moved), ChainInfo(
        info.acceptance_rate, info.is_divergent.astype(dtype), jnp.asarray(info.num_integration_steps).astype(dtype)
    )
