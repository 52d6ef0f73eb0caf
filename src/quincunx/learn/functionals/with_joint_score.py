"""A functional with the joint score beside it: CASCAL, RASCAL, ALICES and SCANDAL are pairs of this and another."""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quincunx.learn.functionals.contrast import logit


class WithJointScore(eqx.Module):
    """L + alpha E [sum_i w_i (t_i - d f / d theta_i)^2], t the joint score, minimised by L's own minimiser.

    batch: what L takes, "score" (n, d), the joint score in the network's coordinates of theta, and "weight" (n, d): 1 where x was drawn at
    the theta that t is the score at, 0 where it was not, since only there is E[t | x, theta] the score of p(x | theta) (1805.00020).
    f is the ratio network's output, or with `density` log q(y | c), whose condition c begins with theta (SCANDAL).
    """

    functional: Callable[..., Any]
    alpha: float = eqx.field(static=True, default=1.0)
    density: bool = eqx.field(static=True, default=False)
    minimiser: ClassVar[str] = "f = that of the functional, whose gradient in theta is E[joint score | x]"

    def __call__(self, model, batch: dict[str, PyTree], *, key: PRNGKeyArray) -> Float[Array, ""]:
        """The functional's mean over the batch plus alpha times the squared error of the score."""
        score, weight = batch["score"], batch["weight"]
        d = score.shape[-1]
        if self.density:
            slope = jax.vmap(
                lambda y, c: jax.grad(lambda head: model.log_prob(y, jnp.concatenate([head, c[d:]])))(c[:d])
            )(batch["y"], batch["c"])
        else:
            keys = jax.random.split(key, score.shape[0])
            slope = jax.vmap(jax.grad(lambda theta, x, k: logit(model, theta, x, key=k)))(
                batch["theta"], batch["x"], keys
            )
        error = jnp.mean(jnp.sum(weight * (score - slope) ** 2, axis=-1))
        return self.functional(model, batch, key=key) + self.alpha * error
