"""Simulations at one or several parameters with what the simulator tells of its own execution, in one compiled call."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray, Shaped

from quincunx.errors import NoGold, NonFiniteGold, OutsideReference
from quincunx.model import Gold, Prior, Simulator, flatten_outcome
from quincunx.model.design import spread_design
from quincunx.model.gold import told_by

__all__ = ["Mined", "gold_of", "mine", "outcomes"]


@dataclass(frozen=True, eq=False)
class Mined:
    """n simulations: outcomes as columns, log r(x, z | theta, reference) of each, and the joint score at theta.

    `log_theta` and `log_reference` are log p(x, z | .), up to a common term without parameters.
    """

    x: Float[np.ndarray, "n F"]
    log_theta: Float[np.ndarray, " n"]
    log_reference: Float[np.ndarray, " n"]
    score: Float[np.ndarray, "n dim"]

    @property
    def log_ratio(self) -> Float[np.ndarray, " n"]:
        """log r = log p(x, z | theta) - log p(x, z | reference), -inf where theta forbids what happened."""
        return np.where(self.log_theta == -np.inf, -np.inf, self.log_theta - self.log_reference)

    def at_theta(self, what: str) -> "Mined":
        """These, drawn at theta, if all they tell is finite there.

        Raises:
            NonFiniteGold: if log p(x, z | theta) or the joint score is NaN or infinite.
            OutsideReference: if something happened that the reference says cannot.
        """
        for said, bad in (
            ("log p(x, z | theta)", ~np.isfinite(self.log_theta)),
            ("joint score", ~np.isfinite(self.score).all(axis=1)),
            ("log p(x, z | reference)", np.isnan(self.log_reference) | (self.log_reference == np.inf)),
        ):
            _refuse(said, bad, what, "theta")
        outside = self.log_reference == -np.inf
        if outside.any():
            raise OutsideReference(
                f"{what}: {int(outside.sum())} of {len(outside)} simulations at theta cannot happen under the reference, so that "
                "1 / r is zero and r infinite; expected a reference whose support covers theta's; take a mixture of points, or make "
                "draws whose range does not move with the parameters"
            )
        return self

    def at_reference(self, what: str) -> "Mined":
        """These, drawn at the reference, if all they tell is finite there; theta may forbid some of them.

        Raises:
            NonFiniteGold: if log p(x, z | reference) is NaN or infinite, or log p(x, z | theta) is NaN or plus infinity.
        """
        _refuse("log p(x, z | reference)", ~np.isfinite(self.log_reference), what, "the reference")
        _refuse("log p(x, z | theta)", np.isnan(self.log_theta) | (self.log_theta == np.inf), what, "the reference")
        return self


def gold_of(simulator: Simulator) -> Gold:
    """What the simulator tells of itself.

    Raises:
        NoGold: if it tells nothing.
    """
    if not isinstance(simulator.gold, Gold):
        raise NoGold(
            f"got simulator '{simulator.name}', which tells nothing of its inside; expected one with gold; give it "
            "gold=Gold(trace, joint_log_prob), or let it take `at` and return its log-probability"
        )
    return simulator.gold


def mine(
    simulator: Simulator,
    at: Float[np.ndarray, "n dim"],
    theta: Float[np.ndarray, " dim"],
    reference: Float[np.ndarray, "K dim"],
    *,
    key: PRNGKeyArray,
    design: Mapping[str, Any] | None = None,
) -> Mined:
    """One traced simulation for each row of `at`, judged under theta and under the equal mixture of the reference's points.

    Raises:
        NoGold: if the simulator tells nothing of its inside.

    >>> from quincunx.model import wrap
    >>> import numpyro.distributions as dist
    >>> def coin(theta, *, key, at):
    ...     heads = jax.random.uniform(key) < theta["p"]
    ...     return heads.astype(float), jnp.where(heads, jnp.log(at["p"]), jnp.log1p(-at["p"]))
    >>> coin = wrap(coin, Prior(p=dist.Beta(2.0, 2.0)))
    >>> half, third = np.full(1, 0.5), np.full((1, 1), 1 / 3)
    >>> mined = mine(coin, np.full((4, 1), 0.5), half, third, key=jax.random.key(0))
    >>> sorted(set(np.exp(mined.log_ratio).round(3).tolist()))
    [0.75, 1.5]
    """
    points = np.concatenate([theta[None], reference]).astype(np.float32)
    keys = jax.random.split(key, len(at))
    rows = jnp.asarray(at, jnp.float32)
    x, told, score = _run(gold_of(simulator), simulator.prior, rows, jnp.asarray(points), keys, design)
    levels = np.asarray(told, float)
    # NaN and infinities are refused later, by whoever knows where the rows were drawn.
    with np.errstate(invalid="ignore"):
        log_reference = np.logaddexp.reduce(levels[:, 1:], axis=1) - np.log(len(reference))
    return Mined(_columns(x), levels[:, 0], log_reference, np.asarray(score[:, 0], float))


def outcomes(
    simulator: Simulator,
    at: Float[np.ndarray, "n dim"],
    *,
    keys: Shaped[Array, " n"],
    design: Mapping[str, Any] | None = None,
) -> Float[np.ndarray, "n F"]:
    """Outcomes of the simulator itself, without gold, as columns."""
    theta = simulator.prior.unflatten(jnp.asarray(at, jnp.float32))
    return _columns(simulator.batch(theta, keys=keys, design=spread_design(design, len(at))))


@eqx.filter_jit
def _run(gold: Gold, prior: Prior, at: Array, points: Array, keys: Array, design: Any) -> tuple[Any, Array, Array]:
    def one(flat: Array, key: Array) -> tuple[Any, Array, Array]:
        x, z = gold.run(prior.unflatten(flat), key, design)
        return (x, *told_by(gold, prior, points, x, z, design=design, scores=1))

    return jax.vmap(one)(at, keys)


def _columns(x: Any) -> Float[np.ndarray, "n F"]:
    arrays = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), x)
    arrays = jax.tree.map(lambda leaf: leaf[:, None] if leaf.ndim == 1 else leaf, arrays)
    return np.asarray(flatten_outcome(arrays, 1))


def _refuse(said: str, bad: Bool[np.ndarray, " n"], what: str, where: str) -> None:
    if bad.any():
        raise NonFiniteGold(
            f"{what}: {said} is NaN or infinite in {int(bad.sum())} of {len(bad)} simulations at {where}; expected finite numbers; "
            "look for log(0), for division by a probability of zero, and for draws whose range moves with the parameters"
        )
