"""What can be drawn of a place, and of several side by side."""

import hashlib
import json
from pathlib import Path

from quincunx import plot
from quincunx.studio.answer_pictures import answer_sheets
from quincunx.studio.facts import compared
from quincunx.studio.run_pictures import run_sheets
from quincunx.studio.sheet import PARAMETERS, Sheet
from quincunx.studio.shelf import Place, Shelf

__all__ = ["comparison", "sheets_of"]


def sheets_of(shelf: Shelf, place: Place) -> list[Sheet]:
    """What can be drawn of a place at this moment."""
    return run_sheets(shelf.book(place)) if place.kind == "run" else answer_sheets(Path(place.where))


def comparison(shelf: Shelf, ids: list[str]) -> Sheet:
    """The intervals of several places, side by side."""
    """The intervals of several places, side by side."""
    told = compared(shelf, ids)
    rows = [place["name"] for place in told["places"]]
    summaries = {
        name: [(place.get("summary") or {}).get(name) for place in told["places"]]
        for name in told["parameters"][:PARAMETERS]
    }
    version = hashlib.sha256(json.dumps(summaries, default=str).encode()).hexdigest()[:16]
    return Sheet(
        "compare", "Side by side", "Means, 68 % (thick) and 95 % intervals (thin).", "Intervals of each answer.", version,
        lambda: plot.compared_intervals(rows, summaries) if summaries else None,
    )  # fmt: skip
