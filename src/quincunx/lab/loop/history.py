"""What was measured so far: experiments at their settings, as events that multiply."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from quincunx.design.space import Design, brief, plain_design
from quincunx.errors import DataFileError
from quincunx.model import Simulator
from quincunx.notebook import card, fields_text, from_fields, short

__all__ = ["Experiment", "History"]


@dataclass(frozen=True, eq=False)
class Experiment:
    """One experiment: its settings and its events along the leading axis of x, an array or a dict of arrays.

    >>> Experiment.of({"d": 1.0}, [0.5, 0.1], one=False).n
    2
    """

    design: Design
    x: Any

    @classmethod
    def of(cls, design: Mapping[str, Any], x: Any, *, one: bool) -> "Experiment":
        """From an outcome (`one`) or a set of them."""
        arrays = jax.tree.map(lambda a: np.asarray(a, np.float64), dict(x) if isinstance(x, Mapping) else np.asarray(x))
        return cls(
            plain_design(design),
            jax.tree.map(lambda a: a[None], arrays) if one else arrays,
        )

    @classmethod
    def told(cls, simulator: Simulator, design: Mapping[str, Any], x: Any) -> "Experiment":
        """From what somebody says was measured, compared with what the simulator gives.

        Raises:
            NameMismatch, ShapeMismatch, NonFiniteObservation: if it is not what the simulator could have given.
        """
        arrays, is_set = simulator.outcome_at(dict(design)).check(x)
        return cls.of(design, arrays, one=not is_set)

    @property
    def n(self) -> int:
        """The number of events."""
        return len(jax.tree.leaves(self.x)[0])

    @property
    def continuous(self) -> bool:
        """Whether any number is not whole, so that two experiments cannot give the same."""
        return any(bool(np.any(leaf != np.round(leaf))) for leaf in jax.tree.leaves(self.x))

    def to_json(self) -> bytes:
        """Settings and events as text that gives every number back to the last bit."""
        return json.dumps({"design": self.design, "x": self._lists()}, sort_keys=True).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "Experiment":
        """The inverse of `to_json`.

        Raises:
            DataFileError: for text that is none.
        """
        try:
            said = json.loads(text)
            x = said["x"]
            read = {k: np.asarray(v, np.float64) for k, v in x.items()} if isinstance(x, dict) else np.asarray(x, float)
            return cls(plain_design(said["design"]), read)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataFileError(
                f"got an experiment that cannot be read: {error}; expected JSON with design and x"
            ) from error

    @property
    def sha256(self) -> str:
        """The hash of its settings and events."""
        return hashlib.sha256(self.to_json()).hexdigest()

    @property
    def numbers(self) -> str:
        """The hash of its events alone, by which the same file told at other settings is known."""
        return hashlib.sha256(json.dumps(self._lists(), sort_keys=True).encode()).hexdigest()

    def _lists(self) -> Any:
        return {k: v.tolist() for k, v in self.x.items()} if isinstance(self.x, dict) else self.x.tolist()

    __repr__ = fields_text
    _repr_html_ = from_fields


@dataclass(frozen=True, eq=False)
class History:
    """Experiments in the order in which they were told.

    >>> history = History(()).and_then(Experiment.of({"d": 1.0}, [0.5, 0.1], one=False))
    >>> history.events(), {name: values.tolist() for name, values in history.settings().items()}
    (array([0.5, 0.1]), {'d': [1.0, 1.0]})
    """

    experiments: tuple[Experiment, ...]

    def and_then(self, experiment: Experiment) -> "History":
        """With one more."""
        return History((*self.experiments, experiment))

    def events(self) -> Any:
        """All events, one after another."""
        parts = [experiment.x for experiment in self.experiments]
        return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)

    def settings(self) -> dict[str, np.ndarray]:
        """The settings of every event, by name."""
        names: Sequence[str] = list(self.experiments[0].design) if self.experiments else []
        return {
            name: np.concatenate([np.repeat(np.asarray([one.design[name]]), one.n, axis=0) for one in self.experiments])
            for name in names
        }

    def __len__(self) -> int:
        return len(self.experiments)

    def __repr__(self) -> str:
        said = "; ".join(f"{one.n} events at {short(one.design)}" for one in self.experiments)
        return f"History of {len(self)} experiments{': ' if said else ''}{said}"

    def _repr_html_(self) -> str:
        names = list(self.experiments[0].design) if self.experiments else []
        body = [
            [str(i), *(brief(one.design[name]) for name in names), str(one.n)]
            for i, one in enumerate(self.experiments, start=1)
        ]
        return card(f"History of {len(self)} experiments", head=["experiment", *names, "events"], body=body)
