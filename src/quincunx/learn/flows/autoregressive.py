"""Masked autoregressive flow: one pass for the density, one pass a coordinate for a draw."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from quincunx.learn.build import register
from quincunx.learn.flows.normals import normals
from quincunx.learn.flows.transform import Affine, Spline, transform_named


class _Layer(eqx.Module):
    """One masked network and the order in which it takes the coordinates; stacked along a leading axis in the flow."""

    order: Int[Array, "*l d"]
    first: Float[Array, "*l h d"]
    context: Float[Array, "*l h c"]
    bias: Float[Array, "*l h"]
    hidden: Float[Array, "*l depth h h"]
    hidden_bias: Float[Array, "*l depth h"]
    last: Float[Array, "*l d p h"]
    skip: Float[Array, "*l d p d"]
    skip_context: Float[Array, "*l d p c"]
    last_bias: Float[Array, "*l d p"]


class AutoregressiveFlow(eqx.Module):
    """q(y | c) as a chain of masked autoregressive maps to a standard normal (1705.07057; splines 1906.04032).

    z_i = T(y_i; parameters_i(y_1..i-1, c)) in every layer, the coordinates in another order in each. The layers are
    stacked and scanned, so that compile time does not grow with their number. Each network is a residual MLP with
    masked weights (1502.03509) and a linear path from its inputs to its outputs; its last weights start at zero, so
    that the untrained flow is the identity.

    >>> import jax, jax.numpy as jnp
    >>> from quincunx.learn.build import build
    >>> flow = build({"kind": "autoregressive", "dim": 2, "condition_dim": 3, "layers": 2, "width": 16},
    ...              key=jax.random.key(0))
    >>> flow.log_prob(jnp.zeros(2), jnp.ones(3)).shape
    ()
    >>> flow.sample(jnp.ones(3), key=jax.random.key(1)).shape
    (2,)
    """

    layers: _Layer
    transform: Affine | Spline
    dim: int = eqx.field(static=True)
    condition_dim: int = eqx.field(static=True)
    invertible: bool = eqx.field(static=True, default=True)

    def to_base(
        self, y: Float[Array, " d"], condition: Float[Array, " c"]
    ) -> tuple[Float[Array, " d"], Float[Array, ""]]:
        """Coordinates z that are standard normal under the density, and log|det dz/dy|."""
        masks = _masks(self.dim, self.layers.bias.shape[-1])

        def step(carry, layer):
            y, log_det = carry
            y = y[layer.order]
            z, log_slope = self.transform.forward(y, _parameters(layer, y, condition, masks))
            return (z, log_det + jnp.sum(log_slope)), None

        (z, log_det), _ = jax.lax.scan(step, (y, jnp.zeros(())), self.layers)
        return z, log_det

    def from_base(self, z: Float[Array, " d"], condition: Float[Array, " c"]) -> Float[Array, " d"]:
        """The inverse of `to_base`: y from z, coordinate after coordinate."""
        masks = _masks(self.dim, self.layers.bias.shape[-1])

        def step(z, layer):
            def coordinate(i, y):
                parameters = _parameters(layer, y, condition, masks)
                value = self.transform.inverse(z[i][None], parameters[i][None])[0]
                return y.at[i].set(value)

            y = jax.lax.fori_loop(0, self.dim, coordinate, jnp.zeros_like(z))
            return jnp.zeros_like(y).at[layer.order].set(y), None

        y, _ = jax.lax.scan(step, z, self.layers, reverse=True)
        return y

    def log_prob(self, y: Float[Array, " d"], condition: Float[Array, " c"]) -> Float[Array, ""]:
        """log q(y | condition)."""
        z, log_det = self.to_base(y, condition)
        return jnp.sum(jax.scipy.stats.norm.logpdf(z)) + log_det

    def sample(self, condition: Float[Array, " c"], *, key: PRNGKeyArray) -> Float[Array, " d"]:
        """One draw from q(. | condition)."""
        return self.from_base(jax.random.normal(key, (self.dim,)), condition)


def _masks(dim: int, width: int) -> list[np.ndarray]:
    inputs = np.arange(dim)
    # degree k of a hidden unit: it sees coordinates 0..k; -1 sees the condition alone, which the first coordinate needs
    hidden = np.arange(width) % dim - 1
    first = hidden[:, None] >= inputs[None, :]
    between = hidden[:, None] >= hidden[None, :]
    last = inputs[:, None] > hidden[None, :]
    skip = inputs[:, None] > inputs[None, :]
    return [m.astype(np.float32) for m in (first, between, last, skip)]


def _parameters(layer: _Layer, y, condition, masks) -> Float[Array, "d p"]:
    first, between, last, skip = masks
    hidden = jax.nn.silu((layer.first * first) @ y + layer.context @ condition + layer.bias)
    for weight, bias in zip(layer.hidden, layer.hidden_bias, strict=True):
        hidden = hidden + jax.nn.silu((weight * between) @ hidden + bias)
    masked_last = layer.last * last[:, None, :]
    masked_skip = layer.skip * skip[:, None, :]
    return masked_last @ hidden + masked_skip @ y + layer.skip_context @ condition + layer.last_bias


@register("autoregressive")
def autoregressive(
    *,
    dim: int,
    condition_dim: int,
    key: PRNGKeyArray,
    transform: str = "affine",
    layers: int = 5,
    width: int = 50,
    depth: int = 1,
    knots: int = 8,
    interval: float = 4.0,
) -> AutoregressiveFlow:
    """Build an `AutoregressiveFlow`; `depth` counts the residual layers after the first hidden one."""
    bijection = transform_named(transform, knots=knots, interval=interval)
    size = bijection.size
    fan_in = dim / 2 + condition_dim
    first, context, hidden = normals(
        key,
        ((layers, width, dim), (layers, width, condition_dim), (layers, depth, width, width)),
        (fan_in**-0.5, fan_in**-0.5, (width / 2) ** -0.5),
    )
    stacked = _Layer(
        order=jnp.asarray(_orders(dim, layers)),
        first=first,
        context=context,
        bias=jnp.zeros((layers, width)),
        hidden=hidden,
        hidden_bias=jnp.zeros((layers, depth, width)),
        last=jnp.zeros((layers, dim, size, width)),
        skip=jnp.zeros((layers, dim, size, dim)),
        skip_context=jnp.zeros((layers, dim, size, condition_dim)),
        last_bias=jnp.zeros((layers, dim, size)),
    )
    return AutoregressiveFlow(stacked, bijection, dim, condition_dim)


def _orders(dim: int, layers: int) -> np.ndarray:
    # as given, reversed, and then at random: reversal alone never changes which coordinates are neighbours
    generator = np.random.default_rng(dim)
    orders = [np.arange(dim)[:: 1 if i % 2 == 0 else -1] for i in range(layers)]
    for i in range(2, layers if dim > 2 else 0):
        orders[i] = generator.permutation(dim)
    return np.stack(orders).astype(np.int32)
