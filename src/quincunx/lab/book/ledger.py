"""One run in a lab book: where its tables and its files are, and how it is found again."""

import os
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from quincunx.errors import ReadOnlyFolder, UnknownRun
from quincunx.lab.book import schema
from quincunx.lab.book.database import Database
from quincunx.lab.book.filesystem import refuse_network
from quincunx.lab.book.migrate import refuse, version_of
from quincunx.run.durable import may_write

__all__ = ["LEDGER", "Ledger", "database_at", "find"]

LEDGER = "ledger.sqlite"
Where = str | os.PathLike[str]


@dataclass(frozen=True)
class Ledger:
    """The database, the run's number in it, its name, and the folder of its files."""

    database: Database
    run: int
    name: str
    folder: Path

    @property
    def shards(self) -> Path:
        """Where the shards are."""
        return self.folder / "shards"

    @property
    def artifacts(self) -> Path:
        """Where networks, figures and reports are."""
        return self.folder / "artifacts"


def database_at(where: Where, *, read_only: bool = False) -> Database:
    """The database of a folder, of a ledger in it, or of a URL.

    Raises:
        NetworkFolder: if the folder is on a network file system. UsageError: for a URL of another kind of database.

    >>> import tempfile
    >>> database_at(tempfile.mkdtemp()).where.name
    'ledger.sqlite'
    """
    text = os.fspath(where)
    if text.startswith("sqlite:///"):
        text = text.removeprefix("sqlite:///")
    elif "://" in text:
        return Database(text, read_only=read_only)
    path = Path(text)
    path = path if path.suffix in (".sqlite", ".db") else path / LEDGER
    refuse_network(path.parent)
    return Database(path, read_only=read_only)


def find(where: Where, *, name: str | None = None, folder: Where | None = None, read_only: bool = False) -> Ledger:
    """The run of that name in a book, or the only one.

    Raises:
        UnknownRun: if there is no book or no such run, or several and none is named.
        SchemaTooNew, SchemaTooOld, CorruptFile, LedgerUnreachable, NetworkFolder, ReadOnlyFolder: for what they say.

    >>> import tempfile
    >>> from quincunx.lab.book.beginning import begin
    >>> ledger = begin(tempfile.mkdtemp() + "/epidemic", key=0)
    >>> find(ledger.folder).name
    'epidemic'
    """
    database = database_at(where, read_only=read_only)
    if isinstance(database.where, Path):
        if not database.where.is_file():
            raise UnknownRun(
                f"'{where}' holds no lab book; expected the folder of a run; check the path, or begin one there"
            )
        if not read_only and not (may_write(database.where.parent) and may_write(database.where)):
            raise ReadOnlyFolder(
                f"nothing can be written in '{database.where.parent}'; expected a folder of yours; change its permissions, or open it "
                "with read_only=True to look at it"
            )
    with database.read() as connection:
        version = version_of(connection)
        if version is None:
            raise UnknownRun(
                f"'{where}' holds no lab book; expected one; check the path or the URL, or begin one there"
            )
        refuse(version)
        found = connection.execute(select(schema.run.c.id, schema.run.c.name, schema.run.c.folder)).all()
    fitting = [row for row in found if name is None or row.name == name]
    if len(fitting) != 1:
        names = sorted(row.name for row in found)
        asked = "no name" if name is None else f"'{name}'"
        raise UnknownRun(f"got {asked}; expected one of the book's runs {names}; write open_book(..., run=name)")
    row = fitting[0]
    beside = row.folder or (database.where.parent if isinstance(database.where, Path) else "")
    return Ledger(database, row.id, row.name, Path(folder or beside))
