"""Simulated experiments and the likelihood ratio in each of them."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from quincunx.infer.ascent import Hold
from quincunx.infer.events import Events
from quincunx.infer.likelihood import Likelihood, named_double
from quincunx.infer.maximum import ascents, hold_of
from quincunx.model import Simulator
from quincunx.model.precision import double_scope
from quincunx.run import simulate

DIGITS = 6
"""To so many digits q is rounded: equal data must give equal q, in whatever order its events came."""


def simulated_sets(
    likelihood: Likelihood,
    simulator: Simulator,
    point: Float[np.ndarray, " d"],
    toys: int,
    n_events: int | None,
    *,
    key: PRNGKeyArray,
    design: Mapping[str, Any] | None = None,
) -> Events:
    """`toys` experiments at one flat parameter point, of `n_events` each, or of a Poisson number with the likelihood's rate.

    Experiments in which a simulation failed are left out (`simulate` warns of them).
    """
    named = named_double(likelihood.prior, point)
    k_count, k_events = jax.random.split(key)
    weight = None
    size = n_events
    if size is None:
        rng = np.random.default_rng(np.asarray(jax.random.key_data(k_count)))
        with double_scope():
            expected = float(np.asarray(likelihood.terms.rate(named)))  # type: ignore[misc]
        counts = rng.poisson(expected, toys)
        # powers of two, so that little is compiled over the points of a grid
        size = 1 << max(0, int(counts.max()) - 1).bit_length()
        weight = (np.arange(size) < counts[:, None]).astype(np.float64)
    theta = {name: np.broadcast_to(value, (toys, *value.shape)) for name, value in named.items()}
    sims = simulate(simulator, theta=theta, events=size, key=k_events, design=design)
    worked = ~sims.failed
    x = jax.tree.map(lambda a: a[worked], sims.x)
    settings = {} if design is None else {"design": design}
    return likelihood.batch(x, weight=None if weight is None else weight[worked], **settings)


def ratio_on_grid(likelihood: Likelihood, sets: Events, flat: Float[np.ndarray, "t d"]) -> Float[np.ndarray, "b t"]:
    """q = -2 [log L(theta) - max log L] of each set at every grid point, the maximum over the grid."""
    told = likelihood.table(flat, sets)
    return np.round(2.0 * (told.max(axis=1, keepdims=True) - told), DIGITS)


def ratio_profiled(
    likelihood: Likelihood, sets: Events, point: Float[np.ndarray, " d"], best: Float[np.ndarray, " d"], held: Hold
) -> Float[np.ndarray, " b"]:
    """q = -2 [max log L with what is held at `point` - max log L] of each set, by ascents from `point` and from `best`."""
    prior = likelihood.prior
    with double_scope():
        u = np.asarray(prior.to_unconstrained(np.stack([point, best])))
    b = len(sets)
    starts = np.broadcast_to(u, (b, *u.shape))
    free = hold_of(prior, None)
    values = np.broadcast_to(point, (b, point.size))
    at = ascents(likelihood, sets, starts, Hold(values, held.flat, held.u))
    top = ascents(likelihood, sets, starts, Hold(values, free.flat, free.u))
    return np.round(2.0 * np.maximum(top.value - at.value, 0.0), DIGITS)
