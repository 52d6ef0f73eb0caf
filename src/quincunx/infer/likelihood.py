"""The likelihood of many parameter points and many events: exact or learned, with or without an expected number of events."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from quincunx.errors import UsageError
from quincunx.infer.events import Events
from quincunx.infer.indirect import PotentialEstimator
from quincunx.infer.sets import padded_size
from quincunx.infer.terms import ExactTerms, LearnedTerms, Terms
from quincunx.model import Prior
from quincunx.model.precision import double_scope
from quincunx.notebook import from_repr

ROWS = 1 << 16
"""How many pairs of a parameter point and an event one compiled call looks at together."""
ROW = 4096
"""How many parameter points one compiled call takes at most."""


@dataclass(frozen=True, eq=False)
class Likelihood:
    """log L(theta) = sum_i log p(x_i | theta) [+ n log nu(theta) - nu(theta)] of independent events, in float64.

    Made by `Likelihood.of` from an exact function of one event or from a learned likelihood or ratio, whose values are then known up to a
    term free of theta. The bracket is the extended likelihood's, with nu the expected number of events (`rate`).

    >>> import numpyro.distributions as dist
    >>> prior = Prior(mu=dist.Uniform(-5.0, 5.0))
    >>> bell = Likelihood.of(lambda theta, x: -0.1 * (x - theta["mu"]) ** 2, prior)     # x ~ N(mu, 5)
    >>> bell.log_likelihood({"mu": [0.0, 1.0]}, np.array([0.0, 2.0]))
    array([-0.4, -0.2])
    >>> bell.score({"mu": 1.0}, np.array([0.0, 2.0]))
    array([[-0.2],
           [ 0.2]])
    """

    prior: Prior
    terms: Terms
    estimator: PotentialEstimator | None = None

    @classmethod
    def of(
        cls,
        source: Any,
        prior: Prior | None = None,
        *,
        rate: Callable[..., Any] | None = None,
    ) -> "Likelihood":
        """From `function(theta, x)`, theta a dictionary and x one event, or from an estimator; `rate(theta)` is the expected number of events.

        Functions must be ones that JAX can transform. Without a source, events have no shape and the rate is all there is: a counting experiment.

        Raises:
            UsageError: for an estimator that has no likelihood, a function without a prior, or neither a source nor a rate.
        """
        if isinstance(source, PotentialEstimator):
            if prior is not None and tuple(prior.names) != tuple(source.prior.names):
                raise UsageError(
                    "got a prior of other parameters than the estimator's; expected the same; leave it out"
                )
            core = source.core
            return cls(prior or source.prior, LearnedTerms(source.prior, core, rate), source)
        if source is not None and not callable(source):
            raise UsageError(
                f"got a {type(source).__name__}; expected a function(theta, x) or an estimator of a likelihood or ratio; posteriors by "
                "themselves have none: use NLE, NRE or Ratio"
            )
        if prior is None:
            raise UsageError("got a likelihood without a prior; expected one, for names and bounds; pass prior=")
        if source is None and rate is None:
            raise UsageError(
                "got neither a likelihood nor a rate; expected one of them; pass function(theta, x) or rate="
            )
        return cls(prior, ExactTerms(prior, source, rate), None)

    @property
    def members(self) -> int:
        """How many members its ensemble has; 1 for an exact likelihood."""
        return 1 if self.estimator is None else self.estimator.surrogate.members

    @property
    def learned(self) -> bool:
        """Whether it is learned, and so known to the accuracy of its training only."""
        return self.estimator is not None

    @property
    def tolerance(self) -> float:
        """How well a maximum of log L can be told: networks compute in float32."""
        return 1e-5 if self.learned else 1e-8

    def events(self, x: Any, *, design: Mapping[str, Any] | None = None) -> Events:
        """Events along the leading axis of x, read and put into blocks; values that are `Events` already pass through.

        Raises:
            NameMismatch, ShapeMismatch, NonFiniteObservation: if they cannot be read.
        """
        if isinstance(x, Events):
            return x
        if self.estimator is None:
            return Events.of(dict(x) if isinstance(x, Mapping) else x)
        observation = self.estimator.reader.read(x, design=design)
        return Events.of({"events": observation.events, "settings": observation.settings})

    def batch(self, x: Any, *, design: Mapping[str, Any] | None = None, weight: Any = None) -> Events:
        """B sets of events: every array of x has (B, n, ...), `weight` (B, n). Raises: as `events`."""
        if self.estimator is None:
            return Events.batch(dict(x) if isinstance(x, Mapping) else x, weight)
        events, settings = self.estimator.reader.read_many(x, design=design)
        return Events.batch({"events": events, "settings": settings}, weight)

    def log_likelihood(
        self, theta: Mapping[str, Any], x: Any, *, design: Mapping[str, Any] | None = None
    ) -> Float[np.ndarray, "..."]:
        """log L of all events at parameters by name with any leading axes.

        Raises:
            NameMismatch, ShapeMismatch, NonFiniteObservation: if parameters or events do not fit.
        """
        flat = flat_double(self.prior, theta)
        rows = self.rows(flat.reshape(-1, flat.shape[-1]), self.events(x, design=design))
        return rows[:, 0].reshape(flat.shape[:-1])

    def log_each(
        self, theta: Mapping[str, Any], x: Any, *, design: Mapping[str, Any] | None = None
    ) -> Float[np.ndarray, "*batch n"]:
        """log p(x_i | theta) of every event, without the rate. Raises: as `log_likelihood`."""
        return self._by_event(_each, theta, x, design)

    def score(
        self, theta: Mapping[str, Any], x: Any, *, design: Mapping[str, Any] | None = None
    ) -> Float[np.ndarray, "*batch n dim"]:
        """grad_theta log p(x_i | theta) of every event in the flat order of the prior, without the rate. Raises: as `log_likelihood`."""
        return self._by_event(_scores, theta, x, design)

    def _by_event(self, function: Callable[..., Any], theta: Any, x: Any, design: Any) -> np.ndarray:
        flat = flat_double(self.prior, theta)
        events = self.events(x, design=design)
        keep = events.weight.reshape(-1) > 0
        with double_scope():
            parts = [np.asarray(function(self.terms, row, events.x)) for row in flat.reshape(-1, flat.shape[-1])]
        parts = [part.reshape(len(keep), *part.shape[2:])[keep] for part in parts]
        return np.stack(parts).reshape(*flat.shape[:-1], *parts[0].shape) if parts else np.zeros((0,))

    def rows(self, flat: Float[np.ndarray, "t d"], events: Events) -> Float[np.ndarray, "t rows"]:
        """log L at flat parameters: of the ensemble, and then of each member if there are several; NaN counts as minus infinity."""
        # padding is by repetition of the last point, to few distinct lengths
        size = min(padded_size(len(flat)), max(1, min(ROW, ROWS // events.weight.shape[-1])))
        count = -(-len(flat) // size)
        padded = flat[np.minimum(np.arange(count * size), len(flat) - 1)]
        with double_scope():
            parts = [
                np.asarray(_rows(self.terms, padded[i * size : (i + 1) * size], events.x, events.weight))
                for i in range(count)
            ]
        return finite_or_minus(np.concatenate(parts)[: len(flat)])

    def table(self, flat: Float[np.ndarray, "t d"], events: Events) -> Float[np.ndarray, "b t"]:
        """log L of every set of a batch at every one of the same flat parameters, one parameter point after another."""
        b, blocks, size = events.weight.shape
        chunk = min(padded_size(b), max(1, ROWS // (blocks * size)))
        count = -(-b // chunk)
        index = np.minimum(np.arange(count * chunk), b - 1)
        with double_scope():
            parts = [
                np.asarray(_table(self.terms, flat, part.x, part.weight))
                for part in (events[index[i * chunk : (i + 1) * chunk]] for i in range(count))
            ]
        return finite_or_minus(np.concatenate(parts)[:b])

    def __repr__(self) -> str:
        what = "learned" if self.learned else "exact"
        extended = ", extended by a rate" if self.terms.rate is not None else ""
        return f"Likelihood({what}{extended}, parameters {', '.join(self.prior.names)})"

    _repr_html_ = from_repr


def flat_double(prior: Prior, theta: Mapping[str, Any]) -> Float[np.ndarray, "*batch d"]:
    """Flat parameters in float64 from named ones, on the host.

    Raises:
        NameMismatch, ShapeMismatch: if they are not the prior's.
    """
    arrays = {name: np.asarray(value, np.float64) for name, value in theta.items()}
    leading = prior.check(arrays)
    return np.concatenate([arrays[name].reshape(*leading, -1) for name in prior.names], axis=-1)


def named_double(prior: Prior, flat: Float[np.ndarray, "*batch d"]) -> dict[str, Float[np.ndarray, "..."]]:
    """Named parameters in float64 from flat ones, on the host."""
    named, start = {}, 0
    for name, shape in prior.shapes.items():
        size = int(np.prod(shape, dtype=int))
        named[name] = np.asarray(flat[..., start : start + size]).reshape((*flat.shape[:-1], *shape))
        start += size
    return named


def finite_or_minus(values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """The values, with minus infinity for NaN."""
    return np.where(np.isnan(values), -np.inf, values)


@eqx.filter_jit
def _rows(terms: Terms, theta: Any, x: Any, weight: Any) -> Array:
    return jax.vmap(lambda row: terms.totals(row, x, weight))(theta)


@eqx.filter_jit
def _table(terms: Terms, theta: Any, x: Any, weight: Any) -> Array:
    # what depends on theta alone is computed once for all sets: theta is mapped outside of them
    def at(row: Array) -> Array:
        return jax.vmap(lambda x, weight: terms.total(row, x, weight))(x, weight)

    return jax.lax.map(at, jnp.asarray(theta)).T


@eqx.filter_jit
def _each(terms: Terms, theta: Any, x: Any) -> Array:
    return jax.lax.map(lambda block: terms.combined(terms.each_of_members(theta, block)), x)


@eqx.filter_jit
def _scores(terms: Terms, theta: Any, x: Any) -> Array:
    def of_block(block: Any) -> Array:
        return jax.jacfwd(lambda row: terms.combined(terms.each_of_members(row, block)))(jnp.asarray(theta))

    return jax.lax.map(of_block, x)
