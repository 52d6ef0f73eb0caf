"""The book's schema has a version; a book of an older one is brought up to date step by step, and only when asked."""

from collections.abc import Callable, Mapping

from sqlalchemy import Connection, inspect, select, update

from quincunx.errors import CorruptFile, SchemaTooNew, SchemaTooOld
from quincunx.lab.book import schema
from quincunx.lab.book.database import Database

__all__ = ["STEPS", "migrate", "prepare", "refuse", "version_of"]

STEPS: Mapping[int, Callable[[Connection], None]] = {}
"""What turns a book of a version into one of the next; each runs in one transaction with the change of the number."""


def version_of(connection: Connection) -> int | None:
    """The schema version of the book, None where there is none yet.

    Raises:
        CorruptFile: if the database holds other tables than a lab book's.

    >>> from sqlalchemy import create_engine
    >>> with create_engine("sqlite://").connect() as connection:
    ...     version_of(connection) is None
    True
    """
    tables = set(inspect(connection).get_table_names())
    if schema.schema_version.name in tables:
        return int(connection.execute(select(schema.schema_version.c.version)).scalar_one())
    ours = tables & set(schema.metadata.tables)
    if ours:
        raise CorruptFile(
            f"the database has the tables {sorted(ours)} and no schema version; expected a lab book or an empty database; "
            "use another database"
        )
    return None


def prepare(database: Database, *, newest: int = schema.VERSION) -> None:
    """Make the tables where there are none, and refuse a book that this version cannot use.

    Raises:
        SchemaTooNew: if it was written under a newer schema. SchemaTooOld: if it has to be migrated first.

    >>> import pathlib, tempfile
    >>> database = Database(pathlib.Path(tempfile.mkdtemp()) / "ledger.sqlite")
    >>> prepare(database)
    >>> with database.read() as connection:
    ...     version_of(connection)
    1
    """
    with database.read() as connection:
        version = version_of(connection)
    if version is None:
        with database.write(decision=True) as connection:
            if not database.is_sqlite:
                # Two who begin at once must not both make the tables; the number is any that others are unlikely to take.
                connection.exec_driver_sql("select pg_advisory_xact_lock(7122023)")
            if version_of(connection) is None:
                schema.metadata.create_all(connection)
                connection.execute(schema.schema_version.insert().values(version=newest))
        return
    refuse(version, newest)


def refuse(version: int, newest: int = schema.VERSION) -> None:
    """Refuse a book of any other version than `newest`, saying what to do.

    >>> refuse(99)
    Traceback (most recent call last):
    quincunx.errors.SchemaTooNew: the lab book has schema 99; this version reads up to 1; ...
    """
    if version > newest:
        raise SchemaTooNew(
            f"the lab book has schema {version}; this version reads up to {newest}; upgrade: pip install -U quincunx"
        )
    if version < newest:
        raise SchemaTooOld(
            f"the lab book has schema {version}; this version uses {newest}; bring it up to date with "
            "quincunx.lab.migrate_book(...)"
        )


def migrate(
    database: Database, *, steps: Mapping[int, Callable[[Connection], None]] = STEPS, newest: int = schema.VERSION
) -> list[int]:
    """Bring a book up to date; returns the versions it went through, none if there was nothing to do.

    A step that raises leaves the book at the version before it.

    Raises:
        SchemaTooNew: if it was written under a newer schema. SchemaTooOld: if no step leads on from its version.

    >>> import pathlib, tempfile
    >>> database = Database(pathlib.Path(tempfile.mkdtemp()) / "ledger.sqlite")
    >>> prepare(database)
    >>> migrate(database)
    []
    """
    done: list[int] = []
    while True:
        with database.write(decision=True) as connection:
            version = version_of(connection)
            if version is None or version == newest:
                return done
            if version > newest or version not in steps:
                refuse(version, newest)
            steps[version](connection)
            connection.execute(update(schema.schema_version).values(version=version + 1))
        done.append(version + 1)
