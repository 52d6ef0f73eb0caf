"""Several designs to be run together: jointly where there are few combinations, else one after another."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import comb
from typing import Any

import numpy as np

from quincunx.design.curve import Curve
from quincunx.design.experiment import Slots
from quincunx.design.information import curve_of
from quincunx.notebook import from_fields

__all__ = ["BestBatch", "best_batch"]

COMBINATIONS = 300
"""Up to so many combinations are all compared."""


@dataclass(frozen=True, eq=False)
class BestBatch:
    """The numbers of the designs that make up the best batch and the second best, with the curve that was compared last."""

    members: tuple[int, ...]
    runner_up: tuple[int, ...] | None
    curve: Curve
    reason: str

    _repr_html_ = from_fields


def best_batch(
    finder: Any,
    rows: Sequence[dict[str, float]],
    counts: Sequence[int],
    size: int,
    *,
    costs: np.ndarray | None = None,
    per_cost: bool = False,
    weight: float | None = None,
) -> BestBatch:
    """The batch of `size` designs, repeats allowed, of highest joint information I(theta; x_1 .. x_q) on common draws.

    With at most 300 combinations all are compared; otherwise designs are added one at a time, each the best beside those chosen before, which for
    outcomes that are independent given theta reaches at least 1 - 1/e of the best joint information.
    """
    joint = comb(len(rows) + size - 1, size) <= COMBINATIONS
    largest = sum(sorted(counts)[-1:] * size)

    def compared(batches: list[tuple[int, ...]], padded: int) -> tuple[Curve, np.ndarray]:
        named = [{f"{name}[{k}]": rows[i][name] for k, i in enumerate(b) for name in rows[0]} for b in batches]
        slots = [Slots.of([rows[i] for i in b], [counts[i] for i in b], padded) for b in batches]
        curve = curve_of(finder, named, slots)
        if costs is not None and (per_cost or weight is not None):
            return curve, curve.cost_adjusted(np.asarray([costs[list(b)].sum() for b in batches]), weight=weight).value
        return curve, curve.value

    if joint:
        batches = list(combinations_with_replacement(range(len(rows)), size))
        curve, values = compared(batches, largest)
        order = np.argsort(-values, kind="stable")
        second = batches[order[1]] if len(batches) > 1 else None
        return BestBatch(batches[order[0]], second, curve, f"It is the best of all {len(batches)} batches of {size}.")
    chosen: tuple[int, ...] = ()
    second = None
    for _ in range(size):
        batches = [(*chosen, i) for i in range(len(rows))]
        # every step has the slots of the last one, most of them empty at first, so that all share what is compiled
        curve, values = compared(batches, largest)
        order = np.argsort(-values, kind="stable")
        chosen, second = batches[order[0]], batches[order[1]] if len(batches) > 1 else None
    return BestBatch(
        chosen,
        second,
        curve,
        f"It was put together one design after another, each the best beside those before: {size} of {len(rows)}.",
    )
