"""Many small classifiers at once: one told the truth from draws, the others a draw relabelled as truth."""

from dataclasses import dataclass
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from quincunx.learn.fit import Fit, FitSettings, fit

Labels = Literal["observed", "exchanged", "normal"]


class LabelledClassifier(eqx.Module):
    """A network d(theta, x) with its own way of deciding which point of each row counts as the truth.

    "observed": the first. "exchanged": one chosen at random, row by row - a label permutation inside rows, exact
    because the points of a row are exchangeable under an exact posterior and share their x. "normal": a standard normal
    vector in the place of the first, for base coordinates, which must be N(0, I). A member keeps its labels through all
    epochs.
    """

    weights: list[Float[Array, "out in"]]
    biases: list[Float[Array, " out"]]
    choice: Int[Array, " N"] | Int[Array, "N U"]
    normal: bool = eqx.field(static=True)

    def __init__(
        self, shape: tuple[int, ...], inputs: int, *, width: int, depth: int, labels: Labels, key: PRNGKeyArray
    ):
        k_weights, k_choice = jax.random.split(key)
        rows, members, dim = shape
        sizes = [inputs, *[width] * depth, 1]
        counts = [i * o for i, o in zip(sizes, sizes[1:])]
        # One draw for all layers: a hundred initialisations compile in a blink.
        flat = jnp.split(jax.random.normal(k_weights, (sum(counts),)), [sum(counts[:i]) for i in range(1, len(counts))])
        self.weights = [w.reshape(o, i) * (2.0 / i) ** 0.5 for w, i, o in zip(flat, sizes, sizes[1:])]
        self.biases = [jnp.zeros(o) for o in sizes[1:]]
        self.normal = labels == "normal"
        if self.normal:
            # Kept as bits: what is an integer is not trained.
            noise = jax.random.normal(k_choice, (rows, dim), jnp.float32)
            self.choice = jax.lax.bitcast_convert_type(noise, jnp.int32)
        elif labels == "exchanged":
            share = jax.random.uniform(k_choice, (rows,))
            self.choice = jnp.minimum(share * members, members - 1).astype(jnp.int32)
        else:
            self.choice = jnp.zeros(rows, jnp.int32)

    def __call__(self, point: Float[Array, " U"], x: Float[Array, " G"]) -> Float[Array, ""]:
        """The logit of "this is the truth"."""
        h = jnp.concatenate([point, x])
        for weight, bias in zip(self.weights[:-1], self.biases[:-1]):
            h = jax.nn.relu(weight @ h + bias)
        return (self.weights[-1] @ h + self.biases[-1])[0]

    def relabelled(self, points: Float[Array, "k U"], row: Int[Array, ""]) -> Float[Array, "k U"]:
        """The points of one row in the order that this member's labels give them: the truth first."""
        if self.normal:
            return points.at[0].set(jax.lax.bitcast_convert_type(self.choice[row], jnp.float32))
        return points[(jnp.arange(points.shape[0]) + self.choice[row]) % points.shape[0]]


@dataclass(frozen=True)
class ClassifierBuilder:
    """Builds one member; equal builders compile once."""

    shape: tuple[int, ...]
    inputs: int
    width: int
    depth: int
    labels: Labels

    def __call__(self, key: PRNGKeyArray) -> LabelledClassifier:
        return LabelledClassifier(
            self.shape, self.inputs, width=self.width, depth=self.depth, labels=self.labels, key=key
        )


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
    width: int = 16,
    depth: int = 2,
    epochs: int = 40,
) -> Fit:
    """Train `members` classifiers side by side, each stopped at its own best validation loss.

    "observed" and "exchanged" labels of as many members share one compiled call.
    """
    n, _, dim = points.shape
    build = ClassifierBuilder(points.shape, dim + x.shape[1], width, depth, labels)
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
