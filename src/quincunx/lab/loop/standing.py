"""Where a loop stands and how it came there, from its record alone: nothing that simulates is needed to say it."""

import datetime
from typing import Any

from quincunx.lab.book.reading import Reading, Remembered
from quincunx.lab.loop.record import APPROVED, BEGUN, BELIEVED, CHANGED, CHECKED, PROPOSED, REHEARSED, Record

__all__ = ["loop_standing", "timeline", "widths_spent"]


def timeline(record: Record) -> list[dict[str, Any]]:
    """One row an experiment: design, who decided, events, cost, the posterior's standard deviations, the check's p-value, and whether
    it counts."""
    rows = []
    for event in record.told:
        step, facts = event.facts["step"] + 1, event.facts
        after = [one for one in record.of(BELIEVED) if one.facts["told"] == step]
        believed, checked = after[-1] if after else None, record.at(CHECKED, step)
        approved = None if facts["answers"] is None else record.at(APPROVED, facts["answers"])
        rows.append(
            {
                "experiment": step,
                "design": dict(facts["design"]),
                "decided_by": "nobody" if approved is None else approved.facts["by"],
                "overridden": None if approved is None else approved.facts["overridden"],
                "events": facts["events"],
                "cost": facts["cost"],
                "sd": None
                if believed is None
                else {name: row["sd"] for name, row in believed.facts["summary"].items()},
                "p_value": None if checked is None else checked.facts["p_value"],
                "counts": step not in record.aside,
                "told": datetime.datetime.fromtimestamp(event.t, datetime.UTC).isoformat(timespec="seconds"),
            }
        )
    return rows


def loop_standing(book: Reading) -> dict[str, Any] | None:
    """State, timeline, what is known, what was proposed and what is awaited, as plain facts; None where a run has no loop.

    >>> import tempfile, quincunx as qx
    >>> book = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)
    >>> loop_standing(book) is None
    True
    >>> study = qx.Study(qx.gallery.load("threshold").simulator, designer=qx.Designer(qx.Space(level=[-1.0, 0.0])))
    >>> _ = qx.Loop(study, book)
    >>> loop_standing(book)["state"], loop_standing(book)["rounds"]
    ('propose', 4)
    """
    # of the many events of a run without a loop none need be read
    if not book.events(BEGUN):
        return None
    record = Record(Remembered.of(book))
    begun = record.of(BEGUN)
    designer = begun[0].facts["designer"]
    changed = record.of(CHANGED)
    proposed, believed, rehearsed = (record.of(kind) for kind in (PROPOSED, BELIEVED, REHEARSED))
    awaited, doubt = record.awaited, record.in_doubt
    return {
        "state": record.state,
        "stopped": record.stopped,
        "simulator": begun[0].facts["simulator"],
        "space": designer["space"],
        "experiments": len(record.told),
        "rounds": (changed[-1].facts["designer"] if changed else designer)["rounds"],
        "spent": record.spent,
        "awaited": None if awaited is None else dict(awaited.facts),
        "in_doubt": None if doubt is None else dict(doubt.facts),
        "proposal": None if not proposed else dict(proposed[-1].facts),
        "known": None if not believed else dict(believed[-1].facts),
        "rehearsal": None if not rehearsed else dict(rehearsed[-1].facts),
        "timeline": timeline(record),
    }


def widths_spent(record: Record) -> tuple[list[str], list[float], list[list[float]]]:
    """The parameters, what was spent, and their standard deviations then: before the first experiment, and after each that was learned from."""
    rows, before = timeline(record), record.at(BELIEVED, 0)
    names = [] if before is None else list(before.facts.get("columns", before.facts["summary"]))
    cost, sd, spent = [], [], 0.0
    if before is not None:
        cost, sd = [0.0], [[before.facts["summary"][name]["sd"] for name in names]]
    for row in rows:
        spent += row["cost"]
        if row["sd"] is not None and names:
            cost.append(spent)
            sd.append([row["sd"][name] for name in names])
    return names, cost, sd
