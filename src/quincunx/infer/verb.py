"""From a simulator and an observation to a posterior, in one call."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from quincunx.errors import UsageError
from quincunx.infer.method import Method, method_named
from quincunx.infer.posterior import Posterior
from quincunx.infer.rows import check_parameters
from quincunx.learn.fit import Progress
from quincunx.model import Prior, Simulator
from quincunx.run import Simulations, simulate
from quincunx.values import as_key


def infer(
    simulator: Simulator | None,
    x_o: Any,
    *,
    method: str | Method = "npe",
    budget: int = 10_000,
    key: PRNGKeyArray | int,
    sims: Simulations | None = None,
    design: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Posterior:
    """The posterior p(theta | x_o), learned from `budget` simulations, or from `sims` that were run before.

    `x_o` is one outcome, or a set of independent ones along a leading axis; it is read before anything is simulated. `method` is a name ("npe",
    "nle", "nre", "ratio", "fmpe", "npse", "auto") with its options as further keywords, or a method such as `NPE(members=5)`.
    `design` holds the settings of the observation, at which the simulator runs unless `sims` are given. With `sims`, the
    simulator may be None. `progress` is told about simulating and training.

    Raises:
        ShapeMismatch, NameMismatch, NonFiniteObservation: if the observation cannot be read.
        UnknownMethod: for a name that is none.
        AllSimulationsFailed, TooFewSimulations: if there is nothing to learn from.

    >>> import jax, numpyro.distributions as dist, quincunx as qx
    >>> @qx.simulator(qx.Prior(mu=dist.Normal(0.0, 1.0)))
    ... def bell(theta, *, key):
    ...     return theta["mu"] + 0.1 * jax.random.normal(key, (3,))
    >>> from quincunx.learn import FitSettings
    >>> posterior = qx.infer(bell, [0.5, 0.6, 0.4], budget=500, key=0, density="gaussian", settings=FitSettings(epochs=40))
    >>> bool(abs(posterior.sample(1000, key=1)["mu"].mean() - 0.5) < 0.2)
    True
    """
    method = method_named(method, **options)
    k_before, k_simulate, k_fit = jax.random.split(as_key(key), 3)
    if sims is None:
        if simulator is None:
            raise UsageError("got neither a simulator nor simulations; expected one of them; pass sims=simulate(...)")
        _, is_set = simulator.outcome_at(design).check(x_o)
        events = len(_first(x_o)) if is_set and method.takes_sets else None
        settings = {} if design is None else {"design": design}
        method, left = method.before(simulator, budget, key=k_before, **settings)
        gold = method.mines(simulator.prior)
        sims = simulate(simulator, left, key=k_simulate, events=events, gold=gold, progress=progress, **settings)
    estimator = method.fit(sims, prior_for(simulator, sims), key=k_fit, progress=progress)
    return estimator.posterior(x_o, design=design)


def prior_for(simulator: Simulator | None, sims: Simulations) -> Prior:
    """The prior to learn under: the simulator's, unless the simulations were drawn from a restricted one.

    Raises:
        UsageError: if there is none. NameMismatch, ShapeMismatch: if simulations and prior disagree.

    >>> import numpyro.distributions as dist
    >>> prior_for(None, Simulations.of({"a": np.zeros(3)}, np.ones((3, 2)), prior=Prior(a=dist.Normal(0.0, 1.0)))).names
    ('a',)
    """
    restricted = sims.prior is not None and sims.prior.region is not None
    prior = sims.prior if simulator is None or restricted else simulator.prior
    if prior is None:
        raise UsageError(
            "got simulations without a prior; expected one; pass the simulator, or Simulations with prior="
        )
    check_parameters(sims, prior)
    return prior


def _first(x: Any) -> np.ndarray:
    return np.asarray(next(iter(x.values())) if isinstance(x, Mapping) else x)
