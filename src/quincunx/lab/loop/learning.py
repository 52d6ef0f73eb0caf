"""The likelihood of one event, learned from simulations over the prior and the space of designs: for loops on simulators that state none."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from quincunx.errors import UsageError
from quincunx.infer import NLE, Method, method_named
from quincunx.infer.scoring import whole_columns
from quincunx.lab.study import Study
from quincunx.run import Simulations
from quincunx.run.simulate import simulate
from quincunx.values import as_key

__all__ = ["learn_likelihood"]


def learn_likelihood(
    study: Study,
    n: int,
    *,
    events: int | None = None,
    method: str | Method | None = None,
    key: PRNGKeyArray | int,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> Any:
    """An estimator of log p(x | theta, design) of one event, for `Designer(estimator=...)`, from `n` simulations with every design of the space.

    With `events` every simulation makes that many, which a program does in one run: they are rows of their own to learn from, with the same
    parameters and settings, and those of one simulation are held out of the training together.

    A loop is as right as it is: rehearse it before it is trusted, since the rehearsal's truths come from the simulator itself.

    Args:
        events: how many events each simulation makes; one without it.
        method: "nle" for a density, or a ratio ("nre"); with its options as a value, such as `NLE(density="gaussian")`. By default a density that
        suits the outcomes: probabilities of whole numbers, a mixture for a single number, a flow for several.

    Raises:
        UsageError: for a study without a designer, or a method that learns neither. AllSimulationsFailed, TooFewSimulations: if there is nothing to learn from.

    >>> import jax.numpy as jnp, numpyro.distributions as dist, quincunx as qx
    >>> from quincunx.learn import FitSettings
    >>> @qx.simulator(qx.Prior(a=dist.Normal(0.0, 1.0)))
    ... def line(theta, *, key, design):
    ...     return jnp.array([design["d"] * theta["a"] + 0.5 * jax.random.normal(key)])
    >>> study = Study(line, designer=qx.Designer(qx.Space(d=(-1.0, 1.0))))
    >>> quick = qx.NLE(density="gaussian", members=1, settings=FitSettings(epochs=2))
    >>> learned = learn_likelihood(study, 500, method=quick, key=0)
    >>> qx.eig(line, {"d": 1.0}, estimator=learned, key=1).upper is None
    True
    """
    if study.designer is None:
        raise UsageError(
            "got a study without a designer; expected one; write Study(..., designer=Designer(Space(...)))"
        )
    chosen = None if method is None else method_named(method)
    if chosen is not None and chosen.name not in ("nle", "nre"):
        raise UsageError(
            f"got the method '{chosen.name}'; expected one that learns a likelihood or a ratio: nle or nre"
        )
    k_designs, k_run, k_fit = jax.random.split(as_key(key), 3)
    designs = study.designer.space.sobol(n, key=k_designs)
    count = len(next(iter(designs.values())))
    # Sobol points come in an order; which parameters they meet must not follow it.
    order = np.random.default_rng(np.asarray(jax.random.key_data(k_designs))).permutation(count)
    shuffled = {name: values[order] for name, values in designs.items()}
    prior = study.simulator.prior
    theta = {name: np.asarray(values) for name, values in prior.sample(count, key=k_run).items()}
    sims = simulate(study.simulator, theta=theta, design=shuffled, events=events, key=k_run)
    return (chosen or _suited(sims)).fit(sims, prior, key=k_fit, progress=progress)


def _suited(sims: Simulations) -> Method:
    """The density for outcomes such as these: of a single number a flow of affine maps would be a normal distribution."""
    x = sims.valid().x_flat()
    if whole_columns(x if sims.events else x[:, None]).all():
        return NLE(density="mixed")
    return NLE(density="mixture" if x.shape[-1] == 1 else "affine", x_scale="bounded")
