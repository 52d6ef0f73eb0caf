"""Cross-entropy of which theta made x, among K (NRE-B)."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quincunx.learn.functionals.contrast import contrastive_logits


class RatioMulticlass(eqx.Module):
    """-E log exp f(theta_1, x) / sum_{k<=K} exp f(theta_k, x), theta_1 joint with x, minimised by f = log r(theta, x)
    + c(x).

    The function c(x) is arbitrary: differences in theta at one x are right (so is MCMC), but f is no log-ratio, and
    sums over events, evidences and comparisons between x are not to be made of it. At the minimum, log K - loss is a
    lower bound of the mutual information. batch: "theta" (n, d) and "x"; K = `classes`, but no more than n
    (2002.03712).
    """

    classes: int = eqx.field(static=True, default=10)
    minimiser: ClassVar[str] = "f(theta, x) = log p(x | theta) - log p(x) + c(x), c arbitrary"

    def __call__(self, model, batch: dict[str, PyTree], *, key: PRNGKeyArray) -> Float[Array, ""]:
        """The mean over the batch, in nats; log K for an uninformed f."""
        count = min(self.classes, batch["theta"].shape[0]) - 1
        joint, marginal = contrastive_logits(model, batch["theta"], batch["x"], count, key=key)
        return jnp.mean(logsumexp(jnp.concatenate([joint[:, None], marginal], axis=1), axis=1) - joint)
