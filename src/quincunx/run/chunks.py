"""How many simulations go into one compiled call."""

import math
from typing import Any

import jax

__all__ = ["MEMORY", "bytes_of", "chunk_size", "working_bytes"]

MEMORY = 256 * 2**20
"""Bytes that one chunk of simulations may take."""

_LARGEST = 65_536
_SPARE = 1.125


def chunk_size(n: int, bytes_each: int, memory: int = MEMORY) -> int:
    """A power of two: within the memory, and such that padding the last chunk wastes at most an eighth.

    >>> chunk_size(100, 1000), chunk_size(10_000, 1000), chunk_size(1_000_000, 200), chunk_size(1000, 10**9)
    (128, 2048, 65536, 1)
    """
    fits = max(1, memory // max(1, bytes_each))
    size = 2 ** min(int(math.log2(fits)), int(math.log2(_LARGEST)))
    if n <= size and n <= 1024:
        return 2 ** math.ceil(math.log2(max(1, n)))
    while size > 256 and math.ceil(n / size) * size > _SPARE * n:
        size //= 2
    return size


def bytes_of(struct: Any) -> int:
    """Bytes of a pytree of arrays or of their shapes."""
    leaves = [leaf for leaf in jax.tree.leaves(struct) if hasattr(leaf, "shape")]
    return sum(math.prod(leaf.shape) * getattr(leaf.dtype, "itemsize", 8) for leaf in leaves)


def working_bytes(jaxpr: Any) -> int:
    """An estimate of the memory one simulation needs while it runs: four times its largest intermediate.

    Most intermediates are fused away or freed early; the largest array and a few beside it are what is alive at once.
    """
    return 4 * _largest(getattr(jaxpr, "jaxpr", jaxpr))


def _largest(jaxpr: Any) -> int:
    largest = 0
    for equation in jaxpr.eqns:
        shapes = [v.aval for v in equation.outvars if hasattr(v.aval, "shape") and hasattr(v.aval, "dtype")]
        largest = max(largest, bytes_of(shapes))
        inner = jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda v: hasattr(v, "eqns") or hasattr(v, "jaxpr")
        )
        for part in inner:
            if hasattr(part, "eqns") or hasattr(part, "jaxpr"):
                largest = max(largest, _largest(getattr(part, "jaxpr", part)))
    return largest
