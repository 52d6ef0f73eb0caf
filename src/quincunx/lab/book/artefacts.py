"""Networks, posteriors, figures and reports, kept by the hash of their bytes, with what each was made from."""

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select

from quincunx.errors import ChecksumMismatch, DataFileError, UnknownRun, UsageError
from quincunx.lab.book import schema
from quincunx.lab.book.clock import seconds
from quincunx.lab.book.ledger import Ledger
from quincunx.lab.book.plain import json_of
from quincunx.notebook import from_fields
from quincunx.run.durable import file_sha256, write_durably

__all__ = ["Artefact", "artefact_file", "artefacts", "keep"]


@dataclass(frozen=True)
class Artefact:
    """Something kept: its hash, what kind of thing it is, where it lies in the run's folder, and what is told of it."""

    sha256: str
    kind: str
    path: str
    facts: Mapping[str, Any]
    created: float

    _repr_html_ = from_fields


def keep(
    ledger: Ledger,
    thing: Any,
    kind: str,
    *,
    name: str | None = None,
    parents: Iterable[str] = (),
    facts: Mapping[str, Any] | None = None,
) -> str:
    """Keep a file, bytes, or any value that can be saved; returns its SHA-256, by which it is found again.

    The same bytes kept twice are one artefact, with the parents of both times.

    Raises:
        DataFileError: if a path is no file. UnknownRun: if a parent is not in the book.
        UsageError: for what cannot be saved. DiskFull, ReadOnlyFolder: if it cannot be written.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
    >>> keep(ledger, b"abc", "text", name="a.txt")[:8]
    'ba7816bf'
    """
    if isinstance(thing, bytes):
        content, called = thing, name or f"{kind}.bin"
    elif isinstance(thing, (str, os.PathLike)):
        path = Path(thing)
        if not path.is_file():
            raise DataFileError(f"got '{path}', which is not a file; expected what is to be kept; check the path")
        content, called = path.read_bytes(), name or path.name
    else:
        from quincunx import values

        with tempfile.TemporaryDirectory() as scratch:
            content, called = values.save(thing, Path(scratch) / "value.qx").read_bytes(), name or f"{kind}.qx"
    if Path(called).name != called or called.startswith("."):
        raise UsageError(
            f"got the name '{called}'; expected one of a file, without folders; choose for example 'posterior.qx'"
        )
    told = json_of(facts, "the facts of an artefact")
    made_from = list(dict.fromkeys(parents))
    path, sha256 = write_durably(
        ledger.artifacts, lambda stream: stream.write(content), lambda sha: f"{sha[:16]}-{called}"
    )
    table = schema.artifact
    with ledger.database.write(decision=True) as connection:
        # Two who keep the same bytes at once come one after the other; SQLite has the lock by now.
        connection.execute(select(schema.run.c.id).where(schema.run.c.id == ledger.run).with_for_update())
        _check_parents(connection, ledger, made_from)
        here = table.c.run_id == ledger.run
        there = connection.execute(select(table.c.path).where(here, table.c.sha256 == sha256)).scalar()
        if there is None:
            row = {"run_id": ledger.run, "sha256": sha256, "kind": kind, "path": f"artifacts/{path.name}"}
            connection.execute(insert(table).values(**row, facts=told, created=seconds()))
        links = schema.parent
        known = set(
            connection.execute(
                select(links.c.parent).where(links.c.run_id == ledger.run, links.c.child == sha256)
            ).scalars()
        )
        rows = [
            {"run_id": ledger.run, "child": sha256, "parent": p} for p in made_from if p not in known and p != sha256
        ]
        if rows:
            connection.execute(insert(links), rows)
    if there is not None and there != f"artifacts/{path.name}":
        path.unlink()
    return sha256


def _check_parents(connection: Connection, ledger: Ledger, parents: list[str]) -> None:
    table = schema.artifact
    known = (
        set(connection.execute(select(table.c.sha256).where(table.c.run_id == ledger.run)).scalars())
        if parents
        else set()
    )
    missing = [parent for parent in parents if parent not in known]
    if missing:
        raise UnknownRun(
            f"got the parents {[sha[:16] for sha in missing]}; expected artefacts or shards of run '{ledger.name}'; keep them first"
        )


def artefacts(ledger: Ledger, kind: str | None = None) -> list[Artefact]:
    """What is kept, oldest first: of one kind, or all but shards.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
    >>> _ = keep(ledger, b"abc", "text", name="a.txt")
    >>> [kept.path for kept in artefacts(ledger)]
    ['artifacts/ba7816bf8f01cfea-a.txt']
    """
    table = schema.artifact
    asked = select(table).where(table.c.run_id == ledger.run).order_by(table.c.created, table.c.sha256)
    asked = asked.where(table.c.kind == kind) if kind is not None else asked.where(table.c.kind != "shard")
    with ledger.database.read() as connection:
        return [Artefact(r.sha256, r.kind, r.path, json.loads(r.facts), r.created) for r in connection.execute(asked)]


def artefact_file(ledger: Ledger, sha256: str) -> Path:
    """The file of an artefact, looked up by its hash (or the beginning of one) and checked against it.

    Raises:
        UnknownRun: if there is none, or more than one. DataFileError: if its file is gone. ChecksumMismatch: if its bytes are others.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
    >>> _ = keep(ledger, b"abc", "text", name="a.txt")
    >>> artefact_file(ledger, "ba78").read_bytes()
    b'abc'
    """
    table = schema.artifact
    asked = select(table.c.sha256, table.c.path).where(
        table.c.run_id == ledger.run, table.c.sha256.startswith(sha256, autoescape=True)
    )
    with ledger.database.read() as connection:
        found = connection.execute(asked.limit(2)).all()
    if len(found) != 1 or not sha256:
        raise UnknownRun(
            f"got '{sha256}', with which {len(found) or 'no'} artefacts begin; expected the SHA-256 of one; see artefacts()"
        )
    path = ledger.folder / found[0].path
    if not path.is_file():
        raise DataFileError(
            f"'{path}' is gone; expected an artefact of run '{ledger.name}'; make it again or restore it"
        )
    if (got := file_sha256(path)) != found[0].sha256:
        raise ChecksumMismatch(
            f"'{path}' has the SHA-256 {got[:16]}...; expected {found[0].sha256[:16]}...; restore it"
        )
    return path
