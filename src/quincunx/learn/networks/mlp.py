"""The plain multilayer perceptron."""

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.learn.build import register
from quincunx.learn.networks.dense import activation, dense
from quincunx.learn.networks.start import fresh_keys


class MLP(eqx.Module):
    """(in_size,) -> (out_size,): `depth` hidden layers of `width`, h <- act(W h + b), then an affine layer.

    With `dropout` above 0, hidden units are dropped whenever a `key` is given and the network is not in inference mode.
    `zero_last` starts it at zero.

    >>> import jax, jax.numpy as jnp
    >>> MLP(in_size=3, out_size=2, key=jax.random.key(0))(jnp.ones(3)).shape
    (2,)
    """

    layers: tuple[eqx.nn.Linear, ...]
    dropout: eqx.nn.Dropout
    in_size: int = eqx.field(static=True)
    out_size: int = eqx.field(static=True)
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        *,
        in_size: int,
        out_size: int,
        key: PRNGKeyArray,
        width: int = 128,
        depth: int = 2,
        activation: str = "silu",
        dropout: float = 0.0,
        zero_last: bool = False,
    ):
        sizes = [in_size, *[width] * depth, out_size]
        keys = fresh_keys(key, depth + 1)
        self.layers = tuple(
            dense(a, b, key=k, zero=zero_last and i == depth, gain=1.0 if i in (0, depth) else 2**0.5)
            for i, (a, b, k) in enumerate(zip(sizes[:-1], sizes[1:], keys, strict=True))
        )
        self.dropout = eqx.nn.Dropout(dropout)
        self.in_size, self.out_size, self.activation = in_size, out_size, activation

    def __call__(self, x: Float[Array, " d"], *, key: PRNGKeyArray | None = None) -> Float[Array, " out"]:
        """The output at one input."""
        act = activation(self.activation)
        keys = [None] * len(self.layers) if key is None else jax.random.split(key, len(self.layers))
        for layer, k in zip(self.layers[:-1], keys, strict=False):
            x = self.dropout(act(layer(x)), key=k, inference=True if k is None else None)
        return self.layers[-1](x)


register("mlp")(MLP)
