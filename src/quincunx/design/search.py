"""Search a space that is too large for a grid, and compare what was looked at on common draws."""

from collections.abc import Callable

from jaxtyping import PRNGKeyArray

from quincunx.design.bayesopt import maximise
from quincunx.design.curve import Curve
from quincunx.design.experiment import Events, Slots, event_counts
from quincunx.design.found import Found
from quincunx.design.information import curve_from
from quincunx.design.space import Space

__all__ = ["search_space"]

BUDGET = 12
"""How many designs are looked at for each setting, at most sixty."""


def search_space(
    finder: Callable[[Slots], Found],
    space: Space,
    utility: Callable[[Curve], Curve],
    events: Events,
    *,
    constraint: Callable[[dict[str, float]], bool] | None = None,
    key: PRNGKeyArray | int,
) -> Curve:
    """The curve over the designs that Bayesian optimisation of the utility looked at, all on the same draws."""
    rows: list[dict[str, float]] = []
    found: list[Found] = []

    def look(design: dict[str, float]) -> tuple[float, float]:
        one = finder(Slots.of([design], event_counts(events, [design])))
        rows.append(design)
        found.append(one)
        judged = utility(curve_from([design], [one]))
        return float(judged.value[0]), float(judged.se[0])

    maximise(look, space, budget=min(60, BUDGET * space.dim), constraint=constraint, key=key)
    return curve_from(rows, found)
