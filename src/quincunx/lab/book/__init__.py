"""The lab book: what is written down of a run while it goes on, so that it survives whatever happens."""

from quincunx.lab.book.artefacts import Artefact
from quincunx.lab.book.book import Book
from quincunx.lab.book.coordinator import Coordinator
from quincunx.lab.book.fingerprint import fingerprint
from quincunx.lab.book.leases import Lease
from quincunx.lab.book.notes import Event, Failure
from quincunx.lab.book.opening import begin_book, migrate_book, open_book
from quincunx.lab.book.owner import new_owner
from quincunx.lab.book.provenance import Origin, Provenance
from quincunx.lab.book.recovery import Recovery
from quincunx.lab.book.rounds import Round
from quincunx.lab.book.standing import Holder, Standing, standing

__all__ = [
    "Artefact",
    "Book",
    "Coordinator",
    "Event",
    "Failure",
    "Holder",
    "Lease",
    "Origin",
    "Provenance",
    "Recovery",
    "Round",
    "Standing",
    "begin_book",
    "fingerprint",
    "migrate_book",
    "new_owner",
    "open_book",
    "standing",
]
