"""The doors of the lab book: begin a run, open one again, bring one of an older schema up to date."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray

from quincunx.errors import UnknownRun
from quincunx.lab.book import beginning, ledger, recovery
from quincunx.lab.book.book import Book
from quincunx.lab.book.ledger import Where
from quincunx.lab.book.migrate import migrate
from quincunx.lab.book.recovery import Recovery

__all__ = ["begin_book", "migrate_book", "open_book"]


def begin_book(
    where: Where,
    *,
    key: int | np.integer | PRNGKeyArray,
    run: str | None = None,
    folder: Where | None = None,
    config: Mapping[str, Any] | None = None,
) -> Book:
    """Begin a run in a new folder or, with `folder` for its files and `run` for its name, in a PostgreSQL database given by URL.

    The folder gets ledger.sqlite (unless on a server), shards/, artifacts/, config.toml with the settings `config`, and env.json with
    versions, platform, command line and commit.

    Raises:
        OutputNotEmpty: if there is such a run already. UsageError: for a server and no folder or name.
        NetworkFolder: for SQLite on a network file system. ReadOnlyFolder, DiskFull: if nothing can be written.
        LedgerUnreachable, MissingExtra, SchemaTooNew, SchemaTooOld: of a server or an old database.

    >>> import tempfile
    >>> begin_book(tempfile.mkdtemp() + "/epidemic", key=0, config={"budget": 1000})
    Book of run 'epidemic': 0 of 0 batches done, 0 simulations, none failed
    """
    return Book(beginning.begin(where, key=key, name=run, folder=folder, config=config), Recovery())


def open_book(
    where: Where,
    *,
    run: str | None = None,
    folder: Where | None = None,
    read_only: bool = False,
    thorough: bool = False,
) -> Book:
    """Open a run's lab book by its folder or by the URL of its database, and mend what an interruption left.

    `recovered` says what was found: shards adopted, lost, damaged or foreign. With `read_only` nothing is mended or written. `run` chooses
    one of several in a database; `folder` says where its files are on this machine.

    Raises:
        UnknownRun: if there is no such book or run. SchemaTooNew, SchemaTooOld, CorruptFile: if it cannot be used.
        NetworkFolder, ReadOnlyFolder, LedgerUnreachable, MissingExtra: for what they say.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp() + "/epidemic"
    >>> begin_book(folder, key=0).close()
    >>> open_book(folder).recovered
    Recovery(adopted=(), lost=(), damaged=(), strangers=(), removed=(), expired=0)
    """
    found = ledger.find(where, name=run, folder=folder, read_only=read_only)
    return Book(found, Recovery() if read_only else recovery.recover(found, thorough=thorough))


def migrate_book(where: Where) -> list[int]:
    """Bring a lab book of an older schema up to date; returns the versions it went through, none if there was nothing to do.

    Raises:
        SchemaTooNew: if it was written under a newer schema. UnknownRun: if there is none.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp() + "/epidemic"
    >>> begin_book(folder, key=0).close()
    >>> migrate_book(folder)
    []
    """
    database = ledger.database_at(where)
    if isinstance(database.where, Path) and not database.where.is_file():
        raise UnknownRun(f"'{where}' holds no lab book; expected the folder of a run; check the path")
    try:
        return migrate(database)
    finally:
        database.close()
