"""Several designs to be run together: jointly where there are few combinations or few settings, else one after another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import comb
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from quincunx.design.curve import Curve, costs_of
from quincunx.design.experiment import Events, Slots, event_counts
from quincunx.design.information import curve_of
from quincunx.design.optuna import Optuna
from quincunx.design.search import search_space
from quincunx.design.space import Design, Space, design_rows
from quincunx.notebook import from_fields
from quincunx.values import as_key

__all__ = ["BestBatch", "best_batch", "searched_batch"]

COMBINATIONS = 300
"""Up to so many combinations are all compared."""
TOGETHER = 10
"""Up to so many numbers are searched together."""

Climb = Callable[..., tuple[dict[str, Any], Any]]


@dataclass(frozen=True, eq=False)
class BestBatch:
    """The designs that make up the best batch and the second best, with the curve that was compared last."""

    designs: list[Design]
    runner_up: list[Design] | None
    curve: Curve
    reason: str

    _repr_html_ = from_fields


def best_batch(
    finder: Any,
    rows: Sequence[Design],
    counts: Sequence[int],
    size: int,
    *,
    costs: np.ndarray | None = None,
    weight: float | None = None,
) -> BestBatch:
    """The batch of `size` designs, repeats allowed, of highest joint information I(theta; x_1 .. x_q) on common draws; per cost, or less weight * cost, with
    `costs`.

    With at most 300 combinations all are compared; otherwise designs are added one at a time, each the best beside those chosen before, which for
    outcomes that are independent given theta reaches at least 1 - 1/e of the best joint information.
    """
    joint = comb(len(rows) + size - 1, size) <= COMBINATIONS
    largest = sum(sorted(counts)[-1:] * size)

    def compared(batches: list[tuple[int, ...]], padded: int) -> tuple[Curve, np.ndarray]:
        named = [{f"{name}[{k}]": rows[i][name] for k, i in enumerate(b) for name in rows[0]} for b in batches]
        slots = [Slots.of([rows[i] for i in b], [counts[i] for i in b], padded) for b in batches]
        curve = curve_of(finder, named, slots)
        if costs is not None:
            return curve, curve.cost_adjusted(np.asarray([costs[list(b)].sum() for b in batches]), weight=weight).value
        return curve, curve.value

    def members(batch: tuple[int, ...] | None) -> list[Design] | None:
        return None if batch is None else [rows[i] for i in batch]

    chosen: tuple[int, ...] = ()
    second = None
    for _ in range(1 if joint else size):
        batches = (
            list(combinations_with_replacement(range(len(rows)), size))
            if joint
            else [(*chosen, i) for i in range(len(rows))]
        )
        # every step has the slots of the last one, most of them empty at first, so that all share what is compiled
        curve, values = compared(batches, largest)
        order = np.argsort(-values, kind="stable")
        chosen, second = batches[order[0]], batches[order[1]] if len(batches) > 1 else None
    reason = (
        f"It is the best of all {len(batches)} batches of {size}."
        if joint
        else f"It was put together one design after another, each the best beside those before: {size} of {len(rows)}."
    )
    return BestBatch([rows[i] for i in chosen], members(second), curve, reason)


def searched_batch(
    finder: Any,
    space: Space,
    size: int,
    events: Events,
    *,
    cost: Callable[[dict[str, Any]], float] | None = None,
    weight: float | None = None,
    constraint: Callable[[dict[str, Any]], bool] | None = None,
    climb: Climb | None = None,
    optuna: Optuna | None = None,
    key: PRNGKeyArray | int,
) -> BestBatch:
    """The batch of `size` designs of a space with intervals, of highest joint information; per cost, or less weight * cost, with `cost`.

    With at most ten numbers in all the designs are searched together, by Bayesian optimisation or by `climb` (see `ascend`), or by what
    `optuna` asks for; otherwise one after another, each the best beside those before.
    """
    joint = size * space.dim <= TOGETHER
    whole = space.repeated(size)

    def searched(over: Space, together: Callable[[Design], list[Design]], slots: int | None, key: Any) -> Curve:
        return search_space(
            finder, over, lambda curve: _judged(curve, together, cost, weight), events,
            together=together, slots=slots, constraint=_all_hold(constraint, together), optuna=optuna, key=key,
        )  # fmt: skip

    if joint:

        def parted(design: Design) -> list[Design]:
            return space.parted(design, size)

        if climb is None:
            curve = searched(whole, parted, None if callable(events) else size * events, key)
        else:
            held = _all_hold(constraint, parted)
            rows = [row for row in design_rows(climb(batch=size)[0]) if held is None or held(dict(row))][:2]
            curve = curve_of(finder, rows, [Slots.of(parted(r), event_counts(events, parted(r))) for r in rows])
        order = np.argsort(-_judged(curve, parted, cost, weight).value, kind="stable")
        second = None if len(order) < 2 else parted(curve.rows[order[1]])
        return BestBatch(
            parted(curve.rows[order[0]]),
            second,
            curve,
            f"Its {size} designs were searched together, among {len(curve)} batches.",
        )
    chosen: list[Design] = []
    second = None
    for k in range(size):
        before, own = list(chosen), jax.random.fold_in(as_key(key), k)

        def beside(design: Design, before: list[Design] = before) -> list[Design]:
            return [*before, design]

        curve = searched(space, beside, None if callable(events) else size * events, own)
        order = np.argsort(-_judged(curve, beside, cost, weight).value, kind="stable")
        chosen = beside(curve.rows[order[0]])
        second = None if len(order) < 2 else beside(curve.rows[order[1]])
    return BestBatch(
        chosen,
        second,
        curve,
        f"It was put together one design after another, each the best beside those before, among {len(curve)} each time.",
    )


def _judged(curve: Curve, together: Callable[[Design], list[Design]], cost: Any, weight: float | None) -> Curve:
    if cost is None:
        return curve
    return curve.cost_adjusted(np.asarray([costs_of(cost, together(row)).sum() for row in curve.rows]), weight=weight)


def _all_hold(constraint: Any, together: Callable[[Design], list[Design]]) -> Callable[[dict[str, Any]], bool] | None:
    return None if constraint is None else lambda design: all(constraint(dict(one)) for one in together(design))
