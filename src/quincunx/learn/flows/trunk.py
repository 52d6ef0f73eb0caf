"""The residual network under a density head: zero at the start, with a linear path beside it."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.learn.flows.normals import normals


class Trunk(eqx.Module):
    """condition -> head parameters: a residual SiLU network plus a linear map, both zero before training."""

    first: Float[Array, "h c"]
    first_bias: Float[Array, " h"]
    hidden: Float[Array, "depth h h"]
    hidden_bias: Float[Array, "depth h"]
    last: Float[Array, "out h"]
    skip: Float[Array, "out c"]
    bias: Float[Array, " out"]

    def __init__(self, in_size: int, out_size: int, *, width: int, depth: int, key: PRNGKeyArray):
        # first biases as wide as the scaled inputs, so that the units' bends lie all over them and not all at zero
        self.first, self.first_bias, self.hidden = normals(
            key, ((width, in_size), (width,), (depth, width, width)), (max(in_size, 1) ** -0.5, 1.0, width**-0.5)
        )
        self.hidden_bias = jnp.zeros((depth, width))
        self.last = jnp.zeros((out_size, width))
        self.skip = jnp.zeros((out_size, in_size))
        self.bias = jnp.zeros(out_size)

    def __call__(self, condition: Float[Array, " c"]) -> Float[Array, " out"]:
        """The head's parameters at one condition."""
        hidden = jax.nn.silu(self.first @ condition + self.first_bias)
        for weight, bias in zip(self.hidden, self.hidden_bias, strict=True):
            hidden = hidden + jax.nn.silu(weight @ hidden + bias)
        return self.last @ hidden + self.skip @ condition + self.bias
