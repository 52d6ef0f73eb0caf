"""The density of one event as a function of the parameters and the settings: exact or learned, behind one interface."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from quincunx.errors import NoDensity, UsageError
from quincunx.infer import PotentialEstimator
from quincunx.infer.terms import LearnedTerms
from quincunx.model import Prior, Simulator
from quincunx.model.design import takes_design
from quincunx.model.outcome import flatten_outcome

__all__ = ["Density", "above", "columns_of", "density_of", "has_density", "log_each"]


class Density(eqx.Module):
    """log p(x | theta, design) of one event x at one flat theta (d,), for compiled code in float64; possibly up to a term free of theta."""

    @property
    @abc.abstractmethod
    def learned(self) -> bool:
        """Whether it is a network's, and so no density to build an upper bound on."""

    @abc.abstractmethod
    def __call__(self, theta: Float[Array, " d"], x: Any, design: dict[str, Array]) -> Float[Array, ""]:
        """log p(x | theta, design)."""


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


def log_each(density: Density, theta: Float[Array, " d"], x: Any, design: dict[str, Array]) -> Float[Array, " e"]:
    """log p(x_e | theta, design_e) of independent events, each at settings of its own."""
    return jax.vmap(lambda event, row: density(theta, event, row))(x, design)


def above(each: Float[Array, " e"], reference: Float[Array, " e"], mask: Float[Array, " e"]) -> Float[Array, ""]:
    """sum_e mask_e (l_e - r_e): differences are taken before they are added, so that sums over many events lose no digits.

    An event that is impossible counts as minus infinity; where the reference is, nothing can be said and it is NaN.
    """
    difference = jnp.where(jnp.isnan(each), -jnp.inf, each) - jnp.where(jnp.isfinite(reference), reference, jnp.nan)
    return jnp.sum(jnp.where(mask > 0, difference, 0.0))
