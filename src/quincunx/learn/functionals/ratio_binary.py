"""Binary cross-entropy, joint against product of marginals (NRE-A)."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quincunx.learn.functionals.contrast import contrastive_logits


class RatioBinary(eqx.Module):
    """-E_{p(theta, x)} log s(f) - E_{p(theta) p(x)} log(1 - s(f)), s the logistic function, minimised by f = log p(x
    | theta) / p(x).

    batch: "theta" (n, d) and "x", a pytree with a leading axis of n; n at least 2. Marginal pairs take the theta of
    another row. The model is f(theta, x) -> logit (1903.04057).
    """

    minimiser: ClassVar[str] = "f(theta, x) = log p(x | theta) - log p(x)"

    def __call__(self, model, batch: dict[str, PyTree], *, key: PRNGKeyArray) -> Float[Array, ""]:
        """The mean over the batch, in nats; 2 log 2 for an uninformed f = 0."""
        joint, marginal = contrastive_logits(model, batch["theta"], batch["x"], 1, key=key)
        return jnp.mean(jax.nn.softplus(-joint)) + jnp.mean(jax.nn.softplus(marginal))
