"""The affine layer and the activations that the networks are made of."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.errors import UsageError
from quincunx.learn.networks.start import started

Activation = Callable[[Float[Array, "..."]], Float[Array, "..."]]

_ACTIVATIONS: dict[str, Activation] = {
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "tanh": jnp.tanh,
}


def activation(name: str) -> Activation:
    """The activation of that name; raises `UsageError` for a name that is not known.

    >>> float(activation("relu")(-1.0))
    0.0
    """
    if name not in _ACTIVATIONS:
        raise UsageError(f"got activation {name!r}; expected one of {', '.join(_ACTIVATIONS)}; choose one of those")
    return _ACTIVATIONS[name]


def dense(in_size: int, out_size: int, *, key: PRNGKeyArray, zero: bool = False, gain: float = 1.0) -> eqx.nn.Linear:
    """An affine layer (in_size,) -> (out_size,): weights N(0, gain^2 / in_size) or zero, biases zero.

    A zero last layer starts a network at a constant, which for ratios, fields and gates is the neutral one.

    >>> import jax
    >>> dense(3, 2, key=jax.random.key(0), zero=True)(jnp.ones(3)).tolist()
    [0.0, 0.0]
    """
    layer = started(lambda key: eqx.nn.Linear(in_size, out_size, key=key), key=key, gain=gain)
    return eqx.tree_at(lambda a: a.weight, layer, jnp.zeros((out_size, in_size))) if zero else layer
