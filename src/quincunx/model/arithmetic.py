"""The arithmetic of a prior on flat arrays, compiled as wholes: one operation at a time takes ten times as long."""

import math
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, PRNGKeyArray

from quincunx.model.region import Region
from quincunx.model.transforms import Transform

__all__ = [
    "flatten",
    "floating",
    "log_det",
    "log_prob",
    "log_prob_unconstrained",
    "sample",
    "to_constrained",
    "to_unconstrained",
    "unflatten",
]


@runtime_checkable
class Blocks(Protocol):
    """What a prior is made of: for each name a distribution and its map to unconstrained space, and where it is restricted to."""

    names: tuple[str, ...]
    blocks: tuple[dist.Distribution, ...]
    transforms: tuple[Transform, ...]
    region: Region | None


@eqx.filter_jit
def sample(prior: Blocks, key: PRNGKeyArray, shape: tuple[int, ...]) -> dict[str, Array]:
    """Draws of every parameter, by name; inside the region where there is one, by drawing again until they are."""
    if prior.region is None:
        return _sample_anywhere(prior, key, shape)
    count = math.prod(shape)
    drawn = jax.vmap(lambda k: _sample_inside(prior, k))(jax.random.split(key, count))
    return {name: value.reshape(*shape, *value.shape[1:]) for name, value in drawn.items()}


def _sample_inside(prior: Blocks, key: PRNGKeyArray) -> dict[str, Array]:
    def draw(attempt: Array) -> dict[str, Array]:
        return _sample_anywhere(prior, jax.random.fold_in(key, attempt), ())

    def outside(state: tuple[Array, dict[str, Array]]) -> Array:
        flat = flatten(tuple(state[1][name] for name in prior.names), 0)
        return ~_inside(prior, to_unconstrained(prior, flat))

    first = jnp.zeros((), jnp.uint32)
    return jax.lax.while_loop(outside, lambda state: (state[0] + 1, draw(state[0] + 1)), (first, draw(first)))[1]


def _inside(prior: Blocks, u: Array) -> Array:
    return jnp.ones(u.shape[:-1], bool) if prior.region is None else prior.region.contains(u)


def _restrict(prior: Blocks, u: Array, value: Array) -> Array:
    """A log-density that is renormalised to the region, where there is one."""
    if prior.region is None:
        return value
    return jnp.where(_inside(prior, u), value - jnp.log(prior.region.share), -jnp.inf)


def _sample_anywhere(prior: Blocks, key: PRNGKeyArray, shape: tuple[int, ...]) -> dict[str, Array]:
    # Each derivation of keys costs a third of a second of compilation.
    keys = [key] if len(prior.names) == 1 else jax.random.split(key, len(prior.names))
    return {name: block.sample(k, shape) for name, block, k in zip(prior.names, prior.blocks, keys)}


@eqx.filter_jit
def flatten(parts: tuple[Array, ...], batch_ndim: int) -> Array:
    """Parameters side by side in one flat array, behind `batch_ndim` leading axes."""
    return jnp.concatenate([floating(p).reshape((*p.shape[:batch_ndim], -1)) for p in parts], axis=-1)


@eqx.filter_jit
def unflatten(flat: Array, shapes: tuple[tuple[int, ...], ...]) -> tuple[Array, ...]:
    """The parts of a flat array, each in its own shape."""
    parts = _split(flat, [math.prod(shape) for shape in shapes])
    return tuple(part.reshape(flat.shape[:-1] + shape) for part, shape in zip(parts, shapes))


@eqx.filter_jit
def log_prob(prior: Blocks, flat: Array) -> Array:
    """log p(theta); minus infinity outside the support."""
    total = jnp.zeros(flat.shape[:-1], flat.dtype)
    for block, transform, part in zip(prior.blocks, prior.transforms, _constrained_parts(prior, flat)):
        inside = transform.contains(part)
        # Densities are evaluated at a harmless point where they do not apply, so that gradients stay finite.
        harmless = transform.inverse(jnp.zeros(transform.unconstrained_size, part.dtype))
        value = jnp.where(inside[..., None], part, harmless)
        total = total + jnp.where(inside, _density(block, value), -jnp.inf)
    return total if prior.region is None else _restrict(prior, to_unconstrained(prior, flat), total)


@eqx.filter_jit
def to_unconstrained(prior: Blocks, flat: Array) -> Array:
    """u(theta), map by map."""
    parts = _constrained_parts(prior, flat)
    return jnp.concatenate([t.forward(p) for t, p in zip(prior.transforms, parts)], axis=-1)


@eqx.filter_jit
def to_constrained(prior: Blocks, u: Array) -> Array:
    """theta(u), map by map."""
    return jnp.concatenate([t.inverse(p) for t, p in zip(prior.transforms, _unconstrained_parts(prior, u))], axis=-1)


@eqx.filter_jit
def log_det(prior: Blocks, u: Array) -> Array:
    """log|det dtheta/du|."""
    total = jnp.zeros(u.shape[:-1], u.dtype)
    for transform, part in zip(prior.transforms, _unconstrained_parts(prior, u)):
        total = total + transform.log_det(part)
    return total


@eqx.filter_jit
def log_prob_unconstrained(prior: Blocks, u: Array) -> Array:
    """log p(theta(u)) + log|det dtheta/du|."""
    total = jnp.zeros(u.shape[:-1], u.dtype)
    for block, transform, part in zip(prior.blocks, prior.transforms, _unconstrained_parts(prior, u)):
        total = total + _density(block, transform.inverse(part)) + transform.log_det(part)
    return _restrict(prior, u, total)


def _constrained_parts(prior: Blocks, flat: Array) -> list[Array]:
    return _split(flat, [t.size for t in prior.transforms])


def _unconstrained_parts(prior: Blocks, u: Array) -> list[Array]:
    return _split(u, [t.unconstrained_size for t in prior.transforms])


def _split(flat: Array, sizes: Sequence[int]) -> list[Array]:
    return [flat] if len(sizes) == 1 else jnp.split(flat, np.cumsum(sizes)[:-1], axis=-1)


def floating(array: Array) -> Array:
    """The array itself, or integers as the default float."""
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(jnp.result_type(float))


def _density(block: dist.Distribution, part: Array) -> Array:
    return block.log_prob(part.reshape(part.shape[:-1] + tuple(block.event_shape)))
