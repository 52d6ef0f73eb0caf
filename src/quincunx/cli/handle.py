"""What a verb is told a run by: the folder of one, or the URL of a database with the run's name."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from quincunx.cli.console import say
from quincunx.errors import UsageError

_LEDGER = "ledger.sqlite"


def is_run(text: str | os.PathLike[str]) -> bool:
    """Whether a word on the command line tells a run rather than a problem or a file.

    >>> is_run("two_moons"), is_run("postgresql://ada@host/lab")
    (False, True)
    """
    return "://" in str(text) or (Path(text) / _LEDGER).is_file()


@contextmanager
def opened(run: str, *, name: str | None = None, read_only: bool = False) -> Iterator[Any]:
    """The lab book of a run, closed when the block ends; what opening it had to mend is said.

    Raises:
        UnknownRun, NetworkFolder, LedgerUnreachable and others: as ``open_book``.
    """
    from quincunx.lab import open_book

    book = open_book(run, run=name, read_only=read_only)
    try:
        _say_recovered(book.recovered)
        yield book
    finally:
        book.close()


def source_of(book: Any) -> Any:
    """The simulator that a run was begun with, found again by what its book says of it.

    Raises:
        UsageError: for a run that was begun from Python, or whose file is gone or has changed.
    """
    from quincunx.cli.source import read_again

    config = book.config
    if "source" not in config:
        raise UsageError(
            f"run '{book.name}' does not say where its simulator is; expected a run that `quincunx simulate` began; go on from Python, "
            "with quincunx.lab.carry_out"
        )
    return read_again(config)


def _say_recovered(found: Any) -> None:
    counts = {
        "shards adopted": found.adopted,
        "leases expired": range(found.expired),
        "unfinished files removed": found.removed,
    }
    said = [f"{len(what)} {name}" for name, what in counts.items() if len(what)]
    if said:
        say(f"mended on opening: {', '.join(said)}")
