"""What a book says of its study's answer, from the record alone: nothing that simulates is needed to say it."""

from typing import Any

from quincunx.lab.book.reading import Reading

__all__ = ["DRAWN", "answer_standing"]

DRAWN = "answer draws"
"""What kind of artefact the draws of an answer are in the lab book."""


def answer_standing(book: Reading) -> dict[str, Any] | None:
    """The newest answer whose draws the book keeps: method, simulations, parameters and their summary, as plain facts; None without one.

    >>> import tempfile, quincunx as qx
    >>> answer_standing(qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)) is None
    True
    """
    kept = book.artefacts(DRAWN)
    if not kept:
        return None
    return {**kept[-1].facts, "sha256": kept[-1].sha256}
