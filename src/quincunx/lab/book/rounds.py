"""Rounds: which simulator makes how many simulations in batches of which size, written down before any is made."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select

from quincunx.errors import SimulatorChanged, UsageError
from quincunx.lab.book import schema
from quincunx.lab.book.clock import seconds
from quincunx.lab.book.fingerprint import fingerprint
from quincunx.lab.book.ledger import Ledger
from quincunx.lab.book.notes import note_within
from quincunx.lab.book.plain import json_of
from quincunx.model.simulator import Simulator
from quincunx.notebook import from_fields

__all__ = ["Round", "plan", "rounds", "use"]


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


def use(ledger: Ledger, simulator: Simulator, *, changed: bool = False) -> int:
    """The number of a simulator in the book, which is written down when it is new.

    Its fingerprint is compared with that of the run's last simulator. Whether a change is refused or, with `changed`, let pass, it is
    written down as an event.

    Raises:
        SimulatorChanged: if it differs and `changed` is not set.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
    >>> use(ledger, qx.gallery.load("two_moons").simulator)
    1
    """
    print_ = fingerprint(simulator)
    table = schema.simulator
    with ledger.database.write(decision=True) as connection:
        # Two that begin at once must not both write it down; SQLite has the lock by now.
        connection.execute(select(schema.run.c.id).where(schema.run.c.id == ledger.run).with_for_update())
        asked = select(table).where(table.c.run_id == ledger.run).order_by(table.c.id.desc()).limit(1)
        last = connection.execute(asked).first()
        if last is not None and last.fingerprint == print_:
            return int(last.id)
        if last is not None:
            facts = {"was": last.fingerprint, "is": print_, "version": simulator.version, "let pass": changed}
            note_within(connection, ledger.run, "simulator changed", facts)
        if last is None or changed:
            row = {
                "run_id": ledger.run,
                "name": simulator.name,
                "version": simulator.version,
                "fingerprint": print_,
                "parameters": json.dumps(list(simulator.prior.names)),
                "created": seconds(),
            }
            return int(connection.execute(insert(table).values(**row).returning(table.c.id)).scalar_one())
        before = f"'{last.name}' {last.version} ({last.fingerprint[:12]}...)"
    raise SimulatorChanged(
        f"got the simulator '{simulator.name}' {simulator.version} ({print_[:12]}...); expected {before}, whose simulations this run "
        "holds; put its code back, begin another run, or say that the change is meant with changed=True"
    )


def plan(
    ledger: Ledger,
    simulator: int,
    n: int,
    *,
    size: int,
    round: int = 0,
    design: Mapping[str, Any] | None = None,
    decided_by: str | None = None,
) -> int:
    """Batches of `size` for simulations 0 ... n-1 of a round; returns how many batches are new.

    A round that is there already is left as it is, and goes on behind its last batch if n is larger than before.

    Raises:
        UsageError: for a number or a size below 1, or another simulator or design than the round was begun with.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
    >>> number = use(ledger, qx.gallery.load("two_moons").simulator)
    >>> [plan(ledger, number, n, size=50) for n in (100, 100, 160)]
    [2, 0, 2]
    """
    if n < 1 or size < 1:
        raise UsageError(
            f"got {n} simulations in batches of {size}; expected at least 1 of each; choose larger numbers"
        )
    settings = json_of(design, "the design")
    with ledger.database.write(decision=True) as connection:
        connection.execute(select(schema.run.c.id).where(schema.run.c.id == ledger.run).with_for_update())
        _begin_round(connection, ledger, round, simulator, settings, decided_by)
        table = schema.batch
        mine = table.c.run_id == ledger.run, table.c.round == round
        count, there = connection.execute(
            select(func.count(), func.coalesce(func.max(table.c.first + table.c.n), 0)).where(*mine)
        ).one()
        rows = [
            {
                "run_id": ledger.run,
                "round": round,
                "idx": count + i,
                "first": first,
                "n": min(size, n - first),
                "state": "todo",
                "attempt": 0,
            }
            for i, first in enumerate(range(int(there), n, size))
        ]
        if rows:
            connection.execute(insert(table), rows)
            note_within(connection, ledger.run, "planned", {"round": round, "n": n, "size": size, "batches": len(rows)})
        return len(rows)


def _begin_round(
    connection: Connection, ledger: Ledger, round: int, simulator: int, settings: str, decided_by: str | None
) -> None:
    table = schema.round_
    there = connection.execute(select(table).where(table.c.run_id == ledger.run, table.c.round == round)).first()
    if there is None:
        row = {
            "run_id": ledger.run,
            "round": round,
            "simulator_id": simulator,
            "design": settings,
            "decided_by": decided_by,
        }
        connection.execute(insert(table).values(**row, created=seconds()))
        return
    for what, got, expected in (("design", settings, there.design), ("simulator", simulator, there.simulator_id)):
        if got != expected:
            raise UsageError(
                f"got the {what} {got} for round {round}; expected {expected}, with which it was begun; plan it as another round"
            )


def rounds(ledger: Ledger) -> list[Round]:
    """Every round in order.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
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
