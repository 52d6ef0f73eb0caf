"""p(valid | theta): how likely the simulator is to give a finite outcome at all."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from quincunx.infer.learning import learn
from quincunx.learn import FitSettings, Scale, Surrogate
from quincunx.learn.fit import Progress


class ValidityCrossEntropy(eqx.Module):
    """-E [v log s(f) + (1 - v) log(1 - s(f))], minimised by f(theta) = logit p(valid | theta); v is 1 for finite outcomes."""

    minimiser: ClassVar[str] = "f(theta) = logit p(valid | theta)"

    def __call__(self, model: Any, batch: dict[str, Array], *, key: PRNGKeyArray) -> Float[Array, ""]:
        """The mean over the batch, in nats."""
        f = jax.vmap(model)(batch["theta"])[:, 0]
        return jnp.mean(jax.nn.softplus(f) - batch["valid"] * f)


class Validity(eqx.Module):
    """A learned log p(valid | u, design) for one event; `events` is the size of the sets that it was learned from.

    A set is valid when all its events are, so that one event's chance is the set's to the power 1 / events.
    """

    surrogate_model: Any
    scale: Scale
    events: int = eqx.field(static=True)

    @classmethod
    def of(cls, surrogate: Surrogate, events: int) -> "Validity":
        """Close a fitted classifier."""
        return cls(surrogate.model, surrogate.scales["theta"], events)

    def log_valid(self, u: Float[Array, " du"], design: Float[Array, " dd"]) -> Float[Array, ""]:
        """log p(valid | u, design) of one event."""
        row = self.scale.forward(jnp.concatenate([u, design]))
        arrays, static = eqx.partition(self.surrogate_model, eqx.is_array)
        logits = jax.vmap(lambda a: eqx.combine(a, static)(row)[0])(arrays)
        return -jnp.mean(jax.nn.softplus(-logits)) / self.events


def learn_validity(
    u: Float[np.ndarray, "n du"],
    design: Float[np.ndarray, "n dd"],
    worked: Bool[np.ndarray, " n"],
    *,
    key: PRNGKeyArray,
    progress: Progress | None,
) -> Surrogate:
    """Fit the classifier to all simulations, those that failed included."""
    rows = np.concatenate([u, design], axis=1)
    scale = Scale.fit(rows)
    spec = {"kind": "mlp", "in_size": rows.shape[1], "out_size": 1, "width": 32, "depth": 2, "zero_last": True}
    data = {"theta": np.asarray(scale.forward(rows)), "valid": worked.astype(np.float32)}
    return learn(
        ValidityCrossEntropy(),
        "validity_cross_entropy",
        spec,
        data,
        scales={"theta": scale},
        members=1,
        settings=FitSettings(learning_rate=1e-3, min_steps=1000, epochs=None, patience=10),
        key=key,
        progress=progress,
    )
