"""Contrastive ratio estimation with a class for none (NRE-C), the default ratio functional."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quincunx.learn.functionals.contrast import contrastive_logits


class RatioContrastive(eqx.Module):
    """Which of K theta made x, or none of them? Minimised by f = log p(x | theta) / p(x), with no free c(x)
    (2210.06170).

    With Z(f_1..f_K) = logsumexp(log gamma + f_1, ..., log gamma + f_K, log K) the loss is
    -1 / (1 + gamma) E_{K marginal theta} [log K - Z] - gamma / (1 + gamma) E_{theta_1 joint, K - 1 marginal} [log
    gamma + f_1 - Z]. K = 1, gamma = 1 is half of NRE-A; gamma -> infinity is NRE-B. batch: "theta" (n, d) and "x"; K
    = `contrasts`, but no more than n - 1. The two expectations share their marginal draws, which costs K + 1
    evaluations for each x in place of 2 K.
    """

    contrasts: int = eqx.field(static=True, default=10)
    gamma: float = eqx.field(static=True, default=1.0)
    minimiser: ClassVar[str] = "f(theta, x) = log p(x | theta) - log p(x)"

    def __call__(self, model, batch: dict[str, PyTree], *, key: PRNGKeyArray) -> Float[Array, ""]:
        """The mean over the batch, in nats."""
        count = min(self.contrasts, batch["theta"].shape[0] - 1)
        joint, marginal = contrastive_logits(model, batch["theta"], batch["x"], count, key=key)
        log_gamma, log_k = jnp.log(self.gamma), jnp.log(count)

        def log_total(logits):
            none = jnp.full((logits.shape[0], 1), log_k)
            return logsumexp(jnp.concatenate([log_gamma + logits, none], axis=1), axis=1)

        none = log_k - log_total(marginal)
        first = log_gamma + joint - log_total(jnp.concatenate([joint[:, None], marginal[:, 1:]], axis=1))
        return -(jnp.mean(none) + self.gamma * jnp.mean(first)) / (1 + self.gamma)
