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


def proposal(study: Study, belief: Any, key: PRNGKeyArray | int, *, where: Any = None) -> Choice:
    """The next design by a study's designer, from its space or from designs `where`; arguments and errors as `choose`."""
    designer = study.designer
    assert designer is not None
    return choose(
        study.simulator,
        designer.space if where is None else where,
        belief=belief,
        cost=designer.cost,
        per_cost=designer.per_cost,
        events=designer.events,
        n=designer.n,
        inner=designer.inner,
        outcomes=designer.outcomes,
        optimiser=designer.optimiser if where is None else "auto",
        key=key,
    )
