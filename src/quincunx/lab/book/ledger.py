"""One run in a lab book: where its tables and its files are, and how it begins and is found again."""

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray
from sqlalchemy import insert, select

from quincunx.errors import OutputNotEmpty, ReadOnlyFolder, UnknownRun, UsageError
from quincunx.lab.book import schema
from quincunx.lab.book.clock import seconds
from quincunx.lab.book.database import Database
from quincunx.lab.book.filesystem import refuse_network
from quincunx.lab.book.migrate import prepare, refuse, version_of
from quincunx.lab.book.plain import json_of
from quincunx.lab.book.surroundings import environment
from quincunx.lab.book.toml import to_toml
from quincunx.run.durable import may_write, refusals, write_durably
from quincunx.run.keys import key_text

__all__ = ["LEDGER", "Ledger", "begin", "database_at", "find"]

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


def begin(
    where: Where,
    *,
    key: int | np.integer | PRNGKeyArray,
    name: str | None = None,
    folder: Where | None = None,
    config: Mapping[str, Any] | None = None,
) -> Ledger:
    """Begin a run: its folder with shards/, artifacts/, config.toml and env.json, and its row in the book.

    Raises:
        OutputNotEmpty: if there is a run of that name or in that folder.
        UsageError: for a database server and no folder, or no name.
        NetworkFolder, ReadOnlyFolder, DiskFull, LedgerUnreachable, SchemaTooNew: for what they say.

    >>> import tempfile
    >>> ledger = begin(tempfile.mkdtemp() + "/run", key=0)
    >>> sorted(path.name for path in ledger.folder.iterdir() if "-" not in path.name)
    ['artifacts', 'config.toml', 'env.json', 'ledger.sqlite', 'shards']
    """
    text = os.fspath(where)
    database = None
    if "://" in text and not text.startswith("sqlite:///"):
        database = database_at(where)
        if folder is None or name is None:
            raise UsageError(
                f"got the lab book {database.url.render_as_string(hide_password=True)} with folder={folder} and run={name}; expected a "
                "folder for the shards and a name for the run, since a server has neither; give both"
            )
    place = Path(folder) if folder is not None else _folder_of(Path(text.removeprefix("sqlite:///")))
    name = name or place.resolve().name
    settings = json_of(config, "the settings")
    surroundings = json.dumps(environment(), indent=1) + "\n"
    _refuse_foreign(place)
    with refusals(place):
        for part in ("shards", "artifacts"):
            (place / part).mkdir(parents=True, exist_ok=True)
    database = database or database_at(where)
    prepare(database)
    with database.write(decision=True) as connection:
        alone = database.is_sqlite and folder is None
        stored = None if alone else str(place.resolve())
        for row in connection.execute(select(schema.run.c.name, schema.run.c.folder)):
            if alone or row.name == name or row.folder == stored:
                raise OutputNotEmpty(
                    f"the lab book holds the run '{row.name}' already; open it to go on, or choose another folder and another name"
                )
        values = {"name": name, "key": key_text(key), "config": settings, "created": seconds(), "folder": stored}
        run = connection.execute(insert(schema.run).values(**values).returning(schema.run.c.id)).scalar_one()
        # Before the row is there for good: a run that can be opened has all its files.
        write_text(place / "env.json", surroundings)
        write_text(place / "config.toml", to_toml({"run": name, "key": key_text(key), **json.loads(settings)}))
    return Ledger(database, run, name, place)


def _refuse_foreign(place: Path) -> None:
    """A file of settings that is not a run's must not be written over; one that is may be what a killed beginning left."""
    path = place / "config.toml"
    try:
        told = tomllib.loads(path.read_text()) if path.exists() else {"run": "", "key": ""}
    except (OSError, ValueError):
        told = {}
    if not {"run", "key"} <= set(told):
        raise OutputNotEmpty(f"'{path}' is another program's, and is not overwritten; choose a new folder for the run")


def find(where: Where, *, name: str | None = None, folder: Where | None = None, read_only: bool = False) -> Ledger:
    """The run of that name in a book, or the only one.

    Raises:
        UnknownRun: if there is no book or no such run, or several and none is named.
        SchemaTooNew, SchemaTooOld, CorruptFile, LedgerUnreachable, NetworkFolder, ReadOnlyFolder: for what they say.

    >>> import tempfile
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


def write_text(path: Path, text: str) -> None:
    """Write a text file as durably as a shard.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "note.txt"
    >>> write_text(path, "seen")
    >>> path.read_text()
    'seen'
    """
    write_durably(path.parent, lambda stream: stream.write(text.encode()), lambda sha: path.name)


def _folder_of(path: Path) -> Path:
    return path.parent if path.suffix in (".sqlite", ".db") else path
