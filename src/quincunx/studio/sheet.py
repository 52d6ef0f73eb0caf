"""A picture that can be drawn, and who draws it: one at a time, kept while what it shows stays the same."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from quincunx import plot
from quincunx.errors import UnknownRun

__all__ = ["DRAWS", "PARAMETERS", "Drawer", "Sheet"]

DRAWS = 4000
"""Posterior draws in a picture, at most."""

PARAMETERS = 8
"""Parameters in a picture, at most."""


@dataclass(frozen=True)
class Sheet:
    """A picture that can be drawn: its name in addresses, a title, a caption, and a text for who cannot see it."""

    name: str
    title: str
    caption: str
    alt: str
    version: str
    draw: Callable[[], Figure | None]

    def facts(self) -> dict[str, str]:
        """As the page is told of it."""
        return {name: getattr(self, name) for name in ("name", "title", "caption", "alt", "version")}


class Drawer:
    """Draws sheets one at a time, since Matplotlib's settings are shared, and keeps the last few dozen.

    >>> drawer = Drawer()
    >>> sheet = Sheet("a", "A", "Nothing.", "Nothing.", "1", lambda: Figure(figsize=(1.0, 1.0)))
    >>> drawer.svg("place", sheet)[:4]
    '<svg'
    """

    def __init__(self, most: int = 48):
        self.most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str, str], str] = OrderedDict()

    def kept(self, place: str, sheet: Sheet) -> str | None:
        """The picture, if it was drawn before, at no cost and without a turn."""
        return self._kept.get((place, sheet.name, sheet.version))

    def svg(self, place: str, sheet: Sheet) -> str:
        """The picture as an SVG document.

        Raises:
            UnknownRun: if what it shows is not there any more.
        """
        at = (place, sheet.name, sheet.version)
        with self._lock:
            if at in self._kept:
                self._kept.move_to_end(at)
                return self._kept[at]
            figure = sheet.draw()
            if figure is None:
                raise UnknownRun(f"there is no picture '{sheet.name}' of this any more; load the page again")
            found = plot.svg_text(figure, alt=sheet.alt)
            self._kept[at] = found
            while len(self._kept) > self.most:
                self._kept.popitem(last=False)
            return found
