"""Gold that a plain simulator tells itself: which entries of its outcome are the joint score and joint log-probabilities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from quincunx.errors import NameMismatch, ShapeMismatch, SimulatorError, UsageError
from quincunx.model.prior import Prior
from quincunx.model.reference import Reference
from quincunx.notebook import from_fields

__all__ = ["Told"]


@dataclass(frozen=True)
class Told:
    """Entries of the outcome that are gold, told by a program which knows what it has drawn (1805.00020).

    - `score` names the entry with t(x, z | theta) = grad log p(x, z | theta) at the simulation's own theta: (dim,), in the order of
      `prior.columns`.
    - `log_probs` names the entry with log p(x, z | theta_k), k = 1..K, up to a constant common to the K: (K,), at the K points `at`, each
      a mapping of parameters by name. They are kept with their largest at zero.

    They are no part of x: observations need not have them, and what is left of the outcome stays a dict. With `simulate(..., gold=True)` they are
    `gold["joint_score"]` and `gold["log_probs"]`; `run.pair_told` makes of the latter what ratios are learned from.

    Raises:
        UsageError: if neither is named, both are one entry, or there are log-probabilities without points or points without them.

    >>> import numpyro.distributions as dist, quincunx as qx
    >>> from quincunx.model import Told
    >>> def walk(theta, *, rng):
    ...     z = theta["mu"] + 2.0 * rng.normal()
    ...     return {"x": [z + rng.normal()], "slope": (z - theta["mu"]) / 4.0}
    >>> simulator = qx.wrap(walk, qx.Prior(mu=dist.Normal(0.0, 1.0)), gold=Told(score="slope"))
    >>> simulator.observables, qx.simulate(simulator, 100, key=0, gold=True).gold["joint_score"].shape
    (('x[0]',), (100, 1))
    """

    score: str | None = None
    log_probs: str | None = None
    at: Any = ()

    def __post_init__(self) -> None:
        points = tuple(_frozen_point(point) for point in self.at)
        object.__setattr__(self, "at", points)
        if self.score is None and self.log_probs is None:
            raise UsageError("got Told() without an entry; expected score or log_probs; name the outcome's entry")
        if self.score == self.log_probs:
            raise UsageError(f"got '{self.score}' as score and as log_probs; expected two entries; name another")
        if (self.log_probs is None) != (not points):
            raise UsageError(
                f"got log_probs={self.log_probs!r} at {len(points)} points; expected an entry and its points, or neither; "
                "say at which points, in order, by at=[{'name': value}, ...]"
            )

    @property
    def entries(self) -> dict[str, str]:
        """The outcome's entries by what they are kept as."""
        named = {"joint_score": self.score, "log_probs": self.log_probs}
        return {gold: entry for gold, entry in named.items() if entry is not None}

    def points(self, prior: Prior) -> Float[np.ndarray, "k dim"]:
        """The declared points in the prior's flat order.

        Raises:
            NameMismatch, ShapeMismatch: if they are not points of this prior.
        """
        if not self.at:
            return np.zeros((0, prior.dim), np.float32)
        return Reference.mixture([dict(point) for point in self.at]).flat(prior)

    def shapes(self, prior: Prior) -> dict[str, tuple[int, ...]]:
        """The shape of one simulation's gold."""
        every = {"joint_score": (prior.dim,), "log_probs": (len(self.at),)}
        return {gold: every[gold] for gold in self.entries}

    def rest(self, raw: Any, name: str) -> dict[str, Any]:
        """What the simulator called `name` returned, without gold.

        Raises:
            NameMismatch: if an entry is not there. SimulatorError: if nothing else is.
        """
        have = list(raw) if isinstance(raw, Mapping) else []
        missing = [entry for entry in self.entries.values() if entry not in have]
        if missing:
            returned = f"entries {have}" if isinstance(raw, Mapping) else f"a {type(raw).__name__}"
            raise NameMismatch(
                f"simulator '{name}' returned {returned}; expected a dict with {missing}, which gold=Told(...) names, beside the outcome; "
                "return them, or correct the names"
            )
        left = {entry: value for entry, value in raw.items() if entry not in self.entries.values()}
        if not left:
            raise SimulatorError(
                f"simulator '{name}' returned nothing but gold, {have}; expected an outcome too; return it under another name"
            )
        return left

    def read(
        self, raw: Mapping[str, Any], n: int | None, shapes: Mapping[str, tuple[int, ...]], name: str
    ) -> dict[str, Float[np.ndarray, "n m"]]:
        """The gold in what was returned for a batch of n, or for one simulation (None, kept as a batch of one).

        Raises:
            ShapeMismatch: for an entry that is not an array of numbers of the shape in `shapes`.
        """
        found = {}
        for gold, entry in self.entries.items():
            try:
                array = np.asarray(raw[entry], np.float64)
            except (TypeError, ValueError) as error:
                raise ShapeMismatch(
                    f"simulator '{name}' returned '{entry}', which is not an array of numbers ({error}); expected the "
                    f"{gold.replace('_', ' ')} of shape {shapes[gold]}; convert it"
                ) from error
            rows = array[None] if n is None else array
            # A single number stands for an array of one.
            rows = rows[..., None] if rows.ndim == 1 and shapes[gold] == (1,) else rows
            if rows.shape != (1 if n is None else n, *shapes[gold]):
                raise ShapeMismatch(
                    f"simulator '{name}' returned '{entry}' of shape {array.shape}; expected {shapes[gold]} for one simulation, "
                    f"{_meaning(gold)}; correct it, or what gold=Told(...) says"
                )
            if gold == "log_probs":
                with np.errstate(invalid="ignore"):
                    # Large sums have no digits left for their differences in float32.
                    rows = rows - rows.max(axis=1, keepdims=True)
            with np.errstate(over="ignore"):
                found[gold] = rows.astype(np.float32)
        return found

    def to_spec(self) -> dict[str, Any]:
        """As plain data, for other processes and records.

        >>> told = Told(log_probs="terms", at=[{"mu": 0.0}, {"mu": 1.0}])
        >>> Told(**told.to_spec()) == told
        True
        """
        return {"score": self.score, "log_probs": self.log_probs, "at": [dict(point) for point in self.at]}

    _repr_html_ = from_fields


def _meaning(gold: str) -> str:
    if gold == "joint_score":
        return "a derivative for each number of theta"
    return "a log-probability for each point of `at`"


def _frozen_point(point: Any) -> tuple[tuple[str, Any], ...]:
    named = point if isinstance(point, Mapping) else dict(point)
    return tuple((name, _frozen_number(np.asarray(named[name], float).tolist())) for name in sorted(named))


def _frozen_number(value: float | Sequence[Any]) -> Any:
    return tuple(_frozen_number(part) for part in value) if isinstance(value, list) else value
