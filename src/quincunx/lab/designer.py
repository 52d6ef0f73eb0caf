"""How the next experiment is chosen, what it costs, and when to stop: the part of a study that its loop follows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from quincunx.design import Optuna, Policy, Space
from quincunx.errors import UsageError
from quincunx.model import Simulator
from quincunx.notebook import from_fields

__all__ = ["Designer"]


@dataclass(frozen=True, eq=False)
class Designer:
    """The settings that may be chosen, the events and the cost of an experiment, and the rules by which a loop stops.

    Args:
        space: the settings, as a `Space`.
        events: independent events in one experiment: a number, or a function of the design where running time is what is given.
        cost: a function of a design; the number of experiments is what is spent without one. per_cost: choose by information per cost.
        rounds: experiments at most. budget: cost at most. target_sd: stop when the posterior's standard deviations are below these, by name.
        least: stop when two proposals running promise less information than this, in nats (per cost with per_cost).
        first: the settings of the first experiment, instead of a proposal.
        surprise: data less probable than this under the posterior predictive stop the loop until someone has looked.
        patience: seconds that an experiment may take. n, inner: outer and inner draws for the information of a design (see `eig`).
        outcomes: all outcomes of one event, where they are finitely many, so that informations are sums over them.
        optimiser: how the space is searched (see `choose`).
        estimator: a learned likelihood or ratio, where the simulator states none: see `quincunx.lab.learn_likelihood`.
        emulator: a fast simulator that stands for the study's where designs are compared and data are checked: see `quincunx.lab.emulator`.
        policy: what was learned by `quincunx.design.train_policy` in the same space: it proposes, in no time, in the place of a search.

    Raises:
        UsageError: for numbers that cannot be, or a policy of another space, other events or fewer rounds.
        DesignOutsideSpace, NameMismatch: for a first design that the space does not allow.

    >>> Designer(Space(energy=(40.0, 50.0)), events=20, first={"energy": 47.0}).rounds
    4
    """

    space: Space
    events: int | Callable[[dict[str, Any]], int] = 1
    cost: Callable[[dict[str, Any]], float] | None = None
    per_cost: bool = False
    rounds: int = 4
    budget: float | None = None
    target_sd: Mapping[str, float] = field(default_factory=dict)
    least: float | None = None
    first: Mapping[str, Any] | None = None
    surprise: float = 1e-3
    patience: float | None = None
    n: int = 512
    inner: int = 256
    outcomes: Any = None
    optimiser: str | Optuna = "auto"
    policy: Policy | None = None
    estimator: Any = None
    emulator: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.space, Space):
            raise UsageError(
                f"got {type(self.space).__name__} as space; expected a Space; write Space(dose=(0.0, 10.0))"
            )
        if self.rounds < 1 or not 0.0 <= self.surprise < 1.0:
            raise UsageError(
                f"got rounds={self.rounds}, surprise={self.surprise}; expected at least one round and a probability below 1"
            )
        if self.emulator is not None and not isinstance(self.emulator, Simulator):
            raise UsageError(
                f"got {type(self.emulator).__name__} as emulator; expected a Simulator; write emulator=quincunx.lab.emulator(simulator, estimator)"
            )
        if self.per_cost and self.cost is None:
            raise UsageError("got per_cost without a cost; expected one; pass cost=function of a design")
        if self.budget is not None and not self.budget > 0:
            raise UsageError(f"got budget={self.budget}; expected more than zero; leave it out for none")
        if self.policy is not None:
            self._check_policy(self.policy)
        if self.first is not None:
            object.__setattr__(self, "first", self.space.check(self.first))

    def _check_policy(self, policy: Policy) -> None:
        own, its = (self.space.bounds, self.events, self.rounds), (policy.space.bounds, policy.events, policy.rounds)
        if own[:2] != its[:2] or self.space.constraints or own[2] > its[2]:
            raise UsageError(
                f"got a policy of {its[2]} rounds of {its[1]} events in {policy.space!r}, for {own[2]} rounds of {own[1]} events in {self.space!r}; "
                "expected the same space and events and at least as many rounds; train one for this designer"
            )

    @property
    def beginning(self) -> dict[str, Any] | None:
        """The only design of the first experiment, as designs to choose from; None if it is to be chosen."""
        return None if self.first is None else {name: [value] for name, value in self.first.items()}

    def events_at(self, design: Mapping[str, Any]) -> int:
        """How many events an experiment at a design has.

        Raises:
            UsageError: if that is no positive whole number.
        """
        found = self.events(dict(design)) if callable(self.events) else self.events
        if int(found) != found or found < 1:
            raise UsageError(f"got {found} events at {dict(design)}; expected a whole number, at least 1")
        return int(found)

    def cost_of(self, design: Mapping[str, Any]) -> float:
        """What an experiment at a design costs: 1 without a cost."""
        return 1.0 if self.cost is None else float(self.cost(dict(design)))

    def describe(self) -> dict[str, Any]:
        """Plain facts for the lab book."""
        return {
            "space": repr(self.space),
            "events": "by design" if callable(self.events) else self.events,
            "per_cost": self.per_cost,
            "rounds": self.rounds,
            "budget": self.budget,
            "target_sd": dict(self.target_sd),
            "least": self.least,
            # as JSON gives them back
            "first": None
            if self.first is None
            else {name: list(value) if isinstance(value, tuple) else value for name, value in self.first.items()},
            "surprise": self.surprise,
            "policy": None if self.policy is None else repr(self.policy),
            "estimator": None if self.estimator is None else type(self.estimator).__name__,
            "emulator": None if self.emulator is None else self.emulator.name,
        }

    _repr_html_ = from_fields
