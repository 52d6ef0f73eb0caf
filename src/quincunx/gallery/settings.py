"""The settings of an experiment by name, and what is exactly known of one bounded parameter under them."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from quincunx.gallery.grid import grid_log_evidence, grid_log_posterior, grid_posterior_sample
from quincunx.gallery.problem import Truth
from quincunx.model import Prior
from quincunx.model.prior import check_names


def settings_of(design: Mapping[str, Any] | None, default: Mapping[str, Any]) -> dict[str, Array]:
    """The settings of a design as arrays, those of `default` where there is none.

    Raises:
        NameMismatch: for names that are not the default's.

    >>> settings_of(None, {"energy": 47.0})
    {'energy': Array(47., dtype=float32, weak_type=True)}
    """
    chosen = default if design is None else design
    check_names(list(chosen), list(default), "design settings")
    return {name: jnp.asarray(chosen[name]) for name in default}


def grid_truth(
    prior: Prior,
    log_likelihood: Callable[..., Any],
    low: float,
    high: float,
    *,
    fisher: Callable[..., Any] | None = None,
    eig: Callable[[Mapping[str, Any]], float] | None = None,
) -> Truth:
    """All that follows from log_likelihood(theta, x, design) of one parameter between low and high, on a grid of 2000 cells.

    Outside [low, high] the prior must have no mass that counts. Every function takes a design last, or none.

    >>> import numpyro.distributions as dist
    >>> log_likelihood = lambda theta, x, design=None: x[0] * jnp.log(theta["p"]) + (1 - x[0]) * jnp.log1p(-theta["p"])
    >>> grid_truth(Prior(p=dist.Uniform(0.0, 1.0)), log_likelihood, 0.0, 1.0).log_evidence(jnp.ones(1))
    Array(-0.693, dtype=float32)
    """
    (name,) = prior.names
    width = math.log(high - low)
    # Not the prior's own log_prob, which is compiled once: what compiled it in float64 could not be called in float32 again.
    log_prior = prior.distributions[name].log_prob

    def joint(theta: dict, x: Any, *design: Any) -> Any:
        # Over a uniform theta, which the grid's functions take for granted.
        return log_likelihood(theta, x, *design) + log_prior(theta[name]) + width

    return Truth(
        kind="posterior",
        log_likelihood=log_likelihood,
        fisher=fisher,
        log_posterior=grid_log_posterior(name, joint, low, high),
        log_evidence=grid_log_evidence(name, joint, low, high),
        posterior_sample=grid_posterior_sample(name, joint, low, high),
        eig=eig,
    )
