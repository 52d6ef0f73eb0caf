"""Negative log-density: the functional of posterior (NPE) and likelihood (NLE) estimation."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree


class NegativeLogDensity(eqx.Module):
    """-E_{p(y, c)} log q(y | c), minimised by q(y | c) = p(y | c), where its value is the conditional entropy of y.

    batch: "y" (n, d) and "c", a pytree with a leading axis of n. With y = theta and c = x the minimiser is the
    posterior (NPE, 1605.06376), with y = x and c = theta the likelihood (NLE, 1805.07226). The model has `log_prob(y,
    c)`.

    >>> import jax, jax.numpy as jnp
    >>> from quincunx.learn.build import build
    >>> q = build({"kind": "gaussian", "dim": 1, "condition_dim": 1}, key=jax.random.key(0))
    >>> batch = {"y": jnp.zeros((4, 1)), "c": jnp.zeros((4, 1))}
    >>> NegativeLogDensity()(q, batch, key=jax.random.key(0)).shape
    ()
    """

    minimiser: ClassVar[str] = "q(y | c) = p(y | c)"

    def __call__(self, model, batch: dict[str, PyTree], *, key: PRNGKeyArray) -> Float[Array, ""]:
        """The mean over the batch, in nats."""
        return -jnp.mean(jax.vmap(model.log_prob)(batch["y"], batch["c"]))
