"""Balanced binary cross-entropy (BNRE): a classifier that is conservative on average."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quincunx.learn.functionals.contrast import contrastive_logits


class RatioBalanced(eqx.Module):
    """NRE-A plus strength * (E_joint s(f) + E_marginal s(f) - 1)^2, minimised by f = log p(x | theta) / p(x) all the
    same.

    The Bayes-optimal classifier is balanced, so the penalty vanishes there; away from it, a balanced classifier is on
    average no more confident than the optimal one (2208.13624). It needs more simulations for the same sharpness.
    batch: "theta" (n, d) and "x", n at least 2.
    """

    strength: float = eqx.field(static=True, default=100.0)
    minimiser: ClassVar[str] = "f(theta, x) = log p(x | theta) - log p(x)"

    def __call__(self, model, batch: dict[str, PyTree], *, key: PRNGKeyArray) -> Float[Array, ""]:
        """The mean over the batch, in nats, plus the penalty."""
        joint, marginal = contrastive_logits(model, batch["theta"], batch["x"], 1, key=key)
        cross_entropy = jnp.mean(jax.nn.softplus(-joint)) + jnp.mean(jax.nn.softplus(marginal))
        balance = jnp.mean(jax.nn.sigmoid(joint)) + jnp.mean(jax.nn.sigmoid(marginal)) - 1
        return cross_entropy + self.strength * balance**2
