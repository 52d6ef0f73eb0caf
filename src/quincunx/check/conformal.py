"""Split-conformal repair: credible regions made wide (or narrow) enough to cover, whatever the estimator."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, PRNGKeyArray

from quincunx.check.ranks import jittered, random_ranks
from quincunx.check.trials import Estimator, Trials
from quincunx.errors import TooFewSimulations, UsageError
from quincunx.notebook import from_fields
from quincunx.values import as_key, register


def nonconformity(
    log_q: Float[np.ndarray, " n"], log_q_draws: Float[np.ndarray, "n L"], *, key: PRNGKeyArray
) -> Float[np.ndarray, " n"]:
    """How far out a point lies under q(. | x), by L draws: its highest-density level, continued beyond the last draw.

    The level c in (0, 1) of `hpd_levels`; for a point less dense than every draw, 1 + (min log q of the draws - log q)
    / spread of log q, so that an overconfident answer can still be repaired by a finite region.
    """
    k_ties, k_jitter = jax.random.split(key)
    count = log_q_draws.shape[1]
    level = jittered(random_ranks(-log_q, -log_q_draws, key=k_ties), count, key=k_jitter)
    spread = np.maximum(np.std(log_q_draws, axis=1), 1e-12)
    lowest = np.min(log_q_draws, axis=1)
    with np.errstate(invalid="ignore"):
        beyond = np.nan_to_num((lowest - log_q) / spread, nan=np.inf, posinf=np.inf)
    return np.where(log_q < lowest, 1.0 + beyond, level)


@register("repair")
class Repair(eqx.Module):
    """Calibration scores of an estimator on simulations that it was not trained on.

    For a wanted coverage 1 - alpha, the threshold is the ceil((N + 1)(1 - alpha))-th smallest of the N scores; the
    region of all theta with a score below it covers the truth with probability at least 1 - alpha over new (theta, x)
    and the calibration set, for any estimator and any N >= alpha / (1 - alpha).
    """

    kind: ClassVar[str] = "repair"

    scores: Float[np.ndarray, " N"]
    draws: int = eqx.field(static=True)

    def threshold(self, level: float) -> float:
        """The score below which a region of coverage `level` lies; up to 1 it is the mass to ask the estimator for.

        Raises:
            TooFewSimulations: if N is too small for so high a level.

        >>> import numpy as np
        >>> Repair(np.arange(1, 100) / 100, 99).threshold(0.9)
        0.9
        """
        n = len(self.scores)
        # The guard keeps (N + 1) level from being lifted over an integer by rounding.
        rank = int(np.ceil((n + 1) * level - 1e-9))
        if not 0 < level < 1:
            raise UsageError(f"got level={level}; expected a number between 0 and 1; 0.95 for example")
        if rank > n:
            raise TooFewSimulations(
                f"got {n} calibration simulations for coverage {level}; expected at least {int(np.ceil(level / (1 - level)))}"
            )
        return float(self.scores[max(rank, 1) - 1])

    def region(self, posterior: Estimator, x: Any, level: float, *, key: int | PRNGKeyArray) -> "Region":
        """The repaired credible region of coverage `level` for data x (no leading axis)."""
        one = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], x)
        drawn = posterior.sample_many(self.draws, one, key=as_key(key))
        log_q = np.asarray(posterior.log_prob_many(drawn, one), float)[0]  # type: ignore[attr-defined]
        return Region(posterior, one, drawn, log_q, self.threshold(level), level)

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        return {"draws": self.draws}, {"scores": self.scores}

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Repair":
        """The inverse of `to_state`."""
        return cls(arrays["scores"], int(spec["draws"]))

    _repr_html_ = from_fields


class Region(eqx.Module):
    """A set of parameters for one x, {theta: score <= threshold}, which covers with probability at least `level`."""

    posterior: Any
    x: Any
    drawn: Any
    log_q: Float[np.ndarray, " L"]
    threshold: float = eqx.field(static=True)
    level: float = eqx.field(static=True)

    @property
    def mass(self) -> float:
        """The share of the estimator's own draws inside: above `level` for an overconfident estimator."""
        return float(min(self.threshold, 1.0))

    def contains(self, theta: Any, *, key: int | PRNGKeyArray) -> Bool[np.ndarray, " n"]:
        """Whether each of n parameters (dict of (n, ...)) lies in the region; ties are broken at random by `key`."""
        many = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], theta)
        log_q = np.asarray(self.posterior.log_prob_many(many, self.x), float)[0]
        draws = np.broadcast_to(self.log_q, (len(log_q), len(self.log_q)))
        return nonconformity(log_q, draws, key=as_key(key)) <= self.threshold

    def sample(self) -> dict[str, np.ndarray]:
        """The estimator's own draws that lie inside, densest first, up to the repaired mass."""
        order = np.argsort(-self.log_q)[: int(np.ceil(self.mass * len(self.log_q)))]
        return {name: np.asarray(value)[0][order] for name, value in self.drawn.items()}

    _repr_html_ = from_fields


def conformal(trials: Trials, *, key: int | PRNGKeyArray) -> Repair:
    """Measure an estimator on held-out trials, so that its regions can be repaired (split-conformal, 2107.07511).

    Raises:
        UsageError: if the estimator has no density.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> theta, draws = rng.normal(size=(99, 1)), 0.5 * rng.normal(size=(99, 99, 1))
    >>> log_q = (-2 * theta[:, 0] ** 2, -2 * draws[:, :, 0] ** 2)
    >>> conformal(Trials.of(theta, draws, theta, log_q=log_q), key=0).threshold(0.68) > 0.9
    True
    """
    if trials.log_q_truth is None or trials.log_q_draws is None:
        raise UsageError(
            "got an estimator without log_prob_many; expected a density; conformal regions are cut from it"
        )
    scores = nonconformity(trials.log_q_truth, trials.log_q_draws, key=as_key(key))
    return Repair(np.sort(scores), trials.draws_each)
