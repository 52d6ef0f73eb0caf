"""What is noted beside the simulations: events, metrics, and how simulations failed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, insert, select

from quincunx.lab.book import schema
from quincunx.lab.book.clock import seconds
from quincunx.lab.book.ledger import Ledger
from quincunx.lab.book.plain import json_of
from quincunx.notebook import from_fields

__all__ = ["Event", "Failure", "events", "failures", "measure", "metrics", "note", "note_within"]


@dataclass(frozen=True)
class Event:
    """Something that happened: its number, when (seconds since 1970), of what kind, and the facts."""

    id: int
    t: float
    kind: str
    facts: Mapping[str, Any]

    _repr_html_ = from_fields


@dataclass(frozen=True)
class Failure:
    """A simulation without a finite outcome: its round and number, its parameters, how it went, and what it said."""

    round: int
    index: int
    theta: Mapping[str, Any]
    status: str
    said: str | None

    _repr_html_ = from_fields


def note(ledger: Ledger, kind: str, facts: Mapping[str, Any], *, decision: bool = False) -> None:
    """Write an event down.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
    >>> note(ledger, "chosen", {"by": "Ada"})
    >>> events(ledger, kind="chosen")[0].facts
    {'by': 'Ada'}
    """
    with ledger.database.write(decision=decision) as connection:
        note_within(connection, ledger.run, kind, facts)


def note_within(connection: Connection, run: int, kind: str, facts: Mapping[str, Any]) -> None:
    """Write an event down in a transaction that does something else as well."""
    text = json_of(facts, f"the facts of '{kind}'")
    connection.execute(insert(schema.event).values(run_id=run, t=seconds(), kind=kind, facts=text))


def events(ledger: Ledger, *, kind: str | None = None, after: int = 0, last: int | None = None) -> list[Event]:
    """The run's events in order, of one kind or all, after the one numbered `after`; with `last` only so many of the newest.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
    >>> note(ledger, "begun", {})
    >>> [event.kind for event in events(ledger)]
    ['begun']
    """
    table = schema.event
    asked = select(table).where(table.c.run_id == ledger.run, table.c.id > after).order_by(table.c.id)
    if kind is not None:
        asked = asked.where(table.c.kind == kind)
    if last is not None:
        asked = asked.order_by(None).order_by(table.c.id.desc()).limit(last)
    with ledger.database.read() as connection:
        rows = connection.execute(asked).mappings().all()
    if last is not None:
        rows = rows[::-1]
    return [Event(row["id"], row["t"], row["kind"], json.loads(row["facts"])) for row in rows]


def measure(ledger: Ledger, step: int, values: Mapping[str, float]) -> None:
    """Write numbers down that belong to a step.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
    >>> measure(ledger, 0, {"loss": 2.0})
    >>> metrics(ledger)["loss"]["value"]
    array([2.])
    """
    rows = [
        # NaN is no number in SQLite, which keeps it as nothing at all; so does PostgreSQL, by our asking.
        {"run_id": ledger.run, "step": step, "name": name, "value": None if np.isnan(value) else float(value)}
        for name, value in values.items()
    ]
    if rows:
        with ledger.database.write() as connection:
            connection.execute(insert(schema.metric).values(t=seconds()), rows)


def metrics(ledger: Ledger, name: str | None = None) -> dict[str, dict[str, np.ndarray]]:
    """For each metric the arrays `step`, `value` and `t`, in the order of writing.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
    >>> metrics(ledger)
    {}
    """
    table = schema.metric
    asked = select(table).where(table.c.run_id == ledger.run).order_by(table.c.name, table.c.id)
    if name is not None:
        asked = asked.where(table.c.name == name)
    found: dict[str, list[tuple[int, float, float]]] = {}
    with ledger.database.read() as connection:
        for row in connection.execute(asked).mappings():
            value = float("nan") if row["value"] is None else row["value"]
            found.setdefault(row["name"], []).append((row["step"], value, row["t"]))
    return {
        metric: {
            "step": np.array([step for step, _, _ in rows], np.int64),
            "value": np.array([value for _, value, _ in rows], np.float64),
            "t": np.array([t for _, _, t in rows], np.float64),
        }
        for metric, rows in found.items()
    }


def failures(ledger: Ledger, round: int | None = None) -> list[Failure]:
    """The simulations that failed in batches that are done, in order of round and number.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
    >>> failures(ledger)
    []
    """
    batch, table = schema.batch, schema.failure
    asked = (
        select(batch.c.round, table)
        .join(batch, batch.c.id == table.c.batch_id)
        .where(batch.c.run_id == ledger.run)
        .order_by(batch.c.round, table.c.sim_index)
    )
    if round is not None:
        asked = asked.where(batch.c.round == round)
    with ledger.database.read() as connection:
        return [
            Failure(row.round, row.sim_index, json.loads(row.theta), row.status, row.said)
            for row in connection.execute(asked)
        ]
