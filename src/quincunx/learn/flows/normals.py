"""Initial weights of a whole network from one normal draw."""

import math

import jax
from jaxtyping import Array, Float, PRNGKeyArray


def normals(
    key: PRNGKeyArray, shapes: tuple[tuple[int, ...], ...], scales: tuple[float, ...]
) -> list[Float[Array, "..."]]:
    """Arrays of the given shapes, normal with the given standard deviations.

    One call of the generator for all of them: each separate call costs as much compile time as a layer.

    >>> import jax
    >>> [a.shape for a in normals(jax.random.key(0), ((2, 3), (4,)), (1.0, 0.1))]
    [(2, 3), (4,)]
    """
    sizes = [math.prod(shape) for shape in shapes]
    flat = jax.random.normal(key, (sum(sizes),))
    arrays, start = [], 0
    for shape, size, scale in zip(shapes, sizes, scales, strict=True):
        arrays.append(scale * flat[start : start + size].reshape(shape))
        start += size
    return arrays
