"""The two steps of a loop that are computed: what is known from a history, and what to measure next."""

import dataclasses
from typing import Any

from jaxtyping import PRNGKeyArray

from quincunx.design import Belief, Choice, choose
from quincunx.lab.loop.believing import believe
from quincunx.lab.loop.history import History
from quincunx.lab.study import Study
from quincunx.model import Simulator

__all__ = ["proposal", "quick_simulator", "update"]

NOTHING = History(())
"""The history before the first experiment."""


def update(study: Study, history: History, key: PRNGKeyArray) -> Belief:
    """What is known from a history, made anew from the prior and all of its data."""
    assert study.designer is not None
    return believe(study.simulator, history, key=key, estimator=study.designer.estimator)


def quick_simulator(study: Study) -> Simulator:
    """What gives outcomes by the thousand: the designer's emulator, or else the simulator itself."""
    assert study.designer is not None
    return study.simulator if study.designer.emulator is None else study.designer.emulator


def proposal(
    study: Study, belief: Any, key: PRNGKeyArray | int, *, where: Any = None, history: History = NOTHING
) -> Choice:
    """The next design by a study's designer: from designs `where`, or by its policy after a history, or from its space.

    What the policy proposes is judged as any choice is. Arguments and errors as `choose`, and as `Policy.propose` for a history of other designs or
    outcomes than those that the policy was trained on.
    """
    designer = study.designer
    assert designer is not None
    policy = designer.policy if where is None else None
    if policy is not None:
        asked = policy.propose([(one.design, one.x) for one in history.experiments], key=key)
        where = {name: [value] for name, value in asked.items()}
    choice = choose(
        quick_simulator(study),
        designer.space if where is None else where,
        belief=belief,
        cost=designer.cost,
        per_cost=designer.per_cost,
        events=designer.events,
        n=designer.n,
        inner=designer.inner,
        outcomes=designer.outcomes,
        estimator=designer.estimator,
        optimiser=designer.optimiser if where is None else "auto",
        key=key,
    )
    if policy is None:
        return choice
    return dataclasses.replace(
        choice, criterion="total information, by the policy", reason="The policy proposes it after what was measured."
    )
