"""Self-attention over a sequence or a set, pooled to a vector."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from quincunx.learn.build import register
from quincunx.learn.networks.dense import dense
from quincunx.learn.networks.resmlp import ResidualBlock, ResidualMLP
from quincunx.learn.networks.sets import Events, events_and_mask
from quincunx.learn.networks.start import fresh_keys, started


class AttentionBlock(eqx.Module):
    """h -> h + attend(LayerNorm(h)), then a residual block at every position."""

    norm: eqx.nn.LayerNorm
    attend: eqx.nn.MultiheadAttention
    block: ResidualBlock

    def __init__(self, width: int, heads: int, *, key: PRNGKeyArray, activation: str):
        k_attend, k_block = fresh_keys(key, 2)
        self.norm = eqx.nn.LayerNorm(width)
        self.attend = started(lambda key: eqx.nn.MultiheadAttention(heads, width, key=key), key=k_attend)
        self.block = ResidualBlock(width, key=k_block, activation=activation)

    def __call__(self, h: Float[Array, "t w"], mask: Bool[Array, " t"]) -> Float[Array, "t w"]:
        """The block's output; masked positions are attended to by none."""
        seen = jax.vmap(self.norm)(h)
        attended = self.attend(seen, seen, seen, mask=jnp.broadcast_to(mask, (len(mask), len(mask))))
        return jax.vmap(self.block)(h + attended)


class Attention(eqx.Module):
    """A sequence (T, in_size), or `{"events", "mask"}` -> (out_size,), after 1706.03762. Not causal.

    `depth` blocks of `heads`-headed self-attention at `width` (a multiple of `heads`), the mean over positions with
    log T beside it, and a small residual network. With `position` (the default) sinusoids of the index are added;
    without, the network is invariant under permutations, a set transformer. What masked rows hold never matters.

    >>> import jax, jax.numpy as jnp
    >>> Attention(in_size=2, out_size=3, width=8, heads=2, depth=1, key=jax.random.key(0))(jnp.ones((5, 2))).shape
    (3,)
    """

    first: eqx.nn.Linear
    blocks: tuple[AttentionBlock, ...]
    head: ResidualMLP
    in_size: int = eqx.field(static=True)
    out_size: int = eqx.field(static=True)
    position: bool = eqx.field(static=True)

    def __init__(
        self,
        *,
        in_size: int,
        out_size: int,
        key: PRNGKeyArray,
        width: int = 64,
        heads: int = 4,
        depth: int = 2,
        position: bool = True,
        activation: str = "silu",
    ):
        k_first, k_blocks, k_head = fresh_keys(key, 3)
        self.first = dense(in_size, width, key=k_first)
        self.blocks = tuple(
            AttentionBlock(width, heads, key=k, activation=activation)
            for k in fresh_keys(k_blocks, max(depth, 1))[:depth]
        )
        self.head = ResidualMLP(
            in_size=width + 1, out_size=out_size, width=width, depth=1, activation=activation, key=k_head
        )
        self.in_size, self.out_size, self.position = in_size, out_size, position

    def __call__(self, x: Events) -> Float[Array, " out"]:
        """The sequence's embedding."""
        events, mask = events_and_mask(x)
        h = jax.vmap(self.first)(events)
        if self.position:
            h = h + _positions(*h.shape)
        for block in self.blocks:
            h = block(h, mask)
        n = jnp.maximum(jnp.sum(mask), 1)
        mean = jnp.sum(jnp.where(mask[:, None], h, 0.0), axis=0) / n
        return self.head(jnp.concatenate([mean, jnp.log(n)[None]]))


def _positions(length: int, width: int) -> Float[Array, "t w"]:
    """Sinusoids of the index, frequencies falling geometrically from 1 to 1e-4 radians a step (1706.03762, section
    3.5)."""
    frequency = jnp.geomspace(1.0, 1e-4, -(-width // 2))
    angle = jnp.arange(length)[:, None] * frequency
    return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=1)[:, :width]


register("attention")(Attention)
