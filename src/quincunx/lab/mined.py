"""What is mined in a round, as the lab book has it."""

from dataclasses import dataclass

from quincunx.errors import UsageError
from quincunx.lab.book.book import Book
from quincunx.model.reference import Reference
from quincunx.model.simulator import Simulator
from quincunx.run.mining import tells, vein_of
from quincunx.run.order import gold_in, gold_text

__all__ = ["Mined", "mined_in"]

_EVENT = "mines"


@dataclass(frozen=True)
class Mined:
    """The gold of a round, by `gold_text`, and whether latents are kept.

    >>> Mined().asked(True, None, round=0, begun=False)
    Mined(gold='true', latents=False)
    """

    gold: str | None = None
    latents: bool = False

    def asked(self, gold: bool | Reference | None, latents: bool | None, *, round: int, begun: bool) -> "Mined":
        """This, with what is asked for in its place; where a round has begun, both must be the same.

        Raises:
            UsageError: if they are not.
        """
        wanted = Mined(
            self.gold if gold is None else gold_text(gold), self.latents if latents is None else bool(latents)
        )
        if begun and wanted != self:
            raise UsageError(
                f"got gold={gold_in(wanted.gold)} and latents={wanted.latents} for round {round}; expected gold={gold_in(self.gold)} and "
                f"latents={self.latents}, with which it was begun; leave them out, or simulate another round or run"
            )
        return wanted

    def check(self, simulator: Simulator) -> None:
        """Refuse what the simulator cannot tell. Raises as `tells` and `vein_of`."""
        if not tells(simulator, gold_in(self.gold), self.latents):
            vein_of(simulator, gold_in(self.gold), self.latents, None)

    def note(self, book: Book, round: int) -> None:
        """Write it down, unless it is there already or nothing is mined."""
        if self != mined_in(book, round):
            book.note(_EVENT, decision=True, round=round, gold=self.gold, latents=self.latents)


def mined_in(book: Book, round: int) -> Mined:
    """What is mined in a round of a book; nothing, where it does not say.

    >>> import tempfile, quincunx as qx
    >>> mined_in(qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0), 0)
    Mined(gold=None, latents=False)
    """
    told = [event.facts for event in book.events(_EVENT) if event.facts["round"] == round]
    return Mined(told[-1]["gold"], told[-1]["latents"]) if told else Mined()
