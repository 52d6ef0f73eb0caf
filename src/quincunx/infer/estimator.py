"""What a fit leaves behind: something that answers for any observation."""

import abc
import dataclasses
import os
import warnings
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np

from quincunx.errors import MisspecificationWarning, QuincunxWarning
from quincunx.infer.misspecification import Familiarity, Misspecification
from quincunx.infer.posterior import Posterior
from quincunx.infer.reading import Observation, Reader
from quincunx.learn import Surrogate
from quincunx.model import Prior
from quincunx.notebook import card, short
from quincunx.values import pack, save, unpack


class Estimator(eqx.Module):
    """A surrogate with the prior, the observations it can read, and what it should say about itself.

    `method` describes the method and its options, `familiarity` what the simulations looked like, `notes` what was done to
    them. It needs no simulator.
    """

    prior: eqx.AbstractVar[Prior]
    surrogate: eqx.AbstractVar[Surrogate]
    reader: eqx.AbstractVar[Reader]
    familiarity: eqx.AbstractVar[Familiarity]
    method: eqx.AbstractVar[dict[str, Any]]
    notes: eqx.AbstractVar[tuple[str, ...]]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'; '.join(f'{name} {said}' for name, said in self._facts())})"

    def _repr_html_(self) -> str:
        return card(type(self).__name__, facts=self._facts(), warnings=self.notes)

    def _facts(self) -> list[tuple[str, str]]:
        return [
            ("parameters", ", ".join(self.prior.names)),
            ("method", str(self.method.get("method", "unnamed"))),
            ("reads", f"{'sets of ' if self.reader.sets else ''}{short(self.reader.columns)}"),
            ("network", repr(self.surrogate)),
        ]

    @abc.abstractmethod
    def close(self, observation: Observation, misspecification: Misspecification) -> Posterior:
        """The posterior for an observation that has been read and tested."""

    def posterior(self, x_o: Any, *, design: Any = None) -> Posterior:
        """The posterior for an observation: a single outcome, or a set of events along a leading axis.

        Warns with `MisspecificationWarning` if the observation is unlike anything simulated.

        Raises:
            NameMismatch, ShapeMismatch, NonFiniteObservation: if it cannot be read.
        """
        observation = self.reader.read(x_o, design=design)
        result = self.familiarity.test(observation.events)
        if result.is_suspect:
            warnings.warn(result.message(), MisspecificationWarning, stacklevel=2)
        if self.reader.sets and observation.n > self.reader.largest:
            warnings.warn(
                f"got a set of {observation.n} events; expected at most {self.reader.largest}, the size of the simulated sets; "
                "the network extrapolates: simulate sets as large as the observation",
                QuincunxWarning,
                stacklevel=2,
            )
        return self.close(observation, result)

    def noting(self, note: str) -> "Estimator":
        """The same estimator with one more thing to say about itself."""
        return dataclasses.replace(self, notes=(*self.notes, note))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the estimator to one file; `quincunx.load` reads it back without the simulator."""
        return save(self, path)

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        spec: dict[str, Any] = {"method": self.method, "notes": list(self.notes)}
        arrays: dict[str, np.ndarray] = {}
        for name in ("prior", "surrogate", "reader", "familiarity"):
            spec[name], more = pack(getattr(self, name), name)
            arrays |= more
        return spec, arrays


def shared_state(spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """The fields that every estimator has, from its saved state."""
    parts = {name: unpack(spec[name], arrays, name) for name in ("prior", "surrogate", "reader", "familiarity")}
    return {**parts, "method": spec["method"], "notes": tuple(spec["notes"])}


def state_of(posterior: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The saved state of a posterior: its estimator, and the observation it was closed over."""
    spec, arrays = pack(posterior.estimator, "estimator")
    observation = posterior.observation
    keyed = isinstance(observation.x, dict)
    x = observation.x if keyed else {"": observation.x}
    arrays |= {f"x/{name}": np.asarray(value) for name, value in x.items()}
    design = observation.design
    arrays |= {f"design/{name}": np.asarray(value) for name, value in (design or {}).items()}
    return {"estimator": spec, "keyed": keyed, "designed": design is not None}, arrays


def posterior_from_state(spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> Posterior:
    """The inverse of `state_of`; the misspecification test is made again, silently."""
    estimator = unpack(spec["estimator"], arrays, "estimator")
    x = {name.removeprefix("x/"): a for name, a in arrays.items() if name.startswith("x/")}
    design = {name.removeprefix("design/"): a for name, a in arrays.items() if name.startswith("design/")}
    observation = estimator.reader.read(x if spec["keyed"] else x[""], design=design if spec["designed"] else None)
    return estimator.close(observation, estimator.familiarity.test(observation.events))
