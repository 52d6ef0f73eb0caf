"""What there is to look at: runs with a lab book, and answers that `quincunx infer` wrote, found under some folders or in a database."""

import hashlib
import json
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import select

from quincunx.errors import CorruptFile, QuincunxError, UnknownRun, UsageError
from quincunx.lab.book import schema
from quincunx.lab.book.ledger import LEDGER, database_at
from quincunx.lab.book.reading import Reading, read_book

__all__ = ["Place", "Shelf"]

_DEPTH = 3
_MOST_FOLDERS = 5000
_OPEN = 8
_INSIDE_A_RUN = {"shards", "artifacts"}


@dataclass(frozen=True)
class Place:
    """A run or an answer: `id` names it in addresses, `where` is its folder or its database's URL, `name` what it is called."""

    id: str
    kind: Literal["run", "answer"]
    where: str
    name: str

    @classmethod
    def of(cls, kind: Literal["run", "answer"], where: str, name: str) -> "Place":
        """With an id that follows from the rest, so that an address stays good when the studio is started again."""
        return cls(hashlib.sha256(f"{kind}\n{where}\n{name}".encode()).hexdigest()[:12], kind, where, name)


class Shelf:
    """The places under some roots: folders, which are searched three levels deep, and databases' URLs. Links are not followed.

    Raises:
        UsageError: for a root that is neither a folder nor a URL.

    >>> import tempfile, quincunx as qx
    >>> folder = tempfile.mkdtemp()
    >>> _ = qx.lab.begin_book(folder + "/first", key=0)
    >>> shelf = Shelf([folder])
    >>> [(place.kind, place.name) for place in shelf.places()]
    [('run', 'first')]
    >>> shelf.book(shelf.places()[0]).state["done"]
    0
    """

    def __init__(self, roots: Sequence[str]):
        gone = [root for root in roots if "://" not in root and not Path(root).is_dir()]
        if gone:
            raise UsageError(
                f"there is no folder {gone[0]}; expected runs, answers, folders of them, or databases' URLs"
            )
        self.roots = tuple(root if "://" in root else str(Path(root).resolve()) for root in roots)
        self._books: OrderedDict[str, Reading] = OrderedDict()
        self._seen: dict[str, Place] = {}
        self._names: dict[tuple[str, int], list[str]] = {}
        self._lock = threading.Lock()

    def places(self) -> list[Place]:
        """All there is at this moment, runs first, each in the order of names."""
        found = {place.id: place for root in self.roots for place in _in(root, self._names)}
        self._seen = found
        return sorted(found.values(), key=lambda place: (place.kind != "run", place.name, place.where))

    def place(self, id: str) -> Place:
        """The one with this id; looked for on the disk where it was not seen before.

        Raises:
            UnknownRun: if there is none.
        """
        if id not in self._seen:
            self.places()
        if id in self._seen:
            return self._seen[id]
        raise UnknownRun(
            "there is no such run or answer here (any more); look at the list, or start the studio on another folder"
        )

    def book(self, place: Place) -> Reading:
        """The lab book of a run, opened once.

        Raises:
            UnknownRun and others: as `read_book`.
        """
        with self._lock:
            if place.id in self._books:
                self._books.move_to_end(place.id)
                return self._books[place.id]
            book = read_book(place.where, run=place.name)
            self._books[place.id] = book
            while len(self._books) > _OPEN:
                self._books.popitem(last=False)[1].close()
            return book

    def record(self, place: Place) -> dict[str, Any]:
        """What the run.json of an answer says.

        Raises:
            CorruptFile: if it cannot be read.
        """
        try:
            found = json.loads((Path(place.where) / "run.json").read_text())
        except (OSError, ValueError) as error:
            raise CorruptFile(
                f"the run.json of {place.name} cannot be read ({error}); run the inference again"
            ) from error
        if not isinstance(found, dict) or "options" not in found:
            raise CorruptFile(f"the run.json of {place.name} was not written by Quincunx")
        return found

    def close(self) -> None:
        """Let go of all books."""
        with self._lock:
            while self._books:
                self._books.popitem()[1].close()


def _in(root: str, names: dict[tuple[str, int], list[str]]) -> Iterator[Place]:
    """The places below a root; `names` keeps what the books that were seen before are called."""
    if "://" in root:
        database = database_at(root, read_only=True)
        try:
            with database.read() as connection:
                for name in connection.execute(select(schema.run.c.name).order_by(schema.run.c.name)).scalars():
                    yield Place.of("run", root, name)
        finally:
            database.close()
        return
    count = 0
    stack = [(Path(root), 0)]
    while stack and count < _MOST_FOLDERS:
        folder, depth = stack.pop()
        count += 1
        yield from _at(folder, names)
        if depth == _DEPTH:
            continue
        inside = _INSIDE_A_RUN if (folder / LEDGER).is_file() else set()
        try:
            with os.scandir(folder) as entries:
                below = [e.path for e in entries if not e.name.startswith(".") and e.is_dir(follow_symlinks=False)]
        except OSError:
            continue
        stack += [(Path(path), depth + 1) for path in sorted(below, reverse=True) if Path(path).name not in inside]


def _at(folder: Path, known: dict[tuple[str, int], list[str]]) -> Iterator[Place]:
    if (folder / LEDGER).is_file():
        # The same file holds the same run for good, so that it need not be opened at every look.
        same = (str(folder), (folder / LEDGER).stat().st_ino)
        names = known.get(same, [])
        if not names:
            try:
                database = database_at(folder, read_only=True)
                try:
                    with database.read() as connection:
                        found = connection.execute(select(schema.run.c.name).order_by(schema.run.c.name)).scalars()
                        names = known[same] = list(found)
                finally:
                    database.close()
            except QuincunxError:
                # A damaged book is shown, so that opening it says what is wrong.
                names = [folder.name]
        yield from (Place.of("run", str(folder), name) for name in names)
    if (folder / "run.json").is_file():
        yield Place.of("answer", str(folder), folder.name)
