"""Carrying an experiment out: a function is called with its settings; a mock simulates it."""

import inspect
import threading
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from quincunx.errors import ConstantColumnWarning, ExperimentFailed
from quincunx.model import Simulator
from quincunx.run.keys import key_text
from quincunx.run.simulate import simulate

__all__ = ["Mock", "measure", "mock"]


def measure(
    experiment: Callable[..., Any],
    design: Mapping[str, Any],
    *,
    events: int,
    key: PRNGKeyArray,
    patience: float | None = None,
) -> Any:
    """Call an experiment with its settings, and with `events` and `key` if it has such parameters.

    Raises:
        ExperimentFailed: if it raises, or is not done after `patience` seconds; it is then left behind in its thread.

    >>> measure(lambda design, events: [design["d"]] * events, {"d": 2.0}, events=3, key=jax.random.key(0))
    [2.0, 2.0, 2.0]
    """
    known = inspect.signature(experiment).parameters
    given = {name: value for name, value in (("events", events), ("key", key)) if name in known}
    found: dict[str, Any] = {}

    def call() -> None:
        try:
            found["x"] = experiment(dict(design), **given)
        except Exception as error:
            found["error"] = error

    if patience is None:
        call()
    else:
        thread = threading.Thread(target=call, daemon=True)
        thread.start()
        thread.join(patience)
        if thread.is_alive():
            raise ExperimentFailed(
                f"the experiment at {dict(design)} was not done after {patience:g} s; expected its data; run again when it answers, or "
                "tell the data when they are there"
            )
    if "error" in found:
        error = found["error"]
        raise ExperimentFailed(
            f"the experiment at {dict(design)} failed: {type(error).__name__}: {error}; nothing is lost: run again, or tell the data"
        ) from error
    return found["x"]


class Mock:
    """An experiment that is simulated with parameters that the loop does not know. Made by `mock`."""

    def __init__(self, simulator: Simulator, theta: Mapping[str, Any]):
        simulator.prior.check(theta)
        self.simulator, self.theta = simulator, dict(theta)

    def __call__(self, design: Mapping[str, Any], *, events: int, key: PRNGKeyArray) -> Any:
        """`events` events at a design, along the leading axis."""
        theta = {name: np.asarray(value, np.float32)[None] for name, value in self.theta.items()}
        with warnings.catch_warnings():
            # all yes, or all zero, is what an experiment may give; about a simulator it would be suspicious
            warnings.simplefilter("ignore", ConstantColumnWarning)
            sims = simulate(self.simulator, theta=theta, events=events, design=dict(design), key=key, workers=0)
        if bool(np.any(sims.failed)):
            raise ExperimentFailed(f"simulation {key_text(key)} of the mock failed; expected an outcome")
        return jax.tree.map(lambda a: np.asarray(a)[0], sims.x)


def mock(simulator: Simulator, theta: Mapping[str, Any]) -> Mock:
    """An experiment made by a simulator (JAX, Python, a command or a workflow) at parameters of its own.

    Raises:
        NameMismatch, ShapeMismatch: for parameters that are not the simulator's.

    >>> import numpyro.distributions as dist, quincunx as qx
    >>> bell = qx.wrap(lambda theta, *, rng, design: rng.normal(theta["mu"], design["s"], 1), qx.Prior(mu=dist.Normal(0.0, 1.0)), name="bell")
    >>> mock(bell, {"mu": 0.5})({"s": 1.0}, events=3, key=jax.random.key(0)).shape
    (3, 1)
    """
    return Mock(simulator, theta)
