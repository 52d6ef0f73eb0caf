"""What was planned, round by round."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from quincunx.lab.book import schema
from quincunx.lab.book.ledger import Ledger
from quincunx.notebook import from_fields

__all__ = ["Round", "rounds"]


@dataclass(frozen=True)
class Round:
    """A round as it was planned: its number and design, who decided it, when, which simulator makes it, and how many simulations."""

    round: int
    design: Mapping[str, Any]
    decided_by: str | None
    created: float
    simulator: str
    version: str
    fingerprint: str
    n: int

    _repr_html_ = from_fields


def rounds(ledger: Ledger) -> list[Round]:
    """Every round in order.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
    >>> from quincunx.lab.book.rounds import plan, use
    >>> _ = plan(ledger, use(ledger, qx.gallery.load("two_moons").simulator), 100, size=50)
    >>> [(made.round, made.n, made.simulator) for made in rounds(ledger)]
    [(0, 100, 'two_moons')]
    """
    table, made, batch = schema.round_, schema.simulator, schema.batch
    n = (
        select(func.coalesce(func.sum(batch.c.n), 0))
        .where(batch.c.run_id == table.c.run_id, batch.c.round == table.c.round)
        .scalar_subquery()
        .label("n")
    )
    asked = (
        select(
            table.c.round,
            table.c.design,
            table.c.decided_by,
            table.c.created,
            made.c.name,
            made.c.version,
            made.c.fingerprint,
            n,
        )
        .join(made, made.c.id == table.c.simulator_id)
        .where(table.c.run_id == ledger.run)
        .order_by(table.c.round)
    )
    with ledger.database.read() as connection:
        return [
            Round(r.round, json.loads(r.design), r.decided_by, r.created, r.name, r.version, r.fingerprint, r.n)
            for r in connection.execute(asked)
        ]
