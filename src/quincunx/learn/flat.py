"""A pytree of arrays as one flat vector: an optimiser's step is then a handful of operations, whatever the network."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree


class Layout(eqx.Module):
    """Shapes and structure of a pytree, hashable, so that it can be a static argument of a compiled function."""

    shapes: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    structure: jax.tree_util.PyTreeDef = eqx.field(static=True)

    @property
    def size(self) -> int:
        """Length of the flat vector."""
        return sum(math.prod(shape) for shape in self.shapes)

    def matrix_mask(self) -> np.ndarray:
        """One where the entry belongs to a leaf of two or more axes (what weight decay acts on), else zero."""
        parts = [np.full(math.prod(s), float(len(s) >= 2), np.float32) for s in self.shapes]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def layout_of(tree: PyTree) -> Layout:
    """The layout of a pytree of arrays."""
    leaves, structure = jax.tree.flatten(tree)
    return Layout(tuple(tuple(leaf.shape) for leaf in leaves), structure)


def flatten(tree: PyTree) -> Float[Array, " p"]:
    """All leaves of a pytree in one float vector.

    >>> import jax.numpy as jnp
    >>> flatten({"a": jnp.ones(2), "b": jnp.zeros((1, 2))}).tolist()
    [1.0, 1.0, 0.0, 0.0]
    """
    leaves = [jnp.ravel(leaf) for leaf in jax.tree.leaves(tree)]
    return jnp.concatenate(leaves) if leaves else jnp.zeros(0)


def unflatten(layout: Layout, vector: Float[Array, " p"]) -> PyTree:
    """The inverse of `flatten`, given the layout."""
    leaves, start = [], 0
    for shape in layout.shapes:
        size = math.prod(shape)
        leaves.append(vector[start : start + size].reshape(shape))
        start += size
    return jax.tree.unflatten(layout.structure, leaves)
