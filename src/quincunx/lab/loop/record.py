"""What the lab book says of a loop: each step once, whoever asks for it and however often."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import select

from quincunx.lab.book import schema
from quincunx.lab.book.notes import Event, note_within
from quincunx.lab.book.reading import Reading

__all__ = [
    "APPROVED",
    "ASIDE",
    "BEGUN",
    "BELIEVED",
    "CHANGED",
    "CHECKED",
    "FAILED",
    "OVERRULED",
    "PROPOSED",
    "REHEARSED",
    "STOPPED",
    "TOLD",
    "Record",
    "State",
]

BEGUN, PROPOSED, APPROVED, TOLD = "loop begun", "proposed", "approved", "told"
CHANGED = "designer changed"
BELIEVED, CHECKED, OVERRULED, ASIDE = "believed", "checked", "overruled", "set aside"
FAILED, STOPPED, REHEARSED = "experiment failed", "loop stopped", "rehearsed"
State = Literal["propose", "approve", "measure", "update", "needs attention", "stopped"]


@dataclass(frozen=True, eq=False)
class Record:
    """The events of a loop, as they are in the book at this moment.

    Experiments are numbered from 1 in the order in which they were told; beliefs, proposals and approvals by the moment at which they were made.
    """

    book: Reading

    def of(self, kind: str) -> list[Event]:
        """Events of one kind, oldest first."""
        return self.book.events(kind)

    def at(self, kind: str, step: int) -> Event | None:
        """The event of a kind at a step, if it has happened."""
        return next((event for event in self.of(kind) if event.facts.get("step") == step), None)

    def once(self, kind: str, step: int, facts: Mapping[str, Any]) -> tuple[bool, dict[str, Any]]:
        """Write a step down unless it is there already: whether this call wrote it, and what stands.

        Of two that write at the same time one is first, and the other is told what the first wrote.

        >>> import tempfile, quincunx as qx
        >>> record = Record(qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0))
        >>> record.once("approved", 0, {"by": "Ada"}), record.once("approved", 0, {"by": "Bob"})[1]["by"]
        ((True, {'by': 'Ada', 'step': 0}), 'Ada')
        """
        told = {**facts, "step": step}
        table, run = schema.event, self.book.ledger.run
        with self.book.ledger.database.write(decision=True) as connection:
            asked = select(table.c.facts).where(table.c.run_id == run, table.c.kind == kind).order_by(table.c.id)
            for (text,) in connection.execute(asked):
                stands = json.loads(text)
                if stands.get("step") == step:
                    return False, stands
            note_within(connection, run, kind, told)
        return True, told

    @property
    def told(self) -> list[Event]:
        """Experiments whose data are here."""
        return self.of(TOLD)

    @property
    def spent(self) -> float:
        """The cost of all that was measured."""
        return float(sum(event.facts["cost"] for event in self.told))

    @property
    def aside(self) -> frozenset[int]:
        """The experiments, from 1, that no longer count."""
        return frozenset(event.facts["step"] for event in self.of(ASIDE))

    @property
    def moment(self) -> int:
        """How often what is known has changed: by experiments that were told, and by those that were set aside."""
        return len(self.told) + len(self.aside)

    @property
    def stopped(self) -> str | None:
        """Why the loop has stopped, if it has."""
        found = self.of(STOPPED)
        return found[-1].facts["reason"] if found else None

    @property
    def awaited(self) -> Event | None:
        """The oldest approved experiment whose data are not here yet."""
        answered = {event.facts["answers"] for event in self.told if event.facts["answers"] is not None}
        return next((event for event in self.of(APPROVED) if event.facts["step"] not in answered), None)

    @property
    def in_doubt(self) -> Event | None:
        """The last failed check that nobody has overruled, of an experiment that counts."""
        overruled = {event.facts["step"] for event in self.of(OVERRULED)} | self.aside
        failed = [e for e in self.of(CHECKED) if e.facts["status"] == "fail" and e.facts["step"] not in overruled]
        return failed[-1] if failed else None

    @property
    def unchecked(self) -> list[int]:
        """The experiments, from 1, that were not compared with what the posterior expects."""
        done = {event.facts["step"] for event in self.of(CHECKED)} | self.aside
        return [step for step in range(1, len(self.told) + 1) if step not in done]

    @property
    def state(self) -> State:
        """What the loop waits for.

        >>> import tempfile, quincunx as qx
        >>> Record(qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)).state
        'propose'
        """
        if self.stopped is not None:
            return "stopped"
        if self.unchecked:
            return "update"
        if self.in_doubt is not None:
            return "needs attention"
        if self.awaited is not None:
            return "measure"
        return "propose" if self.at(PROPOSED, self.moment) is None else "approve"
