"""Float64 inside an explicit scope, for likelihoods and integrators whose rounding would otherwise show."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from quincunx.model.precision import double_scope

__all__ = ["double_scope", "in_float64"]


def in_float64(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, with floating arguments widened to float64 and answers returned as float64 NumPy arrays.

    It is a door, not a transformable function: call it with numbers, never under `jit`, `vmap` or `grad`. What lies behind
    is compiled once for each shape.

    >>> in_float64(lambda x: x / 3)(1.0)
    array(0.33333333)
    """

    compiled = jax.jit(function)

    def widen(leaf: Any) -> Any:
        if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return leaf
        array = np.asarray(leaf)
        return jnp.asarray(array, jnp.float64) if array.dtype.kind == "f" else leaf

    @functools.wraps(function)
    def evaluate(*arguments: Any, **options: Any) -> Any:
        with double_scope():
            arguments, options = jax.tree.map(widen, (arguments, options))
            return jax.tree.map(np.asarray, compiled(*arguments, **options))

    return evaluate
