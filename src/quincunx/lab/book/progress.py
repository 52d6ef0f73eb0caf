"""How far a round is: what was planned, done and failed, in one question to the database."""

from dataclasses import dataclass

from sqlalchemy import func, select

from quincunx.lab.book import schema
from quincunx.lab.book.ledger import Ledger

__all__ = ["Progress", "progress_of"]


@dataclass(frozen=True)
class Progress:
    """Simulations of a round, or of all: how many are `planned`, `done`, and of those `failed`."""

    planned: int
    done: int
    failed: int


def progress_of(ledger: Ledger, round: int | None = None) -> Progress:
    """How far a round is, or all of them.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
    >>> from quincunx.lab.book.rounds import plan, use
    >>> _ = plan(ledger, use(ledger, qx.gallery.load("two_moons").simulator), 100, size=50)
    >>> progress_of(ledger)
    Progress(planned=100, done=0, failed=0)
    """
    table = schema.batch
    here = [table.c.run_id == ledger.run] + ([] if round is None else [table.c.round == round])
    sums = [func.coalesce(func.sum(column), 0) for column in (table.c.n, table.c.rows, table.c.failed)]
    with ledger.database.read() as connection:
        planned, done, failed = connection.execute(select(*sums).where(*here)).one()
    return Progress(int(planned), int(done), int(failed))
