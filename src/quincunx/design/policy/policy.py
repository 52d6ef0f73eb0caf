"""A policy as a value: what was learned about what to measure next, for any history, by name."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from quincunx.design.policy.rule import NetworkRule
from quincunx.design.space import Space
from quincunx.errors import ShapeMismatch, UsageError
from quincunx.learn import Surrogate
from quincunx.learn.networks import CriticisedPolicy, UniformDesigns
from quincunx.model import Simulator
from quincunx.model.outcome import Outcome, flatten_outcome
from quincunx.notebook import from_repr
from quincunx.values import as_key, pack, register, save, unpack

__all__ = ["Policy"]


@register("policy")
class Policy(eqx.Module):
    """The next design as a function of all designs and outcomes so far, for up to `rounds` experiments of `events` events; made by `train_policy`.

    `kind_of` is "adaptive", "static" (the history is not looked at) or "random". `surrogate` holds the network, with its critic where it was trained
    with one, and the losses. `simulator` and `parameters` are the names of what it was trained for, empty in files of older versions.
    """

    kind: ClassVar[str]

    surrogate: Surrogate
    space: Space = eqx.field(static=True)
    outcome: Outcome = eqx.field(static=True)
    kind_of: str = eqx.field(static=True)
    rounds: int = eqx.field(static=True)
    events: int = eqx.field(static=True)
    simulator: str = eqx.field(static=True, default="")
    parameters: tuple[str, ...] = eqx.field(static=True, default=())

    def check(self, simulator: Simulator) -> None:
        """Whether this simulator is the one that it was trained for, by name, parameters and outcome.

        Raises:
            UsageError: if it is another.
        """
        if self.simulator and (self.simulator, self.parameters) != (simulator.name, simulator.prior.columns):
            raise UsageError(
                f"got a policy that was trained for the simulator '{self.simulator}' of {', '.join(self.parameters)}; expected one for "
                f"'{simulator.name}' of {', '.join(simulator.prior.columns)}; train one for this simulator"
            )
        its = simulator.outcome_at({name: ends[0] for name, ends in self.space.bounds})
        if (its.shapes, its.columns) != (self.outcome.shapes, self.outcome.columns):
            raise UsageError(
                f"got a policy that reads outcomes {self.outcome.shapes} of {', '.join(self.outcome.columns)}; expected {its.shapes} of "
                f"{', '.join(its.columns)}, as '{simulator.name}' gives; train one for this simulator"
            )

    @property
    def network(self) -> Any:
        """The network, with its critic if there is one."""
        return jax.tree.map(lambda leaf: leaf[0] if eqx.is_array(leaf) else leaf, self.surrogate.model)

    @property
    def has_critic(self) -> bool:
        """Whether it was trained with a critic, by which it can be judged without a likelihood."""
        return isinstance(self.surrogate.model, CriticisedPolicy)

    @property
    def rule(self) -> NetworkRule:
        """The same for compiled code."""
        network = self.network
        chooser = network.policy if isinstance(network, CriticisedPolicy) else network
        return NetworkRule.of(chooser, self.surrogate.scales["x"], self.space)

    def propose(
        self, history: Sequence[tuple[Mapping[str, Any], Any]] = (), *, key: PRNGKeyArray | int | None = None
    ) -> dict[str, float]:
        """The next design after a history of (design, outcome), or (design, events) with several events in an experiment. A key is needed by random designs only.

        Raises:
            NameMismatch, DesignOutsideSpace: for designs that are not of the space. NameMismatch, ShapeMismatch, NonFiniteObservation: for outcomes that
            are not the simulator's, or another number of events. UsageError: after as many experiments as the policy plans, or without a key.
        """
        if len(history) >= self.rounds:
            raise UsageError(
                f"got a history of {len(history)} experiments; expected fewer than the {self.rounds} that the policy plans; train one with more rounds"
            )
        rule, random = self.rule, isinstance(self.rule.network, UniformDesigns)
        if random and key is None:
            raise UsageError("got random designs without a key; expected one; pass key=0")
        state = rule.begin()
        for design, x in history:
            checked = self.space.check(design)
            arrays, is_set = self.outcome.check(x)
            flat = np.asarray(flatten_outcome(arrays, 1 if is_set else 0), np.float32)
            flat = flat if is_set else flat[None]
            if len(flat) != self.events:
                raise ShapeMismatch(
                    f"got an experiment of {len(flat)} events; expected {self.events}, as in training; train a policy with events={len(flat)}"
                )
            state = _take_in(rule, state, {name: jnp.asarray(value) for name, value in checked.items()}, flat)
        chosen = _design(rule, state, jnp.asarray(len(history)), as_key(0 if key is None else key))
        low = dict(self.space.bounds)
        # a sigmoid that has reached its end may round to just outside
        return {name: float(np.clip(float(value), *low[name])) for name, value in chosen.items()}

    def __call__(self, history: Sequence[Any] = (), *, key: PRNGKeyArray | int | None = None) -> dict[str, float]:
        """As `propose`."""
        return self.propose(history, key=key)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to one file; `quincunx.load` reads it back."""
        return save(self, path)

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        surrogate, arrays = pack(self.surrogate, "surrogate")
        outcome, more = pack(self.outcome, "outcome")
        spec = {
            "surrogate": surrogate,
            "outcome": outcome,
            "space": [[name, list(ends)] for name, ends in self.space.bounds],
            "kind_of": self.kind_of,
            "rounds": self.rounds,
            "events": self.events,
            "simulator": self.simulator,
            "parameters": list(self.parameters),
        }
        return spec, arrays | more

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Policy":
        """The inverse of `to_state`."""
        return cls(
            unpack(spec["surrogate"], arrays, "surrogate"),
            Space({name: tuple(ends) for name, ends in spec["space"]}),
            unpack(spec["outcome"], arrays, "outcome"),
            spec["kind_of"],
            spec["rounds"],
            spec["events"],
            spec.get("simulator", ""),
            tuple(spec.get("parameters", ())),
        )

    def __repr__(self) -> str:
        each = f" of {self.events} events" if self.events > 1 else ""
        best = -float(self.surrogate.best_loss[0])
        return f"Policy({self.kind_of}, {self.rounds} experiments{each} in {self.space!r}, {best:.3g} nats at least in training)"

    _repr_html_ = from_repr


@eqx.filter_jit
def _take_in(rule: NetworkRule, state: Array, design: dict[str, Array], x: Array) -> Array:
    return rule.take_in(state, design, jnp.asarray(x))


@eqx.filter_jit
def _design(rule: NetworkRule, state: Array, number: Array, key: PRNGKeyArray) -> dict[str, Array]:
    return rule.design(state, number, key)
