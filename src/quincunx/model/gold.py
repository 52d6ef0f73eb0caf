"""What a simulator can say of its own execution: latents, the joint log-probability, and what follows from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.model.design import takes_design
from quincunx.model.prior import Prior
from quincunx.notebook import from_fields

__all__ = ["Accumulator", "Gold", "told_by"]

Theta = Mapping[str, Any]
FORWARD = 8
"""Up to so many parameters the score is taken in forward mode, which stores nothing along loops."""


@dataclass(frozen=True)
class Gold:
    """The two functions that gold is made of (1805.00020): a simulation with its latents, and its joint log-probability.

    - `trace(theta, *, key)` returns (x, z), x distributed as the simulator's outcome; z is any pytree.
    - `joint_log_prob(theta, x, z)` is log p(x, z | theta), up to a term without theta.

    Either may take `design`. With z held fixed, differences of the second in theta are joint log-ratios and its gradient is the joint score

        log r(x, z | theta, ref) = log p(x, z | theta) - log p(x, z | ref),   t(x, z | theta) = grad_theta log p(x, z | theta),

    whose conditional means are what cannot be computed: E[r | x, ref] = r(x | theta, ref), E[t | x, theta] = grad log p(x | theta).

    >>> normal = jax.scipy.stats.norm
    >>> def trace(theta, *, key):
    ...     z = theta["mu"] + 2.0 * jax.random.normal(key)
    ...     return z + jax.random.normal(jax.random.fold_in(key, 1)), z
    >>> gold = Gold(trace, lambda theta, x, z: normal.logpdf(z, theta["mu"], 2.0) + normal.logpdf(x, z, 1.0))
    >>> gold.joint_score({"mu": 1.0}, jnp.asarray(5.0), jnp.asarray(3.0))      # (z - mu) / 4
    {'mu': Array(0.5, dtype=float32, weak_type=True)}
    """

    trace: Callable[..., Any]
    joint_log_prob: Callable[..., Any]

    def joint_score(self, theta: Theta, x: Any, z: Any, *, design: Any = None) -> Any:
        """The gradient of log p(x, z | theta) in theta at fixed x and z, by name."""
        return jax.grad(lambda t: self.log_prob(t, x, z, design))(theta)

    def run(self, theta: Theta, key: PRNGKeyArray, design: Any = None) -> tuple[Any, Any]:
        """One simulation: (x, z)."""
        return self.trace(theta, key=key, **_with_design(self.trace, design))

    def log_prob(self, theta: Theta, x: Any, z: Any, design: Any = None) -> Float[Array, ""]:
        """log p(x, z | theta) of one simulation, wherever it was drawn."""
        return self.joint_log_prob(theta, x, z, **_with_design(self.joint_log_prob, design))

    _repr_html_ = from_fields


@dataclass(frozen=True)
class Accumulator:
    """Gold from a function that adds up its log-probability as it goes: `f(theta, *, key, at)` returns (x, log p(x, z | at)).

    It draws with `theta` and adds up the log-probabilities of its draws under `at`; the same theta and key give the same draws whatever
    `at` is, so what is held fixed while `at` varies is theta and the key.

    >>> def coin(theta, *, key, at):
    ...     heads = jax.random.uniform(key) < theta["p"]
    ...     return heads.astype(float), jnp.where(heads, jnp.log(at["p"]), jnp.log1p(-at["p"]))
    >>> gold = Accumulator(coin).gold
    >>> x, z = gold.run({"p": 1.0}, jax.random.key(0))
    >>> gold.joint_score({"p": 0.25}, x, z)["p"]
    Array(4., dtype=float32, weak_type=True)
    """

    function: Callable[..., Any]

    @property
    def gold(self) -> Gold:
        """The two functions."""
        return Gold(self.trace, self.joint_log_prob)

    def trace(self, theta: Theta, *, key: PRNGKeyArray, design: Any = None) -> tuple[Any, Any]:
        """(x, what must be held fixed)."""
        theta = dict(theta)
        held = {"theta": theta, "key": key} if design is None else {"theta": theta, "key": key, "design": design}
        return self._call(held, theta)[0], held

    def joint_log_prob(self, theta: Theta, x: Any, z: Any) -> Float[Array, ""]:
        """log p(x, z | theta) of the draws that z's parameters and key lead to."""
        return self._call(z, dict(theta))[1]

    def _call(self, held: Mapping[str, Any], at: Theta) -> tuple[Any, Any]:
        design = {} if "design" not in held else {"design": held["design"]}
        return self.function(held["theta"], key=held["key"], at=at, **design)


def told_by(
    gold: Gold, prior: Prior, points: Float[Array, "p dim"], x: Any, z: Any, *, design: Any = None, scores: int
) -> tuple[Float[Array, " p"], Float[Array, "s dim"]]:
    """log p(x, z | theta) at each of several flat parameter points, and the joint score at the first `scores` of them.

    >>> import numpyro.distributions as dist
    >>> gold = Gold(lambda theta, *, key: (0.0, 0.0), lambda theta, x, z: -0.5 * (z - theta["mu"]) ** 2)
    >>> prior = Prior(mu=dist.Normal(0.0, 1.0))
    >>> told_by(gold, prior, jnp.array([[1.0], [3.0]]), 0.0, 2.0, scores=1)
    (Array([-0.5, -0.5], dtype=float32), Array([[1.]], dtype=float32))
    """

    def log_prob(flat: Float[Array, " dim"]) -> Float[Array, ""]:
        return gold.log_prob(prior.unflatten(flat), x, z, design)

    def with_score(flat: Float[Array, " dim"]) -> tuple[Float[Array, ""], Float[Array, " dim"]]:
        if prior.dim > FORWARD:
            return jax.value_and_grad(log_prob)(flat)
        if prior.dim == 1:
            value, slope = jax.jvp(log_prob, (flat,), (jnp.ones_like(flat),))
            return value, slope[None]
        value, push = jax.linearize(log_prob, flat)
        return value, jax.vmap(push)(jnp.eye(prior.dim, dtype=flat.dtype))

    def each(function: Callable[..., Any], rows: Float[Array, "r dim"]) -> Any:
        # An axis of one point is in the way of XLA's vector loops: a fifth of the time on a Galton board.
        return jax.tree.map(lambda a: a[None], function(rows[0])) if len(rows) == 1 else jax.vmap(function)(rows)

    plain = each(log_prob, points[scores:])
    if not scores:
        return plain, jnp.zeros((0, prior.dim), points.dtype)
    values, slopes = each(with_score, points[:scores])
    return jnp.concatenate([values, plain]), slopes


def _with_design(function: Callable[..., Any], design: Any) -> dict[str, Any]:
    return {"design": design} if design is not None and takes_design(function) else {}
