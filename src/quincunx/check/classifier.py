"""Many small classifiers at once: one told the truth from draws, the others a draw relabelled as truth."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from quincunx.learn import Fit, FitSettings, fit

Labels = Literal["observed", "exchanged", "normal"]


class LabelledClassifier(eqx.Module):
    """A network d(theta, x) with its own way of deciding which point of each row counts as the truth.

    "observed": the first. "exchanged": one chosen at random, row by row - a label permutation inside rows, exact because the
    points of a row are exchangeable under an exact posterior and share their x. "normal": a standard normal vector in the
    place of the first, for base coordinates, which must be N(0, I). A member keeps its labels through all epochs.
    """

    network: eqx.nn.MLP
    choice: Int[Array, " N"] | Int[Array, "N U"]
    labels: Labels = eqx.field(static=True)

    def __init__(self, shape: tuple[int, int, int], inputs: int, *, width: int, depth: int, labels: Labels, key: PRNGKeyArray):
        k_network, k_choice = jax.random.split(key)
        rows, members, dim = shape
        self.network = eqx.nn.MLP(inputs, "scalar", width, depth, jax.nn.relu, key=k_network)
        self.labels = labels
        if labels == "normal":
            # Kept as bits: what is an integer is not trained.
            noise = jax.random.normal(k_choice, (rows, dim), jnp.float32)
            self.choice = jax.lax.bitcast_convert_type(noise, jnp.int32)
        elif labels == "exchanged":
            self.choice = jax.random.randint(k_choice, (rows,), 0, members)
        else:
            self.choice = jnp.zeros(rows, jnp.int32)

    def __call__(self, point: Float[Array, " U"], x: Float[Array, " G"]) -> Float[Array, ""]:
        """The logit of "this is the truth"."""
        return self.network(jnp.concatenate([point, x]))

    def relabelled(self, points: Float[Array, "k U"], row: Int[Array, ""]) -> Float[Array, "k U"]:
        """The points of one row in the order that this member's labels give them: the truth first."""
        if self.labels == "normal":
            return points.at[0].set(jax.lax.bitcast_convert_type(self.choice[row], jnp.float32))
        if self.labels == "exchanged":
            order = (jnp.arange(points.shape[0]) + self.choice[row]) % points.shape[0]
            return points[order]
        return points


def first_against_rest(model: LabelledClassifier, batch: dict[str, Array], *, key: PRNGKeyArray) -> Float[Array, ""]:
    """Balanced cross-entropy of the first point of a row (class 1) against the others (class 0).

    Its minimiser is d(theta, x) = log p(theta | x) - log q(theta | x). `batch`: points (B, k, U), x (B, G), row (B).
    """
    points = jax.vmap(model.relabelled)(batch["points"], batch["row"])
    logits = jax.vmap(lambda p, x: jax.vmap(lambda one: model(one, x))(p))(points, batch["x"])
    return jnp.mean(jax.nn.softplus(-logits[:, 0]) + jnp.mean(jax.nn.softplus(logits[:, 1:]), axis=1))


def train_classifiers(
    points: Float[np.ndarray, "N k U"],
    x: Float[np.ndarray, "N G"],
    *,
    labels: Labels,
    members: int,
    key: PRNGKeyArray,
    width: int = 32,
    depth: int = 2,
    epochs: int = 40,
) -> Fit:
    """Train `members` classifiers side by side in one compiled call, each stopped at its own best validation loss."""
    n, _, dim = points.shape
    inputs = dim + x.shape[1]

    def build(key):
        return LabelledClassifier(points.shape, inputs, width=width, depth=depth, labels=labels, key=key)

    data = {
        "points": jnp.asarray(points, jnp.float32),
        "x": jnp.asarray(x, jnp.float32),
        "row": jnp.arange(n, dtype=jnp.int32),
    }
    settings = FitSettings(
        epochs=epochs, batch_size=min(128, max(8, n // 4)), learning_rate=5e-3, validation=0.2, patience=epochs
    )
    return fit(first_against_rest, build, data, key=key, settings=settings, members=members)


@eqx.filter_jit
def mean_squared_margin(
    model: LabelledClassifier, points: Float[Array, "M U"], x: Float[Array, "M G"]
) -> Float[Array, " members"]:
    """The statistic of each member: mean over points of (sigmoid(d) - 1/2)^2."""
    arrays, static = eqx.partition(model, eqx.is_array)

    def one(a):
        logits = jax.vmap(eqx.combine(a, static))(points, x)
        return jnp.mean((jax.nn.sigmoid(logits) - 0.5) ** 2)

    return jax.vmap(one)(arrays)
