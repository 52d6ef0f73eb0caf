"""How many rows of a plain simulator to run at a time, learnt from how long the last ones took."""

from dataclasses import dataclass, replace

__all__ = ["Pace"]

_PIECE_SECONDS = 0.5
_BATCH_SECONDS = 5.0
_MOST = 65_536
_FASTEST = 1e-7


@dataclass(frozen=True)
class Pace:
    """The next piece's size, the least seconds a row was seen to take, and whether pieces still grow.

    One call of a batched function may cost much before its first row is begun, as a program's start does. Its cost is
    taken as overhead + rows * slope, and its pieces grow until the overhead is a third of it or less.

    >>> pace = Pace(batched=False).after(1, 0.01)
    >>> pace.size, pace.after(4, 0.04).size, pace.after(4, 4.0).size
    (4, 16, 16)
    >>> pace = Pace(batched=True).after(1, 2.1).after(4, 2.4)
    >>> pace.size, pace.growing, pace.after(16, 3.6).size, pace.after(16, 3.6).after(50, 7.0).growing
    (16, True, 50, False)
    """

    batched: bool
    size: int = 1
    seconds_each: float = float("inf")
    growing: bool = True
    first: tuple[int, float] | None = None

    def after(self, rows: int, seconds: float) -> "Pace":
        """The pace once a piece of so many rows has taken so long."""
        # The least seen: first calls pay for imports and caches.
        each = min(self.seconds_each, seconds / rows)
        first = self.first or (rows, seconds)
        wanted = self._batch(first, rows, seconds) if self.batched else _PIECE_SECONDS / max(each, _FASTEST)
        size = max(1, min(4 * self.size, int(min(wanted, _MOST))))
        return replace(self, size=size, seconds_each=each, growing=size > self.size, first=first)

    def _batch(self, first: tuple[int, float], rows: int, seconds: float) -> float:
        if rows == first[0]:
            return 4.0 * rows
        slope = max((seconds - first[1]) / (rows - first[0]), _FASTEST)
        overhead = max(0.0, first[1] - slope * first[0])
        return max(_BATCH_SECONDS, 2 * overhead) / slope
