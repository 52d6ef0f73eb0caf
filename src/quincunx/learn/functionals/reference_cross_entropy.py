"""Cross-entropy of theta against a fixed reference: parametrised classifiers (CARL)."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quincunx.learn.functionals.contrast import logit


class ReferenceCrossEntropy(eqx.Module):
    """-E [label log s + (1 - label) log(1 - s)], s = logistic(f + log odds), minimised by f = log p(x | theta) /
    p_ref(x).

    batch: "theta" (n, d), "x", and "label" (n,): 1 for x ~ p(x | theta), 0 for x ~ p_ref, where the theta that go
    with label 0 are drawn from the same distribution as those with label 1. The ratio is r = s / (1 - s) = exp(f) for
    balanced labels; `odds` is the number of rows with label 1 over that with label 0, when they are not balanced
    (1506.02169).
    """

    odds: float = eqx.field(static=True, default=1.0)
    minimiser: ClassVar[str] = "f(theta, x) = log p(x | theta) - log p_ref(x)"

    def __call__(self, model, batch: dict[str, PyTree], *, key: PRNGKeyArray) -> Float[Array, ""]:
        """The mean over the batch, in nats; log 2 for an uninformed f = 0 and balanced labels."""
        keys = jax.random.split(key, batch["theta"].shape[0])
        f = jax.vmap(lambda theta, x, k: logit(model, theta, x, key=k))(batch["theta"], batch["x"], keys)
        f = f + jnp.log(self.odds)
        return jnp.mean(jax.nn.softplus(f) - batch["label"] * f)
