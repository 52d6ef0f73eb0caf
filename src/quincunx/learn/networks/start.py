"""Where networks start: keys and normal numbers that cost almost nothing to compile.

JAX's own generator takes about half a CPU-second to compile for every new shape, more under vmap, and a network has
many shapes: its start would cost more than its training. A mixing hash of (key, index) is enough here, where numbers
only have to be spread well, and compiles in milliseconds. Sampling anywhere else uses `jax.random`.
"""

from collections.abc import Callable
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt32

M = TypeVar("M", bound=eqx.Module)


def fresh_keys(key: PRNGKeyArray, count: int) -> list[PRNGKeyArray]:
    """`count` keys made from one, all different.

    >>> import jax
    >>> len(fresh_keys(jax.random.key(0), 3))
    3
    """
    words = jax.random.key_data(key)
    streams = [_mix(words + np.uint32(0x9E3779B9 * (i + 1) & 0xFFFFFFFF)) for i in range(count)]
    return [jax.random.wrap_key_data(_cross(w), impl=jax.random.key_impl(key)) for w in streams]


def standard_normal(key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Numbers spread as N(0, 1) draws are, for the start of a network.

    >>> import jax
    >>> standard_normal(jax.random.key(0), (2, 3)).shape
    (2, 3)
    """
    return _normal(jax.random.key_data(key), shape)


def started(make: Callable[..., M], *, key: PRNGKeyArray, gain: float = 1.0) -> M:
    """The module that `make(key=...)` describes, with matrices N(0, gain^2 / columns) and vectors zero.

    Only the shapes of what `make` draws are used; nothing is drawn twice. Not for modules with normalisation gains.

    >>> import equinox as eqx, jax
    >>> started(lambda key: eqx.nn.Linear(3, 2, key=key), key=jax.random.key(0)).bias.tolist()
    [0.0, 0.0]
    """
    shapes = eqx.filter_eval_shape(make, key=jax.eval_shape(lambda: jax.random.key(0)))
    leaves, tree = jax.tree.flatten(shapes)
    keys = fresh_keys(key, len(leaves))
    return jax.tree.unflatten(tree, [_leaf(leaf, k, gain) for leaf, k in zip(leaves, keys, strict=True)])


def _leaf(leaf, key, gain):
    if not isinstance(leaf, jax.ShapeDtypeStruct):
        return leaf
    if len(leaf.shape) < 2:
        return jnp.zeros(leaf.shape, leaf.dtype)
    return gain / max(leaf.shape[-1], 1) ** 0.5 * standard_normal(key, leaf.shape)


def _mix(word: UInt32[Array, "..."]) -> UInt32[Array, "..."]:
    """A bijection of 32-bit words in which every bit of the input reaches every bit of the output."""
    word = (word ^ (word >> 16)) * np.uint32(0x7FEB352D)
    word = (word ^ (word >> 15)) * np.uint32(0x846CA68B)
    return word ^ (word >> 16)


def _cross(words: UInt32[Array, " w"]) -> UInt32[Array, " w"]:
    """Each word made to depend on all."""
    return _mix(words ^ _mix(jnp.roll(words, 1) + np.uint32(0x85EBCA6B)))


@jax.jit
def _hash(words, index):
    bits = index
    for i in range(words.shape[0]):
        bits = _mix(bits ^ words[i]) + words[i]
    return _mix(bits)


@eqx.filter_jit
def _normal(words, shape):
    count = int(np.prod(shape))
    index = jnp.arange(count, dtype=jnp.uint32)
    radius, angle = (_unit(_hash(words, 2 * index + i)) for i in (0, 1))
    normal = jnp.sqrt(-2 * jnp.log(radius)) * jnp.cos(2 * jnp.pi * angle)
    return normal.reshape(shape)


def _unit(bits: UInt32[Array, " n"]) -> Float[Array, " n"]:
    """On the open interval (0, 1)."""
    return ((bits >> 8).astype(jnp.float32) + 0.5) * np.float32(2.0**-24)
