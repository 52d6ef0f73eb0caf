"""Batches and who works on them: leased for a time, renewed, given back, and done once by whoever is first.

A lease does not lock anything out: it keeps two from doing the same work at the same time, by the database's clock. Work done twice
is harmless, since a batch's simulations depend on its round and its numbers alone, and the first shard to be reported is the batch's.
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, and_, insert, or_, select, update

from quincunx.errors import ChecksumMismatch, DataFileError, LeaseLost, UnknownRun, UsageError
from quincunx.lab.book import schema
from quincunx.lab.book.clock import seconds
from quincunx.lab.book.ledger import Ledger
from quincunx.lab.book.owner import is_dead
from quincunx.lab.book.progress import DONE, FAILED, LEASED, TO_DO
from quincunx.notebook import from_fields
from quincunx.run.durable import file_sha256
from quincunx.run.shards import Shard, read_groups, shard_header
from quincunx.run.status import NAMES, OK

__all__ = [
    "Lease",
    "complete",
    "expire",
    "fail",
    "lease",
    "release",
    "renew",
    "requeue",
]

_KEPT = 1000
"""So many failed simulations of a batch are written down one by one; the shard holds all."""

_batch = schema.batch


@dataclass(frozen=True)
class Lease:
    """A batch to work on: simulations `first` ... `first + n - 1` of `round`, for `owner`, until `until` by the database's clock.

    `attempt` counts how often the batch was begun; it tells a lease from an earlier one of the same batch.
    """

    batch: int
    round: int
    idx: int
    first: int
    n: int
    attempt: int
    owner: str
    until: float

    _repr_html_ = from_fields


def lease(ledger: Ledger, owner: str, duration: float, *, round: int | None = None) -> Lease | None:
    """The next batch that is to be done, or whose lease has run out; None when there is none now.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
    >>> from quincunx.lab.book.rounds import plan, use
    >>> _ = plan(ledger, use(ledger, qx.gallery.load("two_moons").simulator), 100, size=50)
    >>> [held.first if (held := lease(ledger, "Ada", 60.0)) else None for _ in range(3)]
    [0, 50, None]
    """
    here = [_batch.c.run_id == ledger.run] + ([] if round is None else [_batch.c.round == round])
    # Two questions, each answered by the index alone, however many batches are done.
    waiting = _batch.c.state == TO_DO
    expired = and_(_batch.c.state == LEASED, _batch.c.lease_until < seconds())
    with ledger.database.write() as connection:
        for free in (waiting, expired):
            asked = (
                select(_batch.c.id).where(*here, free).order_by(_batch.c.id).limit(1).with_for_update(skip_locked=True)
            )
            found = connection.execute(asked).scalar()
            if found is None:
                continue
            changed = {
                "state": LEASED,
                "owner": owner,
                "attempt": _batch.c.attempt + 1,
                "t_start": seconds(),
                "said": None,
            }
            taken = update(_batch).where(_batch.c.id == found).values(**changed, lease_until=seconds() + duration)
            row = connection.execute(taken.returning(_batch)).one()
            return Lease(row.id, row.round, row.idx, row.first, row.n, row.attempt, owner, row.lease_until)
    return None


def renew(ledger: Ledger, held: Lease, duration: float) -> Lease:
    """The same lease for `duration` seconds from now, also if it ran out and nobody took the batch.

    Raises:
        LeaseLost: if the batch was given to another, or is done.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
    >>> from quincunx.lab.book.rounds import plan, use
    >>> _ = plan(ledger, use(ledger, qx.gallery.load("two_moons").simulator), 100, size=50)
    >>> held = lease(ledger, "Ada", 60.0)
    >>> renew(ledger, held, 600.0).until > held.until
    True
    """
    with ledger.database.write() as connection:
        longer = update(_batch).where(*_is(held)).values(lease_until=seconds() + duration)
        until = connection.execute(longer.returning(_batch.c.lease_until)).scalar()
    if until is None:
        raise LeaseLost(
            f"the lease of batch {held.idx} of round {held.round} (attempt {held.attempt}) is lost: another took it after it ran out, or "
            "it is done; expected it to be renewed in time; stop working on it, or finish and report it: the first report counts"
        )
    return replace(held, until=until)


def release(ledger: Ledger, held: Lease) -> bool:
    """Give a batch back undone, as if it had not been begun; False if the lease was lost before.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
    >>> from quincunx.lab.book.rounds import plan, use
    >>> from quincunx.lab.book.progress import states
    >>> _ = plan(ledger, use(ledger, qx.gallery.load("two_moons").simulator), 100, size=50)
    >>> held = lease(ledger, "Ada", 60.0)
    >>> release(ledger, held), states(ledger)["todo"]
    (True, 2)
    """
    with ledger.database.write() as connection:
        back = {"state": TO_DO, "owner": None, "lease_until": None, "t_start": None, "attempt": _batch.c.attempt - 1}
        return connection.execute(update(_batch).where(*_is(held)).values(**back)).rowcount == 1


def fail(ledger: Ledger, held: Lease, said: str, *, again: bool = False) -> bool:
    """Report that a batch cannot be done and why: it is put aside as failed or, with `again`, back to be done by another.

    False if the lease was lost before.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
    >>> from quincunx.lab.book.rounds import plan, use
    >>> from quincunx.lab.book.progress import states
    >>> _ = plan(ledger, use(ledger, qx.gallery.load("two_moons").simulator), 100, size=50)
    >>> fail(ledger, lease(ledger, "Ada", 60.0), "no licence"), states(ledger)["failed"]
    (True, 1)
    """
    with ledger.database.write() as connection:
        back = {
            "state": TO_DO if again else FAILED,
            "owner": None,
            "lease_until": None,
            "said": said[-20_000:],
            "t_end": seconds(),
        }
        return connection.execute(update(_batch).where(*_is(held)).values(**back)).rowcount == 1


def complete(ledger: Ledger, batch: Lease | int, shard: Shard) -> bool:
    """Report that a batch is done; True for the first report of it, False for a later one, whose shard is removed if it differs.

    Who reports needs no lease that still holds. The shard's file is hashed first, and its failed simulations are written down.

    Raises:
        DataFileError: if the file is not there. ChecksumMismatch: if its bytes are not those of the report.
        UsageError: if it holds other simulations than the batch's. UnknownRun: if there is no such batch.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
    >>> from quincunx.lab.book.rounds import plan, use
    >>> _ = plan(ledger, use(ledger, qx.gallery.load("two_moons").simulator), 100, size=50)
    >>> held = lease(ledger, "Ada", 60.0)
    >>> sims = qx.run.Simulations.of({"a": np.zeros(50)}, np.ones((50, 2)))
    >>> shard = qx.run.write_shard(sims, ledger.shards, key=0)
    >>> complete(ledger, held, shard), complete(ledger, held, shard)
    (True, False)
    """
    number = batch.batch if isinstance(batch, Lease) else batch
    path = ledger.shards / shard.name
    if not path.is_file():
        raise DataFileError(
            f"got '{path}', which is not a file; expected the shard that is reported; write it there first"
        )
    if (found := file_sha256(path)) != shard.sha256:
        raise ChecksumMismatch(
            f"'{path}' has the SHA-256 {found[:16]}...; expected {shard.sha256[:16]}...; simulate it again"
        )
    seen = path.stat()
    failed = _failures(ledger, shard) if shard.failed else []
    with ledger.database.write() as connection:
        row = connection.execute(select(_batch).where(*_in(ledger, number)).with_for_update()).first()
        if row is None:
            raise UnknownRun(
                f"there is no batch {number} in run '{ledger.name}'; expected a leased one; lease it first"
            )
        _check_fits(row, shard)
        first = row.state != DONE
        if first:
            # Whoever began last did not necessarily finish first.
            owner = batch.owner if isinstance(batch, Lease) else row.owner
            changed = {
                "state": DONE,
                "owner": owner,
                "lease_until": None,
                "t_end": seconds(),
                "shard": shard.name,
                "said": None,
            }
            told = {
                "sha256": shard.sha256,
                "size": shard.size,
                "mtime": seen.st_mtime_ns,
                "rows": shard.rows,
                "failed": shard.failed,
            }
            connection.execute(update(_batch).where(_batch.c.id == number).values(**changed, **told))
            _write_failures(connection, number, failed)
            _write_artifact(connection, ledger, shard)
    if not first and row.shard != shard.name:
        with contextlib.suppress(OSError):
            path.unlink()
    return first


def expire(ledger: Ledger) -> int:
    """Put batches back whose lease has run out or whose owner is known to have ended; returns how many.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
    >>> from quincunx.lab.book.rounds import plan, use
    >>> _ = plan(ledger, use(ledger, qx.gallery.load("two_moons").simulator), 100, size=50)
    >>> held = lease(ledger, "Ada", -1.0)
    >>> expire(ledger), expire(ledger)
    (1, 0)
    """
    with ledger.database.write() as connection:
        held = select(_batch.c.owner).where(_batch.c.run_id == ledger.run, _batch.c.state == LEASED).distinct()
        dead = [owner for owner in connection.execute(held).scalars() if owner and is_dead(owner)]
        over = or_(_batch.c.lease_until < seconds(), _batch.c.owner.in_(dead))
        # One after the other in order, past those that someone is just dealing with: two who do this do not block each other.
        lost = (
            select(_batch.c.id)
            .where(_batch.c.run_id == ledger.run, _batch.c.state == LEASED, over)
            .order_by(_batch.c.id)
        )
        numbers = connection.execute(lost.with_for_update(skip_locked=True)).scalars().all()
        back = {"state": TO_DO, "owner": None, "lease_until": None}
        return connection.execute(update(_batch).where(_batch.c.id.in_(numbers)).values(**back)).rowcount


def requeue(ledger: Ledger, batches: list[int] | None = None) -> int:
    """Put batches that failed back to be done, those numbered or all; returns how many.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
    >>> from quincunx.lab.book.rounds import plan, use
    >>> from quincunx.lab.book.progress import states
    >>> _ = plan(ledger, use(ledger, qx.gallery.load("two_moons").simulator), 100, size=50)
    >>> _ = fail(ledger, lease(ledger, "Ada", 60.0), "no licence")
    >>> requeue(ledger), states(ledger)["todo"]
    (1, 2)
    """
    mine = [_batch.c.run_id == ledger.run, _batch.c.state == FAILED]
    mine += [] if batches is None else [_batch.c.id.in_(batches)]
    with ledger.database.write() as connection:
        numbers = connection.execute(select(_batch.c.id).where(*mine)).scalars().all()
        return requeue_within(connection, list(numbers))


def requeue_within(connection: Connection, numbers: list[int]) -> int:
    """Put batches back in a transaction that does something else as well."""
    empty = dict.fromkeys(
        ("owner", "lease_until", "shard", "sha256", "size", "mtime", "rows", "failed", "t_start", "t_end")
    )
    connection.execute(schema.failure.delete().where(schema.failure.c.batch_id.in_(numbers)))
    return connection.execute(update(_batch).where(_batch.c.id.in_(numbers)).values(state=TO_DO, **empty)).rowcount


def _is(held: Lease) -> tuple[Any, ...]:
    table = _batch.c
    return table.id == held.batch, table.state == LEASED, table.owner == held.owner, table.attempt == held.attempt


def _in(ledger: Ledger, number: int) -> tuple[Any, ...]:
    return _batch.c.id == number, _batch.c.run_id == ledger.run


def _check_fits(row: Row[Any], shard: Shard) -> None:
    got, expected = (shard.round, shard.first, shard.rows), (row.round, row.first, row.n)
    if got != expected:
        raise UsageError(
            f"got a shard of {got[2]} simulations from {got[1]} of round {got[0]} for batch {row.idx}; expected {expected[2]} from "
            f"{expected[1]} of round {expected[0]}; report the shard of this batch"
        )


def _failures(ledger: Ledger, shard: Shard) -> list[dict[str, Any]]:
    path = ledger.shards / shard.name
    part = read_groups(path, ("theta", "status", "index"))
    said: Mapping[str, str] = shard_header(path)["spec"]["messages"]
    return [
        {
            "sim_index": int(part["index"][row]),
            "theta": json.dumps({name: np.asarray(value[row]).tolist() for name, value in part["theta"].items()}),
            "status": NAMES[part["status"][row]],
            "said": said.get(str(row)),
        }
        for row in np.flatnonzero(part["status"] != OK)[:_KEPT]
    ]


def _write_failures(connection: Connection, number: int, rows: list[dict[str, Any]]) -> None:
    connection.execute(schema.failure.delete().where(schema.failure.c.batch_id == number))
    if rows:
        connection.execute(insert(schema.failure).values(batch_id=number), rows)


def _write_artifact(connection: Connection, ledger: Ledger, shard: Shard) -> None:
    table = schema.artifact
    there = select(table.c.kind).where(table.c.run_id == ledger.run, table.c.sha256 == shard.sha256)
    if connection.execute(there).first() is None:
        facts = json.dumps({"round": shard.round, "first": shard.first, "rows": shard.rows})
        row = {
            "run_id": ledger.run,
            "sha256": shard.sha256,
            "kind": "shard",
            "path": f"shards/{shard.name}",
            "facts": facts,
        }
        connection.execute(insert(table).values(**row, created=seconds()))
