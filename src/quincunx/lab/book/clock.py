"""The database's own clock, so that leases do not depend on whose watch is right."""

from typing import Any

from sqlalchemy import Double
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

__all__ = ["seconds"]


class seconds(FunctionElement[float]):
    """Seconds since 1970 at the moment a statement runs, as the database sees it.

    >>> from sqlalchemy import create_engine, select
    >>> with create_engine("sqlite://").connect() as connection:
    ...     connection.execute(select(seconds())).scalar_one() > 1.7e9
    True
    """

    type = Double()
    inherit_cache = True
    name = "seconds"


@compiles(seconds, "sqlite")
def _on_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(seconds, "postgresql")
def _on_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    return "(extract(epoch from clock_timestamp())::double precision)"
