"""A mixture of Gaussians whose weights, means and covariances a network reads off the condition."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.learn.build import register
from quincunx.learn.flows.gaussian import colour, head_size, whiten
from quincunx.learn.flows.trunk import Trunk


class ConditionalMixture(eqx.Module):
    """q(y | c) = sum_k w_k(c) N(y; mean_k(c), Sigma_k(c)): the mixture density network (Bishop 1994).

    >>> import jax, jax.numpy as jnp
    >>> from quincunx.learn.build import build
    >>> q = build({"kind": "mixture", "dim": 2, "condition_dim": 1, "components": 3}, key=jax.random.key(0))
    >>> q.sample(jnp.zeros(1), key=jax.random.key(1)).shape
    (2,)
    """

    trunk: Trunk
    centres: Float[Array, "k head"]
    dim: int = eqx.field(static=True)
    condition_dim: int = eqx.field(static=True)
    components: int = eqx.field(static=True)
    full: bool = eqx.field(static=True)
    invertible: bool = eqx.field(static=True, default=False)

    def _heads(self, condition):
        out = self.trunk(condition)
        heads = out[self.components :].reshape(self.components, -1) + self.centres
        return jax.nn.log_softmax(out[: self.components]), heads

    def log_prob(self, y: Float[Array, " d"], condition: Float[Array, " c"]) -> Float[Array, ""]:
        """log q(y | condition)."""
        log_weights, heads = self._heads(condition)
        z, log_det = jax.vmap(lambda head: whiten(y, head, self.dim, self.full))(heads)
        each = jnp.sum(jax.scipy.stats.norm.logpdf(z), axis=-1) + log_det
        return jax.nn.logsumexp(log_weights + each)

    def sample(self, condition: Float[Array, " c"], *, key: PRNGKeyArray) -> Float[Array, " d"]:
        """One draw from q(. | condition)."""
        log_weights, heads = self._heads(condition)
        k_component, k_noise = jax.random.split(key)
        head = heads[jax.random.categorical(k_component, log_weights)]
        return colour(jax.random.normal(k_noise, (self.dim,)), head, self.dim, self.full)


@register("mixture")
def mixture(
    *,
    dim: int,
    condition_dim: int,
    key: PRNGKeyArray,
    components: int = 8,
    width: int = 64,
    depth: int = 2,
    full: bool = True,
) -> ConditionalMixture:
    """Build a `ConditionalMixture`; its components start apart, at random means and at widths from 1 to a tenth."""
    k_trunk, k_means = jax.random.split(key)
    size = head_size(dim, full)
    trunk = Trunk(condition_dim, components * (1 + size), width=width, depth=depth, key=k_trunk)
    centres = jnp.zeros((components, size))
    centres = centres.at[:, :dim].set(0.5 * jax.random.normal(k_means, (components, dim)))
    centres = centres.at[:, dim : 2 * dim].set(-jnp.linspace(0.0, 2.3, components)[:, None])
    return ConditionalMixture(trunk, centres, dim, condition_dim, components, full)
