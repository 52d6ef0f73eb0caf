"""How far a round is: batches in each state, simulations that were planned, done and failed; one question to the database each."""

from dataclasses import dataclass

from sqlalchemy import func, select

from quincunx.lab.book import schema
from quincunx.lab.book.ledger import Ledger

__all__ = ["DONE", "FAILED", "LEASED", "STATES", "TO_DO", "Progress", "progress_of", "states"]

TO_DO, LEASED, DONE, FAILED = STATES = ("todo", "leased", "done", "failed")


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


def states(ledger: Ledger, round: int | None = None) -> dict[str, int]:
    """How many batches are to be done, leased, done and failed.

    >>> import tempfile, quincunx as qx
    >>> ledger = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0).ledger
    >>> from quincunx.lab.book.rounds import plan, use
    >>> _ = plan(ledger, use(ledger, qx.gallery.load("two_moons").simulator), 100, size=50)
    >>> states(ledger)
    {'todo': 2, 'leased': 0, 'done': 0, 'failed': 0}
    """
    asked = (
        select(schema.batch.c.state, func.count())
        .where(schema.batch.c.run_id == ledger.run)
        .group_by(schema.batch.c.state)
    )
    if round is not None:
        asked = asked.where(schema.batch.c.round == round)
    with ledger.database.read() as connection:
        found: dict[str, int] = dict(connection.execute(asked).tuples().all())
    return {state: found.get(state, 0) for state in STATES}
