"""When a loop has done enough: one rule after another, the first that holds in words."""

from collections.abc import Mapping, Sequence
from typing import Any

from quincunx.lab.designer import Designer

__all__ = ["reason_to_stop"]

_ZERO = 1e-3


def reason_to_stop(
    designer: Designer, *, told: int, spent: float, sd: Mapping[str, float], promised: Sequence[Mapping[str, Any]]
) -> str | None:
    """Why to stop after `told` experiments, or None: rounds, budget, target, promises below `least` twice, or nothing to learn.

    `promised` are the proposals that were chosen, oldest first, with `information` and `cost`.

    >>> from quincunx.design import Space
    >>> reason_to_stop(Designer(Space(d=(0.0, 1.0)), rounds=3), told=3, spent=3.0, sd={}, promised=[])
    'all 3 experiments are done'
    """
    if told >= designer.rounds:
        return f"all {designer.rounds} experiments are done"
    if designer.budget is not None and spent >= designer.budget:
        return f"the budget of {designer.budget:g} is spent"
    if designer.target_sd and all(sd[name] <= bound for name, bound in designer.target_sd.items()):
        return "the posterior is as narrow as was asked for"
    worth = [p["information"]["value"] / (p["cost"] if designer.per_cost else 1.0) for p in promised[-2:]]
    if designer.least is not None and len(worth) == 2 and max(worth) < designer.least:
        unit = "nats per cost" if designer.per_cost else "nats"
        return f"two proposals running promised less than {designer.least:g} {unit}"
    if promised and promised[-1]["information"]["value"] + 2.0 * promised[-1]["information"]["se"] < _ZERO:
        return "no experiment that may be chosen is expected to teach anything"
    return None
