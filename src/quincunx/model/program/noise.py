"""Draws made from numbers that were drawn beforehand, so that a loop need not make its own random bits step by step."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, PRNGKeyArray

from quincunx.model.program.support import unwrapped

__all__ = ["Need", "from_noise", "need_of", "supply"]


class Need(NamedTuple):
    """The noise from which a draw is made: standard uniform or normal numbers of some shape."""

    law: Literal["uniform", "normal"]
    shape: tuple[int, ...]


def need_of(fn: dist.Distribution, shape: tuple[int, ...]) -> Need | None:
    """What a distribution is a plain function of, or None where it takes a key: only the commonest are known.

    >>> need_of(dist.Bernoulli(0.3), ()), need_of(dist.Poisson(1.0), ())
    (Need(law='uniform', shape=()), None)
    """
    inner = unwrapped(fn)
    if isinstance(inner, (dist.BernoulliProbs, dist.BernoulliLogits, dist.Uniform)):
        return Need("uniform", shape)
    return Need("normal", shape) if type(inner) is dist.Normal else None


def supply(need: Need | None, key: PRNGKeyArray, steps: int) -> Array:
    """For each of several steps the noise that is needed, or a key.

    >>> supply(Need("uniform", (2,)), jax.random.key(0), 5).shape, supply(None, jax.random.key(0), 5).shape
    ((5, 2), (5,))
    """
    if need is None:
        return jax.random.split(key, steps)
    return {"uniform": jax.random.uniform, "normal": jax.random.normal}[need.law](key, (steps, *need.shape))


def from_noise(fn: dist.Distribution, noise: Array) -> Array:
    """The draw that noise leads to.

    >>> from_noise(dist.Normal(1.0, 2.0), jnp.asarray(0.5)), from_noise(dist.Bernoulli(0.3), jnp.asarray(0.2))
    (Array(2., dtype=float32, weak_type=True), Array(1, dtype=int32))
    """
    inner = unwrapped(fn)
    if isinstance(inner, dist.Normal):
        return inner.loc + inner.scale * noise
    if isinstance(inner, dist.Uniform):
        return jnp.clip(inner.low + noise * (inner.high - inner.low), inner.low, inner.high)
    return (noise < inner.probs).astype(jnp.result_type(int))
