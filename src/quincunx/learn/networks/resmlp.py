"""The residual multilayer perceptron, the default wherever a vector goes in and a vector comes out."""

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.learn.build import register
from quincunx.learn.networks.dense import activation, dense
from quincunx.learn.networks.start import fresh_keys


class ResidualBlock(eqx.Module):
    """h -> h + W_2 act(W_1 act(LayerNorm(h))), W_2 small at the start, so that a deep stack starts near the
    identity."""

    norm: eqx.nn.LayerNorm
    first: eqx.nn.Linear
    second: eqx.nn.Linear
    dropout: eqx.nn.Dropout
    activation: str = eqx.field(static=True)

    def __init__(self, width: int, *, key: PRNGKeyArray, activation: str = "silu", dropout: float = 0.0):
        k_first, k_second = fresh_keys(key, 2)
        self.norm = eqx.nn.LayerNorm(width)
        self.first = dense(width, width, key=k_first, gain=2**0.5)
        self.second = dense(width, width, key=k_second, gain=0.1)
        self.dropout = eqx.nn.Dropout(dropout)
        self.activation = activation

    def __call__(self, h: Float[Array, " w"], *, key: PRNGKeyArray | None = None) -> Float[Array, " w"]:
        """The block's output at one input."""
        act = activation(self.activation)
        hidden = act(self.first(act(self.norm(h))))
        return h + self.second(self.dropout(hidden, key=key, inference=True if key is None else None))


class ResidualStack(eqx.Module):
    """`depth` residual blocks of one width, one after another, (width,) -> (width,).

    Unrolled, not scanned: at the depths used here (2 to 6) the scan was measured to compile no faster and to run 15 to
    45 % slower on a CPU, most of all for ensembles.
    """

    blocks: tuple[ResidualBlock, ...]

    def __init__(self, width: int, depth: int, *, key: PRNGKeyArray, activation: str = "silu", dropout: float = 0.0):
        keys = fresh_keys(key, max(depth, 1))[:depth]
        self.blocks = tuple(ResidualBlock(width, key=k, activation=activation, dropout=dropout) for k in keys)

    def __call__(self, h: Float[Array, " w"], *, key: PRNGKeyArray | None = None) -> Float[Array, " w"]:
        """The last block's output."""
        for i, block in enumerate(self.blocks):
            h = block(h, key=None if key is None else jax.random.fold_in(key, i))
        return h


class ResidualMLP(eqx.Module):
    """(in_size,) -> (out_size,): affine, `depth` residual blocks of `width`, LayerNorm, activation, affine.

    >>> import jax, jax.numpy as jnp
    >>> ResidualMLP(in_size=3, out_size=2, width=16, depth=1, key=jax.random.key(0))(jnp.ones(3)).shape
    (2,)
    """

    first: eqx.nn.Linear
    stack: ResidualStack
    norm: eqx.nn.LayerNorm
    last: eqx.nn.Linear
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
        k_first, k_stack, k_last = fresh_keys(key, 3)
        self.first = dense(in_size, width, key=k_first)
        self.stack = ResidualStack(width, depth, key=k_stack, activation=activation, dropout=dropout)
        self.norm = eqx.nn.LayerNorm(width)
        self.last = dense(width, out_size, key=k_last, zero=zero_last)
        self.in_size, self.out_size, self.activation = in_size, out_size, activation

    def __call__(self, x: Float[Array, " d"], *, key: PRNGKeyArray | None = None) -> Float[Array, " out"]:
        """The output at one input; dropout acts only when a `key` is given, outside inference mode."""
        h = self.stack(self.first(x), key=key)
        return self.last(activation(self.activation)(self.norm(h)))


register("resmlp")(ResidualMLP)
