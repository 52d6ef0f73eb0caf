"""A Gaussian whose mean and covariance a network reads off the condition."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.learn.build import register
from quincunx.learn.flows.trunk import Trunk


class ConditionalGaussian(eqx.Module):
    """q(y | c) = N(y; mean(c), Sigma(c)), Sigma^-1 = W^T W with W(c) lower triangular and a positive diagonal.

    The right family whenever noise is Gaussian with a covariance that depends on the parameters, and the one with the
    least variance of fit there; mean and W have a linear path besides the network.

    >>> import jax, jax.numpy as jnp
    >>> from quincunx.learn.build import build
    >>> q = build({"kind": "gaussian", "dim": 2, "condition_dim": 1, "width": 8}, key=jax.random.key(0))
    >>> float(q.log_prob(jnp.zeros(2), jnp.zeros(1)))  # untrained: standard normal
    -1.837877...
    """

    trunk: Trunk
    dim: int = eqx.field(static=True)
    condition_dim: int = eqx.field(static=True)
    full: bool = eqx.field(static=True)
    invertible: bool = eqx.field(static=True, default=True)

    def to_base(
        self, y: Float[Array, " d"], condition: Float[Array, " c"]
    ) -> tuple[Float[Array, " d"], Float[Array, ""]]:
        """z = W (y - mean), standard normal under the density, and log|det dz/dy|."""
        return whiten(y, self.trunk(condition), self.dim, self.full)

    def from_base(self, z: Float[Array, " d"], condition: Float[Array, " c"]) -> Float[Array, " d"]:
        """y = mean + W^-1 z."""
        return colour(z, self.trunk(condition), self.dim, self.full)

    def log_prob(self, y: Float[Array, " d"], condition: Float[Array, " c"]) -> Float[Array, ""]:
        """log q(y | condition)."""
        z, log_det = self.to_base(y, condition)
        return jnp.sum(jax.scipy.stats.norm.logpdf(z)) + log_det

    def sample(self, condition: Float[Array, " c"], *, key: PRNGKeyArray) -> Float[Array, " d"]:
        """One draw from q(. | condition)."""
        return self.from_base(jax.random.normal(key, (self.dim,)), condition)


def head_size(dim: int, full: bool) -> int:
    """How many numbers describe one Gaussian: mean, log-diagonal, and the strict lower triangle when it is full."""
    return 2 * dim + (dim * (dim - 1) // 2 if full else 0)


def whiten(y, head, dim: int, full: bool):
    """z = P (y - mean) e^{-log_scale} with P unit lower triangular, and its log-determinant.

    The triangle is that of the inverse factor, so that the density needs a product and no solve.
    """
    log_scale = 9.0 * jnp.tanh(head[dim : 2 * dim] / 9.0)
    scaled = (y - head[:dim]) * jnp.exp(-log_scale)
    if full:
        scaled = scaled + _strict_lower(head[2 * dim :], dim) @ scaled
    return scaled, -jnp.sum(log_scale)


def colour(z, head, dim: int, full: bool):
    """The inverse of `whiten`."""
    if full:
        unit = jnp.eye(dim) + _strict_lower(head[2 * dim :], dim)
        z = jax.scipy.linalg.solve_triangular(unit, z, lower=True, unit_diagonal=True)
    log_scale = 9.0 * jnp.tanh(head[dim : 2 * dim] / 9.0)
    return z * jnp.exp(log_scale) + head[:dim]


def _strict_lower(entries: Float[Array, " q"], dim: int) -> Float[Array, "d d"]:
    rows, columns = jnp.tril_indices(dim, -1)
    return jnp.zeros((dim, dim)).at[rows, columns].set(entries)


@register("gaussian")
def gaussian(
    *, dim: int, condition_dim: int, key: PRNGKeyArray, width: int = 64, depth: int = 2, full: bool = True
) -> ConditionalGaussian:
    """Build a `ConditionalGaussian`; `full=False` keeps the covariance diagonal."""
    trunk = Trunk(condition_dim, head_size(dim, full), width=width, depth=depth, key=key)
    return ConditionalGaussian(trunk, dim, condition_dim, full)
