"""A density with an embedding in front of its condition, trained together."""

from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quincunx.learn.build import Spec, build, register


class Conditional(eqx.Module):
    """q(y | embedding(condition)): what negative log-density is minimised over.

    Without an embedding the condition goes straight to the density.

    >>> import jax, jax.numpy as jnp
    >>> from quincunx.learn.build import build
    >>> q = build({"kind": "conditional", "density": {"kind": "gaussian", "dim": 1, "condition_dim": 2}},
    ...           key=jax.random.key(0))
    >>> q.log_prob(jnp.zeros(1), jnp.zeros(2)).shape
    ()
    """

    density: Any
    embedding: Any

    @property
    def dim(self) -> int:
        """Dimension of y."""
        return self.density.dim

    @property
    def invertible(self) -> bool:
        """Whether `to_base` exists."""
        return self.density.invertible

    def embed(self, condition: PyTree) -> Float[Array, " c"]:
        """The vector that the density sees."""
        return condition if self.embedding is None else self.embedding(condition)

    def log_prob(self, y: Float[Array, " d"], condition: PyTree) -> Float[Array, ""]:
        """log q(y | condition)."""
        return self.density.log_prob(y, self.embed(condition))

    def sample(self, condition: PyTree, *, key: PRNGKeyArray) -> Float[Array, " d"]:
        """One draw from q(. | condition)."""
        return self.density.sample(self.embed(condition), key=key)

    def to_base(self, y: Float[Array, " d"], condition: PyTree) -> tuple[Float[Array, " d"], Float[Array, ""]]:
        """Base coordinates and log-determinant, where the density is invertible."""
        return self.density.to_base(y, self.embed(condition))


@register("conditional")
def conditional(*, density: Spec, key: PRNGKeyArray, embedding: Spec | None = None) -> Conditional:
    """Build a `Conditional` from the specification of its density and, optionally, of its embedding."""
    k_density, k_embedding = jax.random.split(key)
    return Conditional(build(density, key=k_density), None if embedding is None else build(embedding, key=k_embedding))
