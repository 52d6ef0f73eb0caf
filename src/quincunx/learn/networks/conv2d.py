"""Convolutions over an image, halved in size block by block and pooled to a vector."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.learn.build import register
from quincunx.learn.networks.dense import activation, dense
from quincunx.learn.networks.resmlp import ResidualMLP
from quincunx.learn.networks.start import fresh_keys
from quincunx.learn.networks.windows import pool_to, windows_2d


def _everywhere(layer):
    return jax.vmap(jax.vmap(layer))


def _halve(h: Float[Array, "h w c"]) -> Float[Array, "p q c"]:
    """Means over blocks of 2 x 2 pixels; an odd edge keeps its half block."""
    height, width, _ = h.shape
    h = pool_to(h, -(-height // 2))
    return jnp.swapaxes(pool_to(jnp.swapaxes(h, 0, 1), -(-width // 2)), 0, 1)


class Conv2d(eqx.Module):
    """An image (H, W, channels), or (H, W) with one channel -> (out_size,). Channels come last.

    `depth` residual blocks of kernel x kernel windows, the image halved before each but the first, the features
    doubled at every halving up to four times `width`; then means over `bins` x `bins` tiles and a small residual
    network. Two channels with the position of each pixel are added. Any size from 1 x 1 will do.

    >>> import jax, jax.numpy as jnp
    >>> Conv2d(out_size=4, width=4, depth=2, key=jax.random.key(0))(jnp.ones((7, 5))).shape
    (4,)
    """

    first: eqx.nn.Linear
    norms: tuple[eqx.nn.LayerNorm, ...]
    layers: tuple[eqx.nn.Linear, ...]
    widen: tuple[eqx.nn.Linear, ...]
    head: ResidualMLP
    channels: int = eqx.field(static=True)
    out_size: int = eqx.field(static=True)
    kernel: int = eqx.field(static=True)
    bins: int = eqx.field(static=True)
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        *,
        out_size: int,
        key: PRNGKeyArray,
        channels: int = 1,
        width: int = 16,
        depth: int = 3,
        kernel: int = 3,
        bins: int = 2,
        activation: str = "silu",
    ):
        k_first, k_layers, k_widen, k_head = fresh_keys(key, 4)
        widths = [width * min(2**i, 4) for i in range(depth)]
        last = widths[-1] if widths else width
        self.first = dense(kernel**2 * (channels + 2), width, key=k_first)
        self.norms = tuple(eqx.nn.LayerNorm(w) for w in widths)
        self.layers = tuple(
            dense(kernel**2 * w, w, key=k) for w, k in zip(widths, fresh_keys(k_layers, max(depth, 1)), strict=False)
        )
        self.widen = tuple(
            dense(a, b, key=k)
            for a, b, k in zip(widths[:-1], widths[1:], fresh_keys(k_widen, max(depth, 1)), strict=False)
        )
        self.head = ResidualMLP(
            in_size=bins**2 * last, out_size=out_size, width=2 * last, depth=1, activation=activation, key=k_head
        )
        self.channels, self.out_size, self.kernel, self.bins = channels, out_size, kernel, bins
        self.activation = activation

    def __call__(self, x: Float[Array, "h w *channels"]) -> Float[Array, " out"]:
        """The image's embedding."""
        height, width = x.shape[:2]
        rows = jnp.broadcast_to(jnp.linspace(-1.0, 1.0, height)[:, None], (height, width))
        columns = jnp.broadcast_to(jnp.linspace(-1.0, 1.0, width), (height, width))
        x = jnp.concatenate([x.reshape(height, width, self.channels), jnp.stack([rows, columns], -1)], axis=-1)
        act = activation(self.activation)
        h = _everywhere(self.first)(windows_2d(x, kernel=self.kernel))
        for i, (norm, layer) in enumerate(zip(self.norms, self.layers, strict=True)):
            if i > 0:
                h = _everywhere(self.widen[i - 1])(_halve(h))
            h = h + _everywhere(layer)(windows_2d(act(_everywhere(norm)(h)), kernel=self.kernel))
        tiles = pool_to(jnp.swapaxes(pool_to(h, self.bins), 0, 1), self.bins)
        return self.head(tiles.ravel())


register("conv2d")(Conv2d)
