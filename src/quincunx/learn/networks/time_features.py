"""Features of a scalar time or noise level, for networks that depend on it smoothly."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def time_features(t: Float[Array, ""], *, count: int = 16, highest: float = 8.0) -> Float[Array, " f"]:
    """(t, cos 2 pi f_k t, sin 2 pi f_k t) with `count` // 2 frequencies spaced evenly in log from 1/8 to `highest`.

    Shape (count + 1,). The lowest frequency has a period longer than the range of t, so that no two times look alike.

    >>> time_features(jnp.array(0.5), count=4).shape
    (5,)
    """
    frequency = jnp.geomspace(0.125, highest, count // 2)
    angle = 2 * jnp.pi * frequency * t
    return jnp.concatenate([t[None], jnp.cos(angle), jnp.sin(angle)])
