"""Squared error on the joint score at a reference point (SALLY, SALLINO)."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree


class JointScoreRegression(eqx.Module):
    """E_{x, z ~ theta_ref} |t(x) - t(x, z | theta_ref)|^2, minimised by t(x) = grad log p(x | theta) at theta_ref.

    batch: "x", drawn at theta_ref only, and "score" (n, d). The score is the locally optimal summary: near theta_ref the likelihood is an
    exponential family in it (1805.00020).
    """

    minimiser: ClassVar[str] = "t(x) = grad_theta log p(x | theta) at theta_ref"

    def __call__(self, model, batch: dict[str, PyTree], *, key: PRNGKeyArray) -> Float[Array, ""]:
        """The mean over the batch, summed over parameters."""
        return jnp.mean(jnp.sum((jax.vmap(model)(batch["x"]) - batch["score"]) ** 2, axis=-1))
