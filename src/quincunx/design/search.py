"""Search a space that is too large for a grid, and compare what was looked at on common draws."""

from collections.abc import Callable
from typing import Any

from jaxtyping import PRNGKeyArray

from quincunx.design.bayesopt import maximise
from quincunx.design.curve import Curve
from quincunx.design.experiment import Events, Slots, event_counts
from quincunx.design.found import Found
from quincunx.design.information import curve_from
from quincunx.design.optuna import Optuna
from quincunx.design.space import Design, Space

__all__ = ["search_space"]

BUDGET = 12
"""How many designs are looked at for each setting, at most sixty."""


def search_space(
    finder: Callable[[Slots], Found],
    space: Space,
    utility: Callable[[Curve], Curve],
    events: Events,
    *,
    together: Callable[[Design], list[Design]] | None = None,
    slots: int | None = None,
    constraint: Callable[[dict[str, Any]], bool] | None = None,
    optuna: Optuna | None = None,
    key: PRNGKeyArray | int,
) -> Curve:
    """The curve over the designs that Bayesian optimisation of the utility looked at, all on the same draws; or those that `optuna` asked for.

    `together` gives the designs that a point of the space stands for, which are run together; itself alone otherwise. They are padded to `slots` events.
    """
    rows: list[Design] = []
    found: list[Found] = []

    def look(design: Design) -> tuple[float, float]:
        designs = [design] if together is None else together(design)
        one = finder(Slots.of(designs, event_counts(events, designs), slots))
        rows.append(design)
        found.append(one)
        judged = utility(curve_from([design], [one]))
        return float(judged.value[0]), float(judged.se[0])

    if optuna is None:
        maximise(look, space, budget=min(60, BUDGET * space.dim), constraint=constraint, key=key)
    else:
        optuna.maximise(look, space, constraint=constraint, key=key)
    return curve_from(rows, found)
