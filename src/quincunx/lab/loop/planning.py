"""The two steps of a loop that are computed: what is known from a history, and what to measure next."""

from typing import Any

from jaxtyping import PRNGKeyArray

from quincunx.design import Belief, Choice, choose
from quincunx.lab.loop.believing import believe
from quincunx.lab.loop.history import History
from quincunx.lab.study import Study

__all__ = ["proposal", "update"]


def update(study: Study, history: History, key: PRNGKeyArray) -> Belief:
    """What is known from a history, made anew from the prior and all of its data."""
    return believe(study.simulator, history, key=key)


def proposal(study: Study, belief: Belief, key: PRNGKeyArray, *, first: bool = False) -> Choice:
    """The next design by a study's designer; `first` heeds the one that the designer begins with."""
    designer = study.designer
    assert designer is not None
    begin = first and designer.first is not None
    where: Any = {n: [v] for n, v in designer.first.items()} if begin and designer.first else designer.space
    return choose(
        study.simulator,
        where,
        belief=belief,
        cost=designer.cost,
        per_cost=designer.per_cost,
        events=designer.events,
        n=designer.n,
        inner=designer.inner,
        outcomes=designer.outcomes,
        key=key,
    )
