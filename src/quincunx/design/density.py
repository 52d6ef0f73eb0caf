"""The density of one event as a function of the parameters and the settings: exact or learned, behind one interface."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped

from quincunx.errors import NoDensity, UsageError
from quincunx.infer import PotentialEstimator
from quincunx.infer.terms import LearnedTerms
from quincunx.model import Prior, Simulator
from quincunx.model.design import takes_design
from quincunx.model.outcome import flatten_outcome

__all__ = ["Density", "above", "columns_of", "density_of", "has_density", "log_each"]


MOST_DISTINCT = 8
"""Of so many designs a network is asked for all events at each."""


class Density(eqx.Module):
    """log p(x | theta, design) of one event x at one flat theta (d,), for compiled code in float64; possibly up to a term free of theta."""

    @property
    @abc.abstractmethod
    def learned(self) -> bool:
        """Whether it is a network's, and so no density to build an upper bound on."""

    @abc.abstractmethod
    def __call__(self, theta: Float[Array, " d"], x: Any, design: dict[str, Array]) -> Float[Array, ""]:
        """log p(x | theta, design)."""

    def of_events(self, theta: Float[Array, " d"], x: Any, design: dict[str, Array]) -> Float[Array, " e"]:
        """log p(x_e | theta, design) of several events at one design."""
        return jax.vmap(lambda event: self(theta, event, design))(x)


class Distinct(eqx.Module):
    """The settings of events that share few designs: the designs, and which of them each event was at."""

    rows: dict[str, Shaped[Array | np.ndarray, "u ..."]]
    which: Int[Array | np.ndarray, " e"]


def distinct(settings: dict[str, Shaped[np.ndarray, "e ..."]]) -> Any:
    """The settings of every event by their designs, where these are few: what a network makes of a design is then found once, and not for each event.

    >>> few = distinct({"d": np.array([2.0, 2.0, 1.0])})
    >>> few.rows["d"], few.which
    (array([1., 2.]), array([1, 1, 0]...))
    """
    if not settings:
        return settings
    flat = np.concatenate([np.asarray(value).reshape(len(value), -1) for value in settings.values()], axis=1)
    _, first, which = np.unique(flat, axis=0, return_index=True, return_inverse=True)
    if len(first) > MOST_DISTINCT:
        return settings
    # few numbers of designs mean few compilations
    size = 1 << (len(first) - 1).bit_length()
    rows = first[np.minimum(np.arange(size), len(first) - 1)]
    return Distinct({name: np.asarray(value)[rows] for name, value in settings.items()}, which.reshape(-1))


class ExactDensity(Density):
    """A function of named parameters, one event and, where it takes them, settings."""

    prior: Prior
    function: Callable[..., Any] = eqx.field(static=True)
    with_design: bool = eqx.field(static=True)

    @property
    def learned(self) -> bool:
        """It is exact."""
        return False

    def __call__(self, theta: Float[Array, " d"], x: Any, design: dict[str, Array]) -> Float[Array, ""]:
        """log p(x | theta, design)."""
        named = self.prior.unflatten(theta)
        value = self.function(named, x, design=design) if self.with_design else self.function(named, x)
        return jnp.asarray(value, theta.dtype).reshape(())


class LearnedDensity(Density):
    """A network's likelihood or ratio: a critic, evaluated in float32."""

    terms: LearnedTerms
    settings: tuple[str, ...] = eqx.field(static=True)
    columns: tuple[int, ...] = eqx.field(static=True)

    @property
    def learned(self) -> bool:
        """It is a network's."""
        return True

    def __call__(self, theta: Float[Array, " d"], x: Any, design: dict[str, Array]) -> Float[Array, ""]:
        """log q(x | theta, design), or the log-ratio."""
        event = flatten_outcome(jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), x), 0)[None]
        parts = [jnp.asarray(design[name], jnp.float32).reshape(-1) for name in self.settings]
        row = jnp.concatenate(parts)[None] if parts else jnp.zeros((1, 0), jnp.float32)
        own = theta[jnp.asarray(self.columns)]
        return self.terms.combined(self.terms.each_of_members(own, {"events": event, "settings": row}))[0]

    def of_events(self, theta: Float[Array, " d"], x: Any, design: dict[str, Array]) -> Float[Array, " e"]:
        """log q(x_e | theta, design), where the network sees theta and the design once."""
        events = flatten_outcome(jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), x), 1)
        parts = [jnp.asarray(design[name], jnp.float32).reshape(-1) for name in self.settings]
        row = jnp.concatenate(parts)[None] if parts else jnp.zeros((1, 0), jnp.float32)
        own = theta[jnp.asarray(self.columns)]
        return self.terms.combined(self.terms.each_of_members(own, {"events": events, "settings": row}))


