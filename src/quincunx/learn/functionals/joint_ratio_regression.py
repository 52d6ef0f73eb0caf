"""Squared error on the joint likelihood ratio (ROLR)."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quincunx.learn.functionals.contrast import logit


class JointRatioRegression(eqx.Module):
    """E_{theta}[(exp(-f) - 1/r)^2] + E_{ref}[(exp(f) - r)^2], r the joint ratio, minimised by f = log p(x | theta) / p_ref(x).

    batch: "theta" (n, d), "x", "label" (n,): 1 for x ~ p(x | theta), 0 for x ~ p_ref, and "log_ratio" (n,), the joint log-ratio
    log p(x, z | theta) / p_ref(x, z) (1805.12244). The conditional mean of r is the ratio under the reference, that of 1/r its inverse under theta, so
    each is regressed on the rows of that label alone. Both logarithms are clamped to +-`clamp`, since r is heavy-tailed.
    """

    clamp: float = eqx.field(static=True, default=10.0)
    minimiser: ClassVar[str] = "f(theta, x) = log p(x | theta) - log p_ref(x)"

    def __call__(self, model, batch: dict[str, PyTree], *, key: PRNGKeyArray) -> Float[Array, ""]:
        """The mean over the batch."""
        keys = jax.random.split(key, batch["theta"].shape[0])
        f = jax.vmap(lambda theta, x, k: logit(model, theta, x, key=k))(batch["theta"], batch["x"], keys)
        sign = 1 - 2 * batch["label"]
        learned, told = (jnp.clip(sign * a, -self.clamp, self.clamp) for a in (f, batch["log_ratio"]))
        return jnp.mean((jnp.exp(learned) - jnp.exp(told)) ** 2)
