"""A gated recurrent network along a sequence."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.learn.build import register
from quincunx.learn.networks.resmlp import ResidualMLP
from quincunx.learn.networks.sets import Events, events_and_mask
from quincunx.learn.networks.start import fresh_keys, started


class GRU(eqx.Module):
    """A sequence (T, in_size), or `{"events", "mask"}` with a mask -> (out_size,), after 1406.1078.

    The last state and the mean state pass through a small residual network. Causal: the state at a time depends on no
    later time. A masked step leaves the state as it was, so padding, wherever it stands, never matters. Any length T
    >= 1.

    >>> import jax, jax.numpy as jnp
    >>> GRU(in_size=2, out_size=3, width=8, key=jax.random.key(0))(jnp.ones((5, 2))).shape
    (3,)
    """

    cell: eqx.nn.GRUCell
    head: ResidualMLP
    in_size: int = eqx.field(static=True)
    out_size: int = eqx.field(static=True)

    def __init__(self, *, in_size: int, out_size: int, key: PRNGKeyArray, width: int = 64, activation: str = "silu"):
        k_cell, k_head = fresh_keys(key, 2)
        self.cell = started(lambda key: eqx.nn.GRUCell(in_size, width, key=key), key=k_cell)
        self.head = ResidualMLP(
            in_size=2 * width, out_size=out_size, width=width, depth=1, activation=activation, key=k_head
        )
        self.in_size, self.out_size = in_size, out_size

    def states(self, x: Events) -> Float[Array, "t w"]:
        """The state after each step."""
        events, mask = events_and_mask(x)

        def step(h, row):
            event, present = row
            h = jnp.where(present, self.cell(event, h), h)
            return h, h

        return jax.lax.scan(step, jnp.zeros(self.cell.hidden_size), (events, mask))[1]

    def __call__(self, x: Events) -> Float[Array, " out"]:
        """The sequence's embedding."""
        _, mask = events_and_mask(x)
        states = self.states(x)
        mean = jnp.sum(jnp.where(mask[:, None], states, 0.0), axis=0) / jnp.maximum(jnp.sum(mask), 1)
        return self.head(jnp.concatenate([states[-1], mean]))


register("gru")(GRU)