def has_density(simulator: Simulator) -> bool:
    """Whether the simulator brings its own log p(x | theta)."""
    return getattr(simulator.tractable, "log_likelihood", None) is not None


def density_of(simulator: Simulator, estimator: Any = None) -> Density:
    """The density of a simulator's outcomes: what the estimator learned, or else what is exactly known.

    `estimator` is a learned likelihood or ratio, over all of the prior's parameters or some of them, or a function (theta, x, design).

    Raises:
        NoDensity: if there is none. UsageError: for an estimator that has none.
    """
    if isinstance(estimator, PotentialEstimator):
        columns = columns_of(simulator.prior, estimator.prior.names)
        return LearnedDensity(
            LearnedTerms(estimator.prior, estimator.core, None), tuple(estimator.reader.varied), columns
        )
    if estimator is not None and not callable(estimator):
        raise UsageError(
            f"got a {type(estimator).__name__} as the density of outcomes; expected a function(theta, x, design) or an estimator of a "
            "likelihood or ratio (NLE, NRE); a posterior's estimator goes with method='posterior'"
        )
    function = estimator if estimator is not None else getattr(simulator.tractable, "log_likelihood", None)
    if function is None:
        raise NoDensity(
            f"got simulator '{simulator.name}', which has no log_likelihood, and no estimator; expected one of them; fit NLE or NRE on "
            "simulations with settings that vary and pass estimator=, or pass simulator(..., tractable=)"
        )
    return ExactDensity(simulator.prior, function, takes_design(function))


def columns_of(prior: Prior, names: Any) -> tuple[int, ...]:
    """The flat columns of some of a prior's parameters.

    Raises:
        UsageError: for a name that the prior does not have.

    >>> import numpyro.distributions as dist
    >>> columns_of(Prior(a=dist.Normal(0.0, 1.0), b=dist.Normal(0.0, 1.0)), ["b"])
    (1,)
    """
    unknown = [name for name in names if name not in prior.names]
    if unknown or not names:
        raise UsageError(
            f"got parameters {list(names)}; expected some of {list(prior.names)}; use the parameters' names"
        )
    found, start = {}, 0
    for name, shape in prior.shapes.items():
        size = 1
        for length in shape:
            size *= length
        found[name] = range(start, start + size)
        start += size
    return tuple(column for name in names for column in found[name])


def log_each(
    density: Density, theta: Float[Array, " d"], x: Any, design: dict[str, Array] | Distinct
) -> Float[Array, " e"]:
    """log p(x_e | theta, design_e) of independent events, each at settings of its own, (e, ...) by name, or as `distinct` has them."""
    if isinstance(design, Distinct):
        rows, which = jax.tree.map(jnp.asarray, design.rows), jnp.asarray(design.which)
        if density.learned:
            table = jax.vmap(lambda row: density.of_events(theta, x, row))(rows)
            return jnp.take_along_axis(table, which[None], axis=0)[0]
        design = {name: value[which] for name, value in rows.items()}
    return jax.vmap(lambda event, row: density(theta, event, row))(x, design)


def above(each: Float[Array, " e"], reference: Float[Array, " e"], mask: Float[Array, " e"]) -> Float[Array, ""]:
    """sum_e mask_e (l_e - r_e): differences are taken before they are added, so that sums over many events lose no digits.

    An event that is impossible counts as minus infinity; where the reference is, nothing can be said and it is NaN.
    """
    difference = jnp.where(jnp.isnan(each), -jnp.inf, each) - jnp.where(jnp.isfinite(reference), reference, jnp.nan)
    return jnp.sum(jnp.where(mask > 0, difference, 0.0))
