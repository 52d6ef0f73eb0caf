"""The network of a ratio estimator: (theta, x) -> logit."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quincunx.learn.build import Spec, build, register
from quincunx.learn.networks.dense import activation, dense
from quincunx.learn.networks.resmlp import ResidualStack
from quincunx.learn.networks.start import fresh_keys


class Ratio(eqx.Module):
    """(theta (theta_size,), x) -> (): a residual network of both, zero before training, that is ratio one.

    theta and x enter through separate matrices that are summed, so that scoring many theta against one x (as
    contrastive losses and samplers do) reads x once. An `embedding` (a specification whose network gives `x_size`
    numbers) may stand before an x that is not a vector. `dropout` acts only when a `key` is given, outside inference
    mode.

    >>> import jax, jax.numpy as jnp
    >>> net = Ratio(theta_size=2, x_size=3, width=16, key=jax.random.key(0))
    >>> float(net(jnp.ones(2), jnp.ones(3)))
    0.0
    """

    embedding: Any
    from_theta: eqx.nn.Linear
    from_x: eqx.nn.Linear
    stack: ResidualStack
    norm: eqx.nn.LayerNorm
    last: eqx.nn.Linear
    theta_size: int = eqx.field(static=True)
    x_size: int = eqx.field(static=True)
    activation: str = eqx.field(static=True)
    stochastic: bool = eqx.field(static=True)

    def __init__(
        self,
        *,
        theta_size: int,
        x_size: int,
        key: PRNGKeyArray,
        width: int = 128,
        depth: int = 3,
        activation: str = "silu",
        dropout: float = 0.0,
        embedding: Spec | None = None,
    ):
        k_embed, k_theta, k_x, k_stack, k_last = fresh_keys(key, 5)
        self.embedding = None if embedding is None else build(embedding, key=k_embed)
        self.from_theta = dense(theta_size, width, key=k_theta)
        self.from_x = dense(x_size, width, key=k_x)
        self.stack = ResidualStack(width, depth, key=k_stack, activation=activation, dropout=dropout)
        self.norm = eqx.nn.LayerNorm(width)
        self.last = dense(width, 1, key=k_last, zero=True)
        self.theta_size, self.x_size, self.activation = theta_size, x_size, activation
        self.stochastic = dropout > 0

    def __call__(self, theta: Float[Array, " d"], x: PyTree, *, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        """The logit, which the ratio functionals make a log-ratio."""
        seen = x if self.embedding is None else self.embedding(x)
        h = self.stack(self.from_theta(theta) + self.from_x(seen), key=key)
        return self.last(activation(self.activation)(self.norm(h)))[0]


register("ratio")(Ratio)
