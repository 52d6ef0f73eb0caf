"""Sliding windows as matrix products, and pooling of any length to a fixed one.

Convolutions are written as windows times a matrix: an ensemble trained by vmap turns a convolution primitive into a
grouped one, which was measured to be twice as slow on a CPU as this.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def windows_1d(x: Float[Array, "t c"], *, kernel: int, dilation: int = 1, causal: bool = False) -> Float[Array, "t kc"]:
    """The window around each position, zero-padded to keep the length: (t, c) -> (t, kernel * c).

    Centred, or with `causal` made of the position and those before it only.

    >>> windows_1d(jnp.array([[1.0], [2.0], [3.0]]), kernel=2, causal=True).tolist()
    [[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]
    """
    length, reach = x.shape[0], (kernel - 1) * dilation
    before = reach if causal else reach // 2
    padded = jnp.pad(x, ((before, reach - before), (0, 0)))
    return jnp.concatenate([padded[i * dilation : i * dilation + length] for i in range(kernel)], axis=-1)


def windows_2d(x: Float[Array, "h w c"], *, kernel: int) -> Float[Array, "h w kkc"]:
    """The square window around each pixel, zero-padded to keep the size: (h, w, c) -> (h, w, kernel^2 * c).

    >>> windows_2d(jnp.ones((2, 3, 1)), kernel=3).shape
    (2, 3, 9)
    """
    height, width, _ = x.shape
    before = (kernel - 1) // 2
    pad = (before, kernel - 1 - before)
    padded = jnp.pad(x, (pad, pad, (0, 0)))
    return jnp.concatenate(
        [padded[i : i + height, j : j + width] for i in range(kernel) for j in range(kernel)], axis=-1
    )


def pool_to(x: Float[Array, "t *rest"], bins: int) -> Float[Array, "bins *rest"]:
    """Means over `bins` stretches of the first axis, which cover it evenly and overlap when it is shorter than `bins`.

    >>> pool_to(jnp.array([1.0, 3.0, 5.0]), 1).tolist()
    [3.0]
    """
    length = x.shape[0]
    starts = np.arange(bins) * length // bins
    stops = -(-(np.arange(bins) + 1) * length // bins)
    position = np.arange(length)
    inside = (position >= starts[:, None]) & (position < stops[:, None])
    weight = inside / inside.sum(axis=1, keepdims=True)
    return jnp.tensordot(jnp.asarray(weight, x.dtype), x, axes=1)
