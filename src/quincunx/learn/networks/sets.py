"""The two ways a set or sequence of varying length comes in: an array, or events with a mask."""

from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Events = Float[Array, "n d"] | Mapping[str, Array]


def events_and_mask(x: Events) -> tuple[Float[Array, "n d"], Bool[Array, " n"]]:
    """Split `{"events": (n, d), "mask": (n,)}`, or a plain (n, d) array with every row present.

    Masked rows become zeros, so that whatever padding holds (not-a-number included) reaches neither values nor
    gradients.

    >>> events, mask = events_and_mask({"events": jnp.array([[1.0], [jnp.nan]]), "mask": jnp.array([True, False])})
    >>> events.tolist()
    [[1.0], [0.0]]
    """
    if not isinstance(x, Mapping):
        return x, jnp.ones(x.shape[0], bool)
    mask = x["mask"].astype(bool)
    return jnp.where(mask[:, None], x["events"], 0.0), mask
