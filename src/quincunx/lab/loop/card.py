"""What a loop says of itself, as text and in a notebook, from its lab book alone: nothing is computed for a look."""

from typing import TYPE_CHECKING, Any

from quincunx.design.space import brief
from quincunx.notebook import card

if TYPE_CHECKING:
    from quincunx.lab.loop.loop import Loop

_HEAD = ["experiment", "design", "by", "events", "cost", "sd after", "p-value"]


def loop_text(loop: "Loop") -> str:
    """One line: how many experiments were told, and what the loop waits for."""
    return f"Loop on {loop.study.simulator.name}: {len(loop.record.told)} experiments told, {loop.state}"


def loop_card(loop: "Loop") -> str:
    """The state, what was spent, and a row for each experiment."""
    facts = [("spent", f"{loop.spent:g} of {loop.designer.budget or loop.designer.rounds:g}")]
    facts += [] if loop.record.stopped is None else [("stopped", loop.record.stopped)]
    doubt = loop.record.in_doubt
    warnings = [] if doubt is None else [f"no parameter explains the data of experiment {doubt.facts['step']}"]
    return card(loop_text(loop), facts=facts, head=_HEAD, body=list(map(_row, loop.timeline())), warnings=warnings)


def _row(row: dict[str, Any]) -> list[str]:
    said = ", ".join(f"{name} = {brief(value)}" for name, value in row["design"].items())
    sd = ", ".join(f"{name} {value:.3g}" for name, value in (row["sd"] or {}).items())
    p_value = "" if row["p_value"] is None else f"{row['p_value']:.2g}"
    step = f"{row['experiment']}" if row["counts"] else f"{row['experiment']} (set aside)"
    return [step, said, str(row["decided_by"]), f"{row['events']:g}", f"{row['cost']:.4g}", sd, p_value]
