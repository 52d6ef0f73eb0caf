"""Dilated convolutions along a series, pooled to a vector."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.learn.build import register
from quincunx.learn.networks.dense import activation, dense
from quincunx.learn.networks.resmlp import ResidualMLP
from quincunx.learn.networks.start import fresh_keys
from quincunx.learn.networks.windows import pool_to, windows_1d


class Conv1d(eqx.Module):
    """A series (T, channels), or (T,) with one channel -> (out_size,).

    `depth` residual blocks of width `width` with windows of `kernel` steps dilated by 1, 2, 4, ...; then means over
    `bins` stretches of time and a small residual network. A channel with the position in time (from 0 to 1) is added,
    so that when things happen is seen. With `causal` the features at a time depend on no later time (see `features`;
    the pooled vector depends on all); the default is not causal. `stride` above 1 first gathers that many steps into
    one. Any length T >= 1 will do, and may differ from call to call.

    >>> import jax, jax.numpy as jnp
    >>> Conv1d(out_size=4, width=8, depth=2, key=jax.random.key(0))(jnp.ones(17)).shape
    (4,)
    """

    first: eqx.nn.Linear
    norms: tuple[eqx.nn.LayerNorm, ...]
    layers: tuple[eqx.nn.Linear, ...]
    head: ResidualMLP
    channels: int = eqx.field(static=True)
    out_size: int = eqx.field(static=True)
    kernel: int = eqx.field(static=True)
    bins: int = eqx.field(static=True)
    stride: int = eqx.field(static=True)
    causal: bool = eqx.field(static=True)
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        *,
        out_size: int,
        key: PRNGKeyArray,
        channels: int = 1,
        width: int = 32,
        depth: int = 4,
        kernel: int = 3,
        bins: int = 4,
        stride: int = 1,
        causal: bool = False,
        activation: str = "silu",
    ):
        k_first, k_layers, k_head = fresh_keys(key, 3)
        self.first = dense(stride * (channels + 1), width, key=k_first)
        self.norms = tuple(eqx.nn.LayerNorm(width) for _ in range(depth))
        self.layers = tuple(dense(kernel * width, width, key=k) for k in fresh_keys(k_layers, max(depth, 1))[:depth])
        self.head = ResidualMLP(
            in_size=bins * width, out_size=out_size, width=2 * width, depth=1, activation=activation, key=k_head
        )
        self.channels, self.out_size, self.kernel, self.bins = channels, out_size, kernel, bins
        self.stride, self.causal, self.activation = stride, causal, activation

    def features(self, x: Float[Array, "t *channels"]) -> Float[Array, "s w"]:
        """The features at each (strided) time, before pooling."""
        x = x.reshape(x.shape[0], self.channels)
        length = x.shape[0]
        x = jnp.concatenate([x, jnp.linspace(0.0, 1.0, length)[:, None]], axis=1)
        steps = -(-length // self.stride)
        x = jnp.pad(x, ((0, steps * self.stride - length), (0, 0))).reshape(steps, -1)
        act = activation(self.activation)
        h = jax.vmap(self.first)(x)
        for i, (norm, layer) in enumerate(zip(self.norms, self.layers, strict=True)):
            seen = windows_1d(act(jax.vmap(norm)(h)), kernel=self.kernel, dilation=2**i, causal=self.causal)
            h = h + jax.vmap(layer)(seen)
        return h

    def __call__(self, x: Float[Array, "t *channels"]) -> Float[Array, " out"]:
        """The series' embedding."""
        return self.head(pool_to(self.features(x), self.bins).ravel())


register("conv1d")(Conv1d)
