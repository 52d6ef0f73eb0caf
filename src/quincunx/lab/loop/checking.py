"""Are the newest data like what the posterior expects? Asked after every experiment, before anything is built on it."""

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from quincunx.design import Belief
from quincunx.design.density import Density
from quincunx.lab.loop.believing import pairwise
from quincunx.lab.loop.history import Experiment
from quincunx.model import Simulator
from quincunx.run.simulate import simulate

__all__ = ["REPLICAS", "surprise"]

REPLICAS = 2_000
"""Simulated experiments with which the measured one is compared."""


def surprise(
    simulator: Simulator, belief: Belief, experiment: Experiment, density: Density, *, key: PRNGKeyArray
) -> float:
    """The posterior predictive p-value of the deviance of an experiment, P(D(x', theta) >= D(x, theta)) with D = -2 sum_i log p(x_i | theta).

    The belief holds the experiment too, so that the p-value is larger than a prior predictive one: it accuses only data that no parameter
    explains. Ties count by half, because outcomes may be discrete.

    >>> import types, jax.numpy as jnp, numpyro.distributions as dist, quincunx as qx
    >>> from quincunx.design.density import density_of
    >>> def log_likelihood(theta, x, design):
    ...     return jax.scipy.stats.norm.logpdf(x[0], design["d"] * theta["a"], 0.5)
    >>> @qx.simulator(qx.Prior(a=dist.Normal(0.0, 1.0)), tractable=types.SimpleNamespace(log_likelihood=log_likelihood))
    ... def line(theta, *, key, design):
    ...     return jnp.array([design["d"] * theta["a"] + 0.5 * jax.random.normal(key)])
    >>> belief = Belief.of(line.prior, 4000, 0)
    >>> found = [surprise(line, belief, Experiment.of({"d": 1.0}, [x], one=True), density_of(line), key=jax.random.key(1)) for x in (0.0, 30.0)]
    >>> found[0] > 0.1, found[1]
    (True, 0.0005)
    """
    theta = belief.draws[np.arange(REPLICAS) % len(belief)]
    named = {k: np.asarray(v, np.float32) for k, v in Belief(belief.prior, theta).named().items()}
    again = simulate(simulator, theta=named, events=experiment.n, design=experiment.design, key=key)
    seen = jax.tree.map(lambda a: np.broadcast_to(a, (REPLICAS, *a.shape)), experiment.x)
    observed = pairwise(density, theta, seen, experiment.design)
    replicated = pairwise(density, theta, jax.tree.map(np.asarray, again.x), experiment.design)
    worked = ~np.asarray(again.failed)
    below = np.sum(replicated[worked] < observed[worked]) + 0.5 * np.sum(replicated[worked] == observed[worked])
    return float((1.0 + below) / (1.0 + worked.sum()))
