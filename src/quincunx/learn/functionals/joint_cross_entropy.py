"""Cross-entropy with the joint ratio in place of the label (ALICE)."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quincunx.learn.functionals.contrast import logit


class JointCrossEntropy(eqx.Module):
    """-E [s log s(f) + (1 - s) log(1 - s(f))], s = r / (1 + r) from the joint ratio, minimised by f = log p(x | theta) / p_ref(x).

    batch: "theta" (n, d), "x" and "log_ratio" (n,), the joint log-ratio log p(x, z | theta) / p_ref(x, z), for rows drawn half from p(x | theta) and
    half from the reference (1808.00973). s is the chance that (x, z) came from theta: the label's conditional mean, with less
    variance than the label and bounded where r is not. `odds` is the number of rows from theta over that from the reference.
    """

    odds: float = eqx.field(static=True, default=1.0)
    minimiser: ClassVar[str] = "f(theta, x) = log p(x | theta) - log p_ref(x)"

    def __call__(self, model, batch: dict[str, PyTree], *, key: PRNGKeyArray) -> Float[Array, ""]:
        """The mean over the batch, in nats; log 2 for an uninformed f = 0."""
        keys = jax.random.split(key, batch["theta"].shape[0])
        f = jax.vmap(lambda theta, x, k: logit(model, theta, x, key=k))(batch["theta"], batch["x"], keys)
        f = f + jnp.log(self.odds)
        told = jax.nn.sigmoid(batch["log_ratio"] + jnp.log(self.odds))
        return jnp.mean(jax.nn.softplus(f) - told * f)
