"""A residual network of (t, y, condition) whose LayerNorms are steered by time and condition."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quincunx.learn.build import Spec, build, register
from quincunx.learn.networks.dense import activation, dense
from quincunx.learn.networks.start import fresh_keys
from quincunx.learn.networks.time_features import time_features


class AdaptiveBlock(eqx.Module):
    """h -> h + gate * W_2 act(W_1 ((1 + scale) * LayerNorm(h) + shift)), with scale, shift and gate affine in m.

    The gate starts at one tenth, scale and shift at zero (adaLN of 2212.09748).
    """

    norm: eqx.nn.LayerNorm
    modulation: eqx.nn.Linear
    first: eqx.nn.Linear
    second: eqx.nn.Linear
    activation: str = eqx.field(static=True)

    def __init__(self, width: int, modulation_size: int, *, key: PRNGKeyArray, activation: str):
        k_modulation, k_first, k_second = fresh_keys(key, 3)
        self.norm = eqx.nn.LayerNorm(width, use_weight=False, use_bias=False)
        modulation = dense(modulation_size, 3 * width, key=k_modulation, zero=True)
        start = jnp.concatenate([jnp.zeros(2 * width), jnp.full(width, 0.1)])
        self.modulation = eqx.tree_at(lambda a: a.bias, modulation, start)
        self.first = dense(width, width, key=k_first, gain=2**0.5)
        self.second = dense(width, width, key=k_second)
        self.activation = activation

    def __call__(self, h: Float[Array, " w"], m: Float[Array, " m"]) -> Float[Array, " w"]:
        """The block's output for hidden state `h` and modulation `m`."""
        scale, shift, gate = jnp.split(self.modulation(m), 3)
        hidden = self.first((1 + scale) * self.norm(h) + shift)
        return h + gate * self.second(activation(self.activation)(hidden))


class AdaLN(eqx.Module):
    """(t (), y (dim,), condition) -> (dim,): the raw network inside velocity fields and denoisers.

    y and the encoded condition enter through the first layer; time and condition modulate every block. An `embedding`
    (a specification whose network gives `condition_dim` numbers) may stand before a condition that is not a vector.
    `encode` is the part that does not depend on t or y: integrators call it once and `at` at every stage.

    >>> import jax, jax.numpy as jnp
    >>> net = AdaLN(dim=2, condition_dim=3, width=16, depth=1, key=jax.random.key(0))
    >>> net(jnp.array(0.5), jnp.zeros(2), jnp.ones(3)).shape
    (2,)
    """

    embedding: Any
    condition: eqx.nn.Linear
    time: eqx.nn.Linear
    mix: eqx.nn.Linear
    first: eqx.nn.Linear
    blocks: tuple[AdaptiveBlock, ...]
    norm: eqx.nn.LayerNorm
    last: eqx.nn.Linear
    dim: int = eqx.field(static=True)
    condition_dim: int = eqx.field(static=True)
    activation: str = eqx.field(static=True)
    features: int = eqx.field(static=True)
    highest: float = eqx.field(static=True)

    def __init__(
        self,
        *,
        dim: int,
        condition_dim: int,
        key: PRNGKeyArray,
        width: int = 128,
        depth: int = 4,
        modulation_size: int = 64,
        activation: str = "silu",
        features: int = 16,
        highest: float = 8.0,
        embedding: Spec | None = None,
    ):
        k_embed, k_condition, k_time, k_mix, k_first, k_blocks, k_last = fresh_keys(key, 7)
        self.embedding = None if embedding is None else build(embedding, key=k_embed)
        self.condition = dense(condition_dim, modulation_size, key=k_condition)
        self.time = dense(features // 2 * 2 + 1, modulation_size, key=k_time)
        self.mix = dense(modulation_size, modulation_size, key=k_mix, gain=2**0.5)
        self.first = dense(dim + modulation_size, width, key=k_first)
        self.blocks = tuple(
            AdaptiveBlock(width, modulation_size, key=k, activation=activation)
            for k in fresh_keys(k_blocks, max(depth, 1))[:depth]
        )
        self.norm = eqx.nn.LayerNorm(width)
        self.last = dense(width, dim, key=k_last, zero=True)
        self.dim, self.condition_dim, self.activation = dim, condition_dim, activation
        self.features, self.highest = features, highest

    def encode(self, condition: PyTree) -> Float[Array, " m"]:
        """What the network needs to know of the condition."""
        return self.condition(condition if self.embedding is None else self.embedding(condition))

    def at(self, t: Float[Array, ""], y: Float[Array, " d"], encoded: Float[Array, " m"]) -> Float[Array, " d"]:
        """The output for an encoded condition."""
        act = activation(self.activation)
        clock = self.time(time_features(t, count=self.features, highest=self.highest))
        m = act(self.mix(act(clock + encoded)))
        h = self.first(jnp.concatenate([y, encoded]))
        for block in self.blocks:
            h = block(h, m)
        return self.last(act(self.norm(h)))

    def __call__(self, t: Float[Array, ""], y: Float[Array, " d"], condition: PyTree) -> Float[Array, " d"]:
        """The output at one time, one point and one condition."""
        return self.at(t, y, self.encode(condition))


register("adaln")(AdaLN)
