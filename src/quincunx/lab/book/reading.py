"""A lab book as it is read: nothing in it can be written, and nothing that simulates is needed to look at it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from sqlalchemy import select

from quincunx.lab.book import artefacts, notes, planned, progress, schema
from quincunx.lab.book.artefacts import Artefact
from quincunx.lab.book.ledger import Ledger, Where, find
from quincunx.lab.book.notes import Event, Failure
from quincunx.lab.book.planned import Round
from quincunx.lab.book.provenance import Provenance, provenance
from quincunx.notebook import from_repr

__all__ = ["Reading", "Remembered", "read_book"]

R = TypeVar("R", bound="Reading")


@dataclass(frozen=True, repr=False, eq=False)
class Reading:
    """One run's lab book, to look into: rounds, batches, events, metrics, failures, artefacts and what they were made from."""

    ledger: Ledger

    @property
    def name(self) -> str:
        """What the run is called."""
        return self.ledger.name

    @property
    def folder(self) -> Path:
        """The run's folder, with shards/, artifacts/, config.toml and env.json."""
        return self.ledger.folder

    @property
    def shard_folder(self) -> Path:
        """Where shards are to be written."""
        return self.ledger.shards

    @property
    def config(self) -> dict[str, Any]:
        """The settings that the run was begun with."""
        with self.ledger.database.read() as connection:
            asked = select(schema.run.c.config).where(schema.run.c.id == self.ledger.run)
            return json.loads(connection.execute(asked).scalar_one())

    @property
    def rounds(self) -> list[Round]:
        """What was planned: the rounds with their design, who decided, and which simulator."""
        return planned.rounds(self.ledger)

    @property
    def state(self) -> dict[str, int]:
        """How many batches are todo, leased, done and failed."""
        return progress.states(self.ledger)

    def state_of(self, round: int) -> dict[str, int]:
        """How many batches of a round are todo, leased, done and failed."""
        return progress.states(self.ledger, round)

    def batches(self, round: int | None = None) -> list[dict[str, Any]]:
        """Every batch as the ledger has it: state, owner, attempt, shard, times and what was said of it.

        >>> import tempfile, quincunx as qx
        >>> book = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)
        >>> _ = book.plan(100, size=50, simulator=qx.gallery.load("two_moons").simulator)
        >>> [(batch["first"], batch["state"]) for batch in book.batches()]
        [(0, 'todo'), (50, 'todo')]
        """
        table = schema.batch
        asked = select(table).where(table.c.run_id == self.ledger.run).order_by(table.c.round, table.c.idx)
        if round is not None:
            asked = asked.where(table.c.round == round)
        with self.ledger.database.read() as connection:
            return [dict(row) for row in connection.execute(asked).mappings()]

    def failures(self, round: int | None = None) -> list[Failure]:
        """The simulations that failed, with their parameters and what they said (of each batch the first thousand)."""
        return notes.failures(self.ledger, round)

    def events(self, kind: str | None = None, *, after: int = 0, last: int | None = None) -> list[Event]:
        """Events in order, of one kind or all, after the one numbered `after`; with `last` only so many of the newest."""
        return notes.events(self.ledger, kind=kind, after=after, last=last)

    def metrics(self, name: str | None = None) -> dict[str, dict[str, np.ndarray]]:
        """For each metric arrays `step`, `value` and `t` (seconds since 1970)."""
        return notes.metrics(self.ledger, name)

    def artefacts(self, kind: str | None = None) -> list[Artefact]:
        """What is kept, oldest first: of one kind, or all but shards."""
        return artefacts.artefacts(self.ledger, kind)

    def artefact_file(self, sha256: str) -> Path:
        """The file of an artefact, checked against its hash, of which the beginning will do."""
        return artefacts.artefact_file(self.ledger, sha256)

    def provenance(self, sha256: str) -> Provenance:
        """All that an artefact was made from, down to simulator, version and key.

        Raises:
            UnknownRun: if there is no such artefact.
        """
        return provenance(self.ledger, sha256)

    def close(self) -> None:
        """Let go of the database."""
        self.ledger.database.close()

    def __enter__(self: R) -> R:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Reading of run '{self.name}'"

    _repr_html_ = from_repr


@dataclass(frozen=True, repr=False, eq=False)
class Remembered(Reading):
    """A book whose events were read once, at one moment: for whoever asks for many of them."""

    kept: tuple[Event, ...]

    @classmethod
    def of(cls, book: Reading) -> "Remembered":
        """All events of a book as they are now.

        >>> import tempfile, quincunx as qx
        >>> book = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)
        >>> then = Remembered.of(book)
        >>> book.note("chosen")
        >>> len(then.events("chosen")), len(book.events("chosen"))
        (0, 1)
        """
        return cls(book.ledger, tuple(book.events()))

    def events(self, kind: str | None = None, *, after: int = 0, last: int | None = None) -> list[Event]:
        """Those events, of one kind or all, after the one numbered `after`; with `last` only so many of the newest."""
        found = [event for event in self.kept if (kind is None or event.kind == kind) and event.id > after]
        return found if last is None else found[max(0, len(found) - last) :]


def read_book(where: Where, *, run: str | None = None) -> Reading:
    """A run's book to look into, while others may be at work on it; nothing is mended.

    Raises:
        UnknownRun: if there is no book or no such run, or several and none is named.
        SchemaTooNew, SchemaTooOld, CorruptFile, LedgerUnreachable, NetworkFolder: for what they say.

    >>> import tempfile, quincunx as qx
    >>> book = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)
    >>> read_book(book.folder).state
    {'todo': 0, 'leased': 0, 'done': 0, 'failed': 0}
    """
    return Reading(find(where, name=run, read_only=True))
