"""What is new, as it happens: server-sent events that say which place changed, for the page to ask again."""

import asyncio
import hashlib
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from sqlalchemy import func, select

from quincunx.errors import QuincunxError
from quincunx.lab.book import schema
from quincunx.lab.book.reading import Reading
from quincunx.studio.jobs import Jobs
from quincunx.studio.shelf import Shelf

__all__ = ["changes", "mark_of"]

_EVERY = 1.0
_HEARTBEAT = 15.0
_STEP = 0.1


def mark_of(book: Reading) -> str:
    """A text that is another as soon as anything is written into a run: cheap, also for long runs.

    >>> import tempfile, quincunx as qx
    >>> book = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)
    >>> before = mark_of(book)
    >>> book.note("seen")
    >>> mark_of(book) != before
    True
    """
    run, batch, event, metric, made = book.ledger.run, schema.batch, schema.event, schema.metric, schema.artifact
    counted = (
        select(batch.c.state, func.count(), func.coalesce(func.sum(batch.c.rows), 0))
        .where(batch.c.run_id == run)
        .group_by(batch.c.state)
    )
    with book.ledger.database.read() as connection:
        said = [
            connection.execute(select(func.max(table.c.id)).where(table.c.run_id == run)).scalar()
            for table in (event, metric)
        ]
        count = connection.execute(select(func.count()).select_from(made).where(made.c.run_id == run)).scalar()
        states = sorted(tuple(row) for row in connection.execute(counted))
    return json.dumps([said, count, states])


def _marks(shelf: Shelf, jobs: Jobs) -> dict[str, str]:
    found = {"jobs": str(jobs.changes)}
    for place in shelf.places():
        try:
            found[place.id] = mark_of(shelf.book(place)) if place.kind == "run" else _answer_mark(shelf.record(place))
        except QuincunxError as error:
            found[place.id] = str(error)
    return found


def _answer_mark(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True, default=str).encode()).hexdigest()


async def changes(
    shelf: Shelf, jobs: Jobs, gone: Callable[[], Any], closing: threading.Event, *, every: float = _EVERY
) -> AsyncIterator[str]:
    """Messages of `text/event-stream`: at first "hello", then "changed" with the ids of places (and "jobs") that did; a comment in between.

    It ends when the reader is `gone`, or the studio is `closing`.
    """
    number = 0
    before = await asyncio.to_thread(_marks, shelf, jobs)
    yield f"id: {number}\nevent: hello\ndata: {json.dumps(sorted(before))}\n\n"
    spoke = time.monotonic()
    while not closing.is_set():
        until = time.monotonic() + every
        while time.monotonic() < until and not closing.is_set():
            await asyncio.sleep(min(_STEP, every))
        if await gone():
            return
        now = await asyncio.to_thread(_marks, shelf, jobs)
        other = sorted(name for name in now.keys() | before.keys() if now.get(name) != before.get(name))
        before = now
        if other:
            number += 1
            spoke = time.monotonic()
            yield f"id: {number}\nevent: changed\ndata: {json.dumps(other)}\n\n"
        elif time.monotonic() - spoke > _HEARTBEAT:
            spoke = time.monotonic()
            yield ": still here\n\n"
