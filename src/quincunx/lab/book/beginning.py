"""The beginning of a run: its folder, its files, and its row in the book."""

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray
from sqlalchemy import insert, select

from quincunx.errors import OutputNotEmpty, UsageError
from quincunx.lab.book import schema
from quincunx.lab.book.clock import seconds
from quincunx.lab.book.ledger import Ledger, Where, database_at
from quincunx.lab.book.migrate import prepare
from quincunx.lab.book.plain import json_of
from quincunx.lab.book.surroundings import environment
from quincunx.lab.book.toml import to_toml
from quincunx.run.durable import refusals, write_durably
from quincunx.run.keys import key_text

__all__ = ["begin", "write_text"]


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
