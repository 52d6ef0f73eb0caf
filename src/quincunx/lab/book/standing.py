"""How a run stands: what is done and what is not, how fast it goes, who works on it, what failed, and what happened last."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select

from quincunx._verb import make_callable
from quincunx.lab.book import schema
from quincunx.lab.book.clock import seconds
from quincunx.lab.book.notes import Event
from quincunx.lab.book.owner import is_dead
from quincunx.lab.book.progress import DONE, LEASED
from quincunx.lab.book.reading import Reading
from quincunx.notebook import from_fields

__all__ = ["Holder", "Standing", "standing"]

_RECENT = 600.0
_EVENTS = 8


@dataclass(frozen=True)
class Holder:
    """Someone who works on a run: how many batches they hold, for how many seconds more, and whether their process is known to be gone."""

    owner: str
    batches: int
    seconds_left: float
    gone: bool

    _repr_html_ = from_fields


@dataclass(frozen=True)
class Standing:
    """A run at one moment, by the database's clock; `rate` is simulations a second lately, `eta` the seconds left at that rate.

    `failed_by_status` counts what the ledger holds one by one: of each batch the first thousand.
    """

    run: str
    batches: Mapping[str, int]
    planned: int
    done: int
    failed: int
    failed_by_status: Mapping[str, int]
    rate: float | None
    eta: float | None
    coordinator: str | None
    holders: tuple[Holder, ...]
    mended: tuple[Event, ...]
    events: tuple[Event, ...]

    @property
    def missing(self) -> int:
        """How many planned simulations are not done."""
        return self.planned - self.done

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON-able values."""
        return {**asdict(self), "missing": self.missing}

    _repr_html_ = from_fields


def standing(book: Reading) -> Standing:
    """How a run stands; nothing is written, so that it may be asked while others work on the run.

    >>> import tempfile, quincunx as qx
    >>> book = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)
    >>> _ = book.plan(100, size=50, simulator=qx.gallery.load("two_moons").simulator)
    >>> held = book.lease("Ada", 60.0)
    >>> now = standing(book)
    >>> now.batches, now.missing, [holder.owner for holder in now.holders]
    ({'todo': 1, 'leased': 1, 'done': 0, 'failed': 0}, 100, ['Ada'])
    """
    ledger, batch, failure = book.ledger, schema.batch, schema.failure
    mine = batch.c.run_id == ledger.run
    sums = [func.coalesce(func.sum(column), 0) for column in (batch.c.n, batch.c.rows, batch.c.failed)]
    lately = select(func.sum(batch.c.rows), func.min(batch.c.t_start), func.max(batch.c.t_end)).where(
        mine, batch.c.state == DONE, batch.c.t_end >= seconds() - _RECENT, batch.c.t_start.is_not(None)
    )
    holding = (
        select(batch.c.owner, func.count(), func.max(batch.c.lease_until) - seconds())
        .where(mine, batch.c.state == LEASED)
        .group_by(batch.c.owner)
    )
    how = (
        select(failure.c.status, func.count())
        .join(batch, batch.c.id == failure.c.batch_id)
        .where(mine)
        .group_by(failure.c.status)
        .order_by(func.count().desc())
    )
    leader = select(schema.run.c.coordinator).where(
        schema.run.c.id == ledger.run, schema.run.c.coordinator_until >= seconds()
    )
    with ledger.database.read() as connection:
        planned, done, failed = (int(number) for number in connection.execute(select(*sums).where(mine)).one())
        rows, first, last = connection.execute(lately).one()
        holders = [Holder(o or "", int(n), float(left), is_dead(o or "")) for o, n, left in connection.execute(holding)]
        statuses = {status: int(count) for status, count in connection.execute(how)}
        coordinator = connection.execute(leader).scalar()
    rate = None if not rows or last <= first else float(rows / (last - first))
    mended = [event for kind in ("recovered", "lost") for event in book.events(kind)]
    return Standing(
        run=book.name,
        batches=book.state,
        planned=planned,
        done=done,
        failed=failed,
        failed_by_status=statuses,
        rate=rate,
        eta=None if not rate else (planned - done) / rate,
        coordinator=coordinator,
        holders=tuple(sorted(holders, key=lambda holder: holder.owner)),
        mended=tuple(sorted(mended, key=lambda event: event.id)),
        events=tuple(book.events(last=_EVENTS)),
    )


# The function and its module share a name: whichever of them `quincunx.lab.book.standing` is, it can be called.
make_callable(__name__, standing)
