"""Log-densities of draws: NumPyro's, but minus infinity outside the support, and with a right slope where its own has none."""

from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy.special import gammaln
from jaxtyping import Array, Float

from quincunx.model.program.support import inside, unwrapped

__all__ = ["site_log_prob"]


def site_log_prob(fn: Any, value: Array, said: Any) -> Float[Array, ""]:
    """log p(value), summed over a whole site; `said` is the value before it was given the dtype of a draw.

    NumPyro writes log p(y | logit l) = y l - softplus(l) with max(l, 0) and |l|, whose derivatives at l = 0 are not that of the sum: y or y - 1
    instead of y - 1/2. A coin that is fair at the reference is common, and its joint score would be biased there.

    >>> jax.grad(lambda l: site_log_prob(dist.Bernoulli(logits=l), jnp.asarray(1), 1))(0.0)
    Array(0.5, dtype=float32, weak_type=True)
    >>> jax.jit(lambda v: site_log_prob(dist.Uniform(0.0, 2.0), v, v))(3.0)
    Array(-inf, dtype=float32)
    """
    total = jnp.sum(_log_prob(fn, value))
    possible = inside(fn, said)
    return total if possible is None else jnp.where(possible, total, -jnp.inf)


def _log_prob(fn: Any, value: Array) -> Array:
    inner = unwrapped(fn)
    if not isinstance(inner, (dist.BernoulliLogits, dist.BinomialLogits)) or _is_masked(fn):
        return fn.log_prob(value)
    trials = inner.total_count if isinstance(inner, dist.BinomialLogits) else 1
    logits, trials = (jnp.broadcast_to(a, value.shape) for a in (inner.logits, jnp.asarray(trials)))
    ones = jnp.where(value > 0, value * jax.nn.log_sigmoid(logits), 0.0)
    terms = ones + jnp.where(value < trials, (trials - value) * jax.nn.log_sigmoid(-logits), 0.0)
    if isinstance(inner, dist.BinomialLogits):
        terms += gammaln(trials + 1.0) - gammaln(value + 1.0) - gammaln(trials - value + 1.0)
    return terms


def _is_masked(fn: Any) -> bool:
    while fn is not unwrapped(fn):
        if isinstance(fn, dist.MaskedDistribution):
            return True
        fn = fn.base_dist
    return False
