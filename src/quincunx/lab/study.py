"""A study: which simulator, what was measured, how it is to be answered, and what may be spent on it."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from quincunx.errors import UsageError
from quincunx.infer import Method, method_named
from quincunx.lab.designer import Designer
from quincunx.model.simulator import Simulator
from quincunx.notebook import from_repr
from quincunx.run.data import read_observation

__all__ = ["Study"]


@dataclass(frozen=True, eq=False, repr=False)
class Study:
    """What is to be found out: a simulator, the experiment to be explained, a method, a budget of simulations and a key.

    With a `designer` it is the study of a loop (see `Loop`), and `experiment` a function of a design that gives data, `mock(...)`, or None where a
    person measures.
    Without one, `experiment` is an observation, the path of one (CSV, JSON or NPY), or a function without arguments that gives either and is called when
    the answer is wanted; None for a study that only simulates. `method` is a name or a method such as `NPE(members=3)`.

    Raises:
        UsageError: if the simulator is none, the budget is below 1, the key is no integer, or the designer's policy is of another simulator.
        UnknownMethod: for a name that is none.

    >>> import numpyro.distributions as dist, quincunx as qx
    >>> bell = qx.wrap(lambda theta, *, rng: rng.normal(theta["mu"], 1.0, 3), qx.Prior(mu=dist.Normal(0.0, 1.0)), name="bell")
    >>> study = Study(bell, experiment=[0.1, 0.2, 0.3], budget=1000)
    >>> study
    Study of bell: npe, 1000 simulations, key 0, an observation
    >>> study.observation()
    array([0.1, 0.2, 0.3], dtype=float32)
    """

    simulator: Simulator
    experiment: Any = None
    method: str | Method = "npe"
    budget: int = 10_000
    key: int = 0
    designer: Designer | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.simulator, Simulator):
            raise UsageError(
                f"got {type(self.simulator).__name__} as a study's simulator; expected a Simulator; decorate the function with "
                "@qx.simulator(prior)"
            )
        for name, least in (("budget", 1), ("key", None)):
            value = getattr(self, name)
            whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
            if not whole or (least is not None and value < least):
                raise UsageError(
                    f"got {name}={value!r}; expected a whole number{f', at least {least}' if least else ''}; choose one"
                )
        if self.designer is not None and not isinstance(self.designer, Designer):
            raise UsageError(
                f"got {type(self.designer).__name__} as a study's designer; expected a Designer; write Designer(Space(...))"
            )
        if self.designer is not None and self.designer.policy is not None:
            self.designer.policy.check(self.simulator)
        method_named(self.method)

    def observation(self) -> Any:
        """What was measured, read and compared with what the simulator gives; None if the study has no experiment.

        Raises:
            DataFileError, NameMismatch, ShapeMismatch, NonFiniteObservation: if it cannot be read or is of another shape.
        """
        given = self.experiment() if callable(self.experiment) else self.experiment
        if given is None:
            return None
        if isinstance(given, (str, os.PathLike)):
            return read_observation(given, self.simulator)
        return self.simulator.outcome.check(given)[0]

    def __repr__(self) -> str:
        if isinstance(self.experiment, (str, os.PathLike)):
            what = f"the observation in {os.fspath(self.experiment)}"
        elif callable(self.experiment):
            what = "an experiment to be asked"
        else:
            what = "no experiment" if self.experiment is None else "an observation"
        method = method_named(self.method).name
        return f"Study of {self.simulator.name}: {method}, {self.budget} simulations, key {self.key}, {what}"

    _repr_html_ = from_repr
