"""What is done when a run is opened again: the folder and the ledger are made to agree, whatever moment the last process ended at."""

import contextlib
import time
import warnings
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sqlalchemy import select

from quincunx.errors import CorruptFile, DataFileError, RecoveryWarning, SchemaTooNew, UnsafeFile
from quincunx.lab.book import schema
from quincunx.lab.book.leases import complete, expire, requeue_within
from quincunx.lab.book.ledger import Ledger
from quincunx.lab.book.notes import note, note_within
from quincunx.lab.book.progress import DONE
from quincunx.notebook import from_fields
from quincunx.run.durable import DRAFT, file_sha256, refusals
from quincunx.run.shards import shard_header, shard_named, shard_of

__all__ = ["GRACE", "Recovery", "recover"]

GRACE = 120.0
"""Seconds after which a file that nobody has finished or reported belongs to nobody."""

DAMAGED = ".damaged"


@dataclass(frozen=True)
class Recovery:
    """What was found and mended, by the names of files: `adopted` shards that were whole and not in the ledger; `lost` ones that were in
    the ledger and are missing or damaged, whose batches are to be done again; `damaged` ones, set aside; `strangers`, left alone, that
    belong to no batch; `removed` drafts and duplicates; and how many leases had `expired`.
    """

    adopted: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    expired: int = 0

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))

    _repr_html_ = from_fields


def recover(ledger: Ledger, *, thorough: bool = False, grace: float = GRACE) -> Recovery:
    """Make the ledger and the shards agree.

    A shard whose size and time of writing are those on record is taken to be whole, and hashed otherwise; with `thorough` all are
    hashed. It may run while others work on the run. What had to be mended is written down as an event.

    Warns with `RecoveryWarning` if shards were lost, damaged, or of no batch.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
    >>> _ = (ledger.shards / ".tmp-0").write_bytes(b"half a shard")
    >>> recover(ledger, grace=0.0).removed
    ('.tmp-0',)
    """
    expired = expire(ledger)
    removed = _remove_drafts(ledger, grace)
    lost, damaged = _check_done(ledger, thorough)
    more = _look_for_unreported(ledger, grace)
    done = Recovery(
        adopted=tuple(more["adopted"]),
        lost=tuple(lost),
        damaged=(*damaged, *more["damaged"]),
        strangers=tuple(more["strangers"]),
        removed=(*removed, *more["removed"]),
        expired=expired,
    )
    if done.adopted or done.damaged or done.removed:
        facts: dict[str, Any] = {field.name: getattr(done, field.name) for field in fields(done)}
        note(ledger, "recovered", {k: list(v)[:100] if isinstance(v, tuple) else v for k, v in facts.items()})
    if done.lost or done.damaged or done.strangers:
        warnings.warn(
            f"run '{ledger.name}': {len(done.lost)} shards on record were missing or damaged and are to be simulated again "
            f"{_some(done.lost)}; {len(done.damaged)} damaged files were set aside as *{DAMAGED}; {len(done.strangers)} files belong to "
            f"no batch and were left alone {_some(done.strangers)}",
            RecoveryWarning,
            stacklevel=3,
        )
    return done


def _remove_drafts(ledger: Ledger, grace: float) -> list[str]:
    removed = []
    with refusals(ledger.folder):
        for folder in (ledger.folder, ledger.shards, ledger.artifacts):
            for draft in folder.glob(f"{DRAFT}*"):
                if _age(draft) > grace:
                    draft.unlink(missing_ok=True)
                    removed.append(draft.name)
    return removed


def _check_done(ledger: Ledger, thorough: bool) -> tuple[list[str], list[str]]:
    batch = schema.batch
    asked = select(batch.c.id, batch.c.shard, batch.c.sha256, batch.c.size, batch.c.mtime)
    with ledger.database.read() as connection:
        rows = connection.execute(asked.where(batch.c.run_id == ledger.run, batch.c.state == DONE)).all()
    bad, touched, damaged = [], [], []
    for row in rows:
        path = ledger.shards / row.shard
        try:
            seen = path.stat()
        except FileNotFoundError:
            bad.append(row)
            continue
        if not thorough and (seen.st_size, seen.st_mtime_ns) == (row.size, row.mtime):
            continue
        if seen.st_size == row.size and file_sha256(path) == row.sha256:
            touched.append({"number": row.id, "seen": seen.st_mtime_ns})
            continue
        bad.append(row)
        damaged.append(_set_aside(path))
    if bad or touched:
        with ledger.database.write(decision=True) as connection:
            for found in touched:
                connection.execute(batch.update().where(batch.c.id == found["number"]).values(mtime=found["seen"]))
            if bad:
                requeue_within(connection, [row.id for row in bad])
                note_within(
                    connection, ledger.run, "lost", {"shards": [row.shard for row in bad][:100], "count": len(bad)}
                )
    return [row.shard for row in bad], damaged


def _look_for_unreported(ledger: Ledger, grace: float) -> dict[str, list[str]]:
    """Shards that nobody reported: adopted if a batch waits for them, else removed as duplicates, set aside, or left alone."""
    batch = schema.batch
    with ledger.database.read() as connection:
        rows = connection.execute(select(batch).where(batch.c.run_id == ledger.run)).all()
        key = connection.execute(select(schema.run.c.key).where(schema.run.c.id == ledger.run)).scalar_one()
        prints = _fingerprints(connection, ledger)
    reported = {row.shard for row in rows if row.state == DONE}
    waiting = {(row.round, row.first, row.n): row for row in rows}
    found: dict[str, list[str]] = {"adopted": [], "damaged": [], "strangers": [], "removed": []}
    for path in sorted(ledger.shards.glob("*.npz")):
        named = shard_named(path.name)
        if named is None or path.name in reported:
            continue
        row = waiting.get(named[:3])
        try:
            shard = shard_of(path)
            told = shard_header(path)["shard"]
        except DataFileError:
            continue
        except SchemaTooNew:
            found["strangers"].append(path.name)
            continue
        except (CorruptFile, UnsafeFile):
            found["damaged"].append(_set_aside(path))
            continue
        made_by = told["facts"].get("fingerprint")
        if row is None or told["key"] != key or made_by not in (None, prints.get(row.round)):
            found["strangers"].append(path.name)
        elif row.state != DONE:
            if complete(ledger, row.id, shard):
                found["adopted"].append(path.name)
        elif _age(path) > grace:
            path.unlink(missing_ok=True)
            found["removed"].append(path.name)
    return found


def _fingerprints(connection: Any, ledger: Ledger) -> dict[int, str]:
    round_, made = schema.round_, schema.simulator
    asked = select(round_.c.round, made.c.fingerprint).join(made, made.c.id == round_.c.simulator_id)
    return {row.round: row.fingerprint for row in connection.execute(asked.where(round_.c.run_id == ledger.run))}


def _set_aside(path: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        path.rename(path.with_name(path.name + DAMAGED))
    return path.name


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _some(names: tuple[str, ...]) -> str:
    return f"({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})" if names else ""
