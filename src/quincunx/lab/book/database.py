"""A door to the database: short transactions, one connection for each, none carried across a fork, errors by name."""

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import QueuePool

from quincunx.errors import (
    CorruptFile,
    DiskFull,
    LedgerBusy,
    LedgerUnreachable,
    MissingExtra,
    ReadOnlyFolder,
    UsageError,
)
from quincunx.run.durable import may_write

__all__ = ["Database"]

_PATIENCE = 30_000
"""Milliseconds that a transaction waits for another's lock."""

_BEGIN = "quincunx_begin"


class Database:
    """SQLite in a file, or PostgreSQL by URL.

    `read()` and `write()` are transactions: what is written is there as a whole when the block ends, and not at all when it raises.
    A decision is on the disk when its block ends, also if the power fails then; anything else is at least in the write-ahead log.

    Raises:
        UsageError: for a URL of another kind of database. MissingExtra: without the driver for PostgreSQL.

    >>> import tempfile
    >>> database = Database(Path(tempfile.mkdtemp()) / "ledger.sqlite")
    >>> with database.write() as connection:
    ...     _ = connection.exec_driver_sql("create table a (b integer)")
    >>> with database.read() as connection:
    ...     connection.exec_driver_sql("pragma journal_mode").scalar_one()
    'wal'
    """

    def __init__(self, where: Path | str, *, read_only: bool = False):
        self.where = where
        self.read_only = read_only
        self.url = self._url_of(where)
        self._engine = self._connect()
        self._process = os.getpid()
        self._inherited: list[Engine] = []

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file on a local disk."""
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads: it sees one moment, and hinders nobody."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def write(self, *, decision: bool = False) -> Iterator[Connection]:
        """A transaction that writes.

        Raises:
            LedgerBusy: if others keep the lock for half a minute.
            DiskFull, ReadOnlyFolder, CorruptFile, LedgerUnreachable: for what they say.
        """
        if self.read_only:
            raise ReadOnlyFolder(
                f"the lab book '{self.where}' was opened with read_only=True; expected one that may be written; open it without"
            )
        with self._transaction("BEGIN IMMEDIATE", "FULL" if decision else "NORMAL") as connection:
            yield connection

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose(close=os.getpid() == self._process)

    @contextmanager
    def _transaction(self, begin: str, synchronous: str | None = None) -> Iterator[Connection]:
        if os.getpid() != self._process:
            # A connection of the parent's must neither be used nor closed here, so it is kept and never looked at again.
            self._inherited.append(self._engine)
            self._engine, self._process = self._connect(), os.getpid()
        try:
            with self._engine.connect() as connection:
                if self.is_sqlite and synchronous:
                    # SQLite takes this only between transactions, so it goes past SQLAlchemy, which would begin one.
                    raw: Any = connection.connection.dbapi_connection
                    raw.execute(f"PRAGMA synchronous={synchronous}")
                with connection.execution_options(**{_BEGIN: begin}).begin():
                    yield connection
        except (DBAPIError, sqlite3.Error) as error:
            raise self._named(error) from error

    def _url_of(self, where: Path | str) -> URL:
        if isinstance(where, Path):
            return URL.create("sqlite", database=str(where))
        try:
            url = make_url(where)
        except ArgumentError as error:
            raise UsageError(
                f"got '{where}'; expected a folder or a URL; write postgresql://user@host/database"
            ) from error
        if url.get_backend_name() == "postgresql":
            return url.set(drivername="postgresql+psycopg")
        raise UsageError(
            f"got a URL of {url.get_backend_name()}; expected postgresql://user@host/database, or a folder for SQLite; use one"
        )

    def _connect(self) -> Engine:
        if not self.is_sqlite:
            try:
                return create_engine(self.url, pool_pre_ping=True, connect_args={"connect_timeout": 10})
            except ModuleNotFoundError as error:
                raise MissingExtra("postgresql", "a lab book on PostgreSQL") from error
        path = Path(self.url.database or "")
        if self.read_only:
            # On a read-only disk nothing can lock or change the file; elsewhere a live run may.
            still = not may_write(path.parent) and not path.with_name(path.name + "-wal").exists()
            file = f"file:{_quoted(path)}?mode=ro{'&immutable=1' if still else ''}"
        else:
            file = f"file:{_quoted(path)}?mode=rwc"
        engine = create_engine(
            "sqlite://",
            creator=lambda: sqlite3.connect(
                file, uri=True, timeout=_PATIENCE / 1000, isolation_level=None, check_same_thread=False
            ),
            pool_size=4,
            max_overflow=28,
            poolclass=QueuePool,
        )
        event.listen(engine, "connect", self._settle)
        event.listen(engine, "begin", _begin)
        return engine

    def _settle(self, connection: sqlite3.Connection, record: Any) -> None:
        connection.execute(f"PRAGMA busy_timeout={_PATIENCE}")
        connection.execute("PRAGMA foreign_keys=ON")
        if not self.read_only:
            mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            if mode != "wal":
                raise sqlite3.OperationalError(
                    f"unable to open database file with a write-ahead log, only with '{mode}'"
                )
            connection.execute("PRAGMA synchronous=NORMAL")

    def _named(self, error: Exception) -> Exception:
        said = str(getattr(error, "orig", error))
        place = self.url.render_as_string(hide_password=True) if not self.is_sqlite else self.where
        if not self.is_sqlite:
            if getattr(error, "connection_invalidated", False) or re.search(
                "connect|terminat|timeout|authent|password", said
            ):
                return LedgerUnreachable(
                    f"the database {place} does not answer or lets nobody in ({said.strip()}); expected a running PostgreSQL; start it, "
                    "or check the address and the user"
                )
            if "No space left" in said or "could not extend" in said:
                return DiskFull(f"the database {place} has no room left ({said.strip()}); free some and resume")
            return error
        if "locked" in said or "busy" in said:
            return LedgerBusy(
                f"'{place}' was kept locked for {_PATIENCE // 1000} s; expected short transactions; end the process that holds it, "
                "or give a PostgreSQL URL for many writers"
            )
        if "full" in said or "disk I/O error" in said:
            return DiskFull(
                f"'{place}' cannot grow ({said}); expected room on its disk; free some and resume: nothing is lost"
            )
        if "readonly" in said or "unable to open" in said:
            return ReadOnlyFolder(
                f"'{place}' cannot be opened for writing ({said}); expected a folder of yours; change its permissions, or open it with "
                "read_only=True to look at it"
            )
        if "malformed" in said or "not a database" in said:
            return CorruptFile(
                f"'{place}' is damaged ({said}); expected a lab book; take it from a backup, or make a new one beside the "
                "same shards, which are whole"
            )
        return error


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))


def _quoted(path: Path) -> str:
    return quote(str(path.resolve()))
