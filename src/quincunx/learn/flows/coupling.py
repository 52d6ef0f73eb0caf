"""Coupling flow: density and draw both in one pass."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from quincunx.learn.build import register
from quincunx.learn.flows.transform import Affine, Spline, transform_named
from quincunx.learn.flows.trunk import Trunk


class _Layer(eqx.Module):
    """Which coordinates stand still, and the network that reads them; stacked along a leading axis in the flow."""

    still: Bool[Array, "*l d"]
    trunk: Trunk


class CouplingFlow(eqx.Module):
    """q(y | c) as a chain of coupling maps to a standard normal (1605.08803; splines 1906.04032).

    In each layer half of the coordinates stand still and set the map of the others; which half changes from layer to
    layer. One pass either way, so it is the one to choose when draws in many dimensions matter.

    >>> import jax, jax.numpy as jnp
    >>> from quincunx.learn.build import build
    >>> flow = build({"kind": "coupling", "dim": 3, "condition_dim": 1, "layers": 2, "width": 8},
    ...              key=jax.random.key(0))
    >>> flow.sample(jnp.ones(1), key=jax.random.key(1)).shape
    (3,)
    """

    layers: _Layer
    transform: Affine | Spline
    dim: int = eqx.field(static=True)
    condition_dim: int = eqx.field(static=True)
    invertible: bool = eqx.field(static=True, default=True)

    def _parameters(self, layer: _Layer, y, condition):
        seen = jnp.where(layer.still, y, 0.0)
        return layer.trunk(jnp.concatenate([seen, condition])).reshape(self.dim, self.transform.size)

    def to_base(
        self, y: Float[Array, " d"], condition: Float[Array, " c"]
    ) -> tuple[Float[Array, " d"], Float[Array, ""]]:
        """Coordinates z that are standard normal under the density, and log|det dz/dy|."""

        def step(carry, layer):
            y, log_det = carry
            z, log_slope = self.transform.forward(y, self._parameters(layer, y, condition))
            moved = jnp.where(layer.still, y, z)
            return (moved, log_det + jnp.sum(jnp.where(layer.still, 0.0, log_slope))), None

        (z, log_det), _ = jax.lax.scan(step, (y, jnp.zeros(())), self.layers)
        return z, log_det

    def from_base(self, z: Float[Array, " d"], condition: Float[Array, " c"]) -> Float[Array, " d"]:
        """The inverse of `to_base`."""

        def step(z, layer):
            y = self.transform.inverse(z, self._parameters(layer, z, condition))
            return jnp.where(layer.still, z, y), None

        y, _ = jax.lax.scan(step, z, self.layers, reverse=True)
        return y

    def log_prob(self, y: Float[Array, " d"], condition: Float[Array, " c"]) -> Float[Array, ""]:
        """log q(y | condition)."""
        z, log_det = self.to_base(y, condition)
        return jnp.sum(jax.scipy.stats.norm.logpdf(z)) + log_det

    def sample(self, condition: Float[Array, " c"], *, key: PRNGKeyArray) -> Float[Array, " d"]:
        """One draw from q(. | condition)."""
        return self.from_base(jax.random.normal(key, (self.dim,)), condition)


@register("coupling")
def coupling(
    *,
    dim: int,
    condition_dim: int,
    key: PRNGKeyArray,
    transform: str = "spline",
    layers: int = 6,
    width: int = 64,
    depth: int = 1,
    knots: int = 8,
    interval: float = 4.0,
) -> CouplingFlow:
    """Build a `CouplingFlow`; in one dimension every layer moves the only coordinate, given the condition."""
    bijection = transform_named(transform, knots=knots, interval=interval)
    trunks = jax.vmap(lambda k: Trunk(dim + condition_dim, dim * bijection.size, width=width, depth=depth, key=k))(
        jax.random.split(key, layers)
    )
    return CouplingFlow(_Layer(jnp.asarray(_halves(dim, layers)), trunks), bijection, dim, condition_dim)


def _halves(dim: int, layers: int) -> np.ndarray:
    # consecutive layers share a split and swap its halves, so that every coordinate moves in each pair
    generator = np.random.default_rng(dim)
    splits = [generator.permutation(dim) < dim // 2 for _ in range((layers + 1) // 2)]
    return np.stack([splits[i // 2] ^ (i % 2 == 1 and dim > 1) for i in range(layers)])
