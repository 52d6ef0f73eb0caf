"""Reading an observation: its shape, names, settings and numbers, checked before anything is computed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from quincunx.errors import NameMismatch, ShapeMismatch
from quincunx.model import Outcome
from quincunx.model.prior import columns_of
from quincunx.notebook import fields_text, from_fields
from quincunx.run import Simulations
from quincunx.values import register


@dataclass(frozen=True)
class Observation:
    """An observation as it was handed over, and as flat events: (n, d_x), with the settings of each, (n, d_design)."""

    x: Any
    design: dict[str, Any] | None
    events: Float[np.ndarray, "n dx"]
    settings: Float[np.ndarray, "n dd"]

    @property
    def n(self) -> int:
        """The number of events; one for a single outcome."""
        return len(self.events)

    __repr__ = fields_text
    _repr_html_ = from_fields


@register("reader")
@dataclass(frozen=True)
class Reader:
    """What an observation must look like to be answered: one outcome's names and shapes, and the settings.

    `varied` maps the settings that varied among the simulations to their shapes; `fixed` holds the values of those that
    did not; `sets` says that the simulations were sets of events, of `largest` events.
    """

    outcome: Outcome
    largest: int
    varied: dict[str, tuple[int, ...]]
    fixed: dict[str, Any]

    @classmethod
    def of(cls, sims: Simulations) -> "Reader":
        """The reader for observations like the outcomes of these simulations."""
        largest = (
            np.shape(next(iter(sims.x.values())) if isinstance(sims.x, Mapping) else sims.x)[1] if sims.events else 0
        )
        varied, fixed = {}, {}
        for name, values in sorted((sims.design or {}).items()):
            values = np.asarray(values)
            if np.any(values != values[:1]):
                varied[name] = values.shape[1:]
            else:
                fixed[name] = values[0].tolist()
        return cls(sims.outcome, int(largest), varied, fixed)

    @property
    def sets(self) -> bool:
        """Whether the simulations were sets of events."""
        return self.largest > 0

    @property
    def columns(self) -> tuple[str, ...]:
        """A name for each flat number of one outcome."""
        return self.outcome.columns

    @property
    def design_columns(self) -> tuple[str, ...]:
        """A name for each flat number of the settings that varied."""
        return tuple(c for name, shape in self.varied.items() for c in columns_of(name, shape))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one outcome: of the array, or of the flat numbers where there are several arrays."""
        shapes = list(self.outcome.shapes.values())
        return tuple(shapes[0]) if len(shapes) == 1 else (self.outcome.dim,)

    def simulated_design(self, sims: Simulations) -> Float[np.ndarray, "n dd"]:
        """The settings that varied, flat, of every simulation."""
        designs = sims.design or {}
        parts = [np.asarray(designs[name], np.float32).reshape(len(sims), -1) for name in self.varied]
        return np.concatenate(parts, axis=1) if parts else np.zeros((len(sims), 0), np.float32)

    def read(self, x_o: Any, *, design: Mapping[str, Any] | None = None) -> Observation:
        """One observation: a single outcome, or a set of them along a leading axis.

        Raises:
            NameMismatch: if an observable or a setting is missing or unknown.
            ShapeMismatch: if its shape is neither that of an outcome nor of a set of outcomes.
            NonFiniteObservation: if it holds NaN or infinity.
        """
        arrays, is_set = self.outcome.check(x_o)
        flat = np.asarray(self.outcome.flatten(arrays, int(is_set)), np.float32)
        events = flat if is_set else flat[None]
        settings = self._settings(design, (len(events),))
        return Observation(x_o, None if design is None else dict(design), events, settings)

    def read_many(
        self, x: Any, *, design: Mapping[str, Any] | None = None
    ) -> tuple[Float[np.ndarray, "b n dx"], Float[np.ndarray, "b n dd"]]:
        """A batch of observations along a first axis: single outcomes, or sets of one size along a second.

        Raises: as `read`.
        """
        named = dict(x) if isinstance(x, Mapping) else {self.outcome.names[0]: x}
        first, shape = self.outcome.names[0], self.outcome.shape_list[0]
        values = np.asarray(named.get(first, 0.0))
        promoted = shape == (1,) and values.shape[-1:] != (1,)
        leading = values.shape if promoted else values.shape[: max(0, values.ndim - len(shape))]
        if len(leading) not in (1, 2):
            raise ShapeMismatch(
                f"got a batch of observations '{first}' of shape {values.shape}; expected (B, {', '.join(map(str, shape))}), or "
                f"(B, n, {', '.join(map(str, shape))}) for sets of n events; add the leading axis"
            )
        merged = {k: np.asarray(v).reshape(-1, *np.shape(v)[len(leading) :]) for k, v in named.items()}
        arrays, _ = self.outcome.check(merged if self.outcome.keyed else merged[first])
        leading = leading if len(leading) == 2 else (leading[0], 1)
        events = np.asarray(self.outcome.flatten(arrays, 1), np.float32).reshape(*leading, -1)
        return events, self._settings(design, leading)

    def _settings(self, design: Mapping[str, Any] | None, leading: tuple[int, ...]) -> np.ndarray:
        given = dict(design or {})
        missing = [name for name in self.varied if name not in given]
        unknown = [name for name in given if name not in self.varied and name not in self.fixed]
        if missing or unknown:
            raise NameMismatch(
                f"got settings {', '.join(given) or 'none'} for the observation; expected {', '.join(self.varied) or 'none'}, "
                "which varied among the simulations; pass design={name: value}"
            )
        for name, value in self.fixed.items():
            if name in given and not np.all(np.asarray(given[name]) == np.asarray(value)):
                raise NameMismatch(
                    f"got setting '{name}' = {given[name]!r} for the observation; expected {value!r}, at which every simulation "
                    "was run; simulate at the settings of the observation, or let them vary"
                )
        parts = []
        for name, shape in self.varied.items():
            values = np.asarray(given[name], np.float32)
            lead = values.shape[: values.ndim - len(shape)]
            if values.ndim < len(shape) or values.shape[len(lead) :] != shape or lead != leading[: len(lead)]:
                raise ShapeMismatch(
                    f"got setting '{name}' of shape {values.shape}; expected {shape}, or one for each event, {leading + shape}"
                )
            values = values.reshape(*lead, *[1] * (len(leading) - len(lead)), int(np.prod(shape, dtype=int)))
            parts.append(np.broadcast_to(values, (*leading, values.shape[-1])))
        return np.concatenate(parts, axis=-1) if parts else np.zeros((*leading, 0), np.float32)

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        outcome, arrays = self.outcome.to_state()
        varied = [[name, list(shape)] for name, shape in self.varied.items()]
        return {"outcome": outcome, "largest": self.largest, "varied": varied, "fixed": self.fixed}, arrays

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Reader":
        """The inverse of `to_state`."""
        varied = {name: tuple(shape) for name, shape in spec["varied"]}
        return cls(Outcome.from_state(spec["outcome"], arrays), spec["largest"], varied, spec["fixed"])

    _repr_html_ = from_fields
