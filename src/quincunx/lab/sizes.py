"""How large a batch should be: a few seconds of work, in a shard that is neither tiny nor huge."""

import math
from dataclasses import dataclass, replace

__all__ = ["Size"]

_AIM = 3.0
_ENOUGH = 0.3
_LEAST = 1.0
_SHARD = 32e6
_GROWTH = 32
_FASTEST = 1e-8


@dataclass(frozen=True)
class Size:
    """The next batch's size, and whether it has been found, learnt from how long batches took.

    One call of a batched function may cost much before its first simulation is begun, as a program's start does. Its cost is taken as
    overhead + n * slope, and its batches are as long as makes the overhead a fifth or less.

    >>> size = Size(batched=False).after(1, 0.01, 100)
    >>> size.n, size.found, size.after(32, 0.32, 3200).n, size.after(32, 0.32, 3200).found
    (32, False, 300, True)
    >>> size = Size(batched=True).after(1, 2.01, 100).after(8, 2.08, 800)
    >>> size.n, size.found
    (256, False)
    """

    batched: bool
    n: int = 1
    found: bool = False
    each: float = float("inf")
    first: tuple[int, float] | None = None

    def after(self, n: int, seconds: float, size: int) -> "Size":
        """What is known once `n` simulations have taken so many seconds and a shard of so many bytes."""
        first = self.first or (n, seconds)
        each = min(self.each, seconds / n)
        most = max(1, int(_SHARD * n / max(size, 1)))
        if self.batched and n == first[0]:
            return replace(self, n=min(8 * n, most), each=each, first=first, found=8 * n > most)
        overhead = 0.0
        slope = max(seconds / n, _FASTEST)
        if self.batched:
            slope = max((seconds - first[1]) / (n - first[0]), _FASTEST)
            overhead = max(0.0, first[1] - slope * first[0])
        wanted = max(1, int(min(max(_AIM, 5 * overhead) / slope, 2**31)))
        grown = min(wanted, most, _GROWTH * n)
        found = grown == most or (seconds >= _ENOUGH + overhead and grown == wanted) or grown <= n
        return replace(self, n=grown, each=each, first=first, found=found)

    def shared(self, left: int, workers: int) -> int:
        """The size for `left` simulations on so many workers: smaller, so that all have work to the end, if it is not too small."""
        worth = math.ceil(min(_LEAST / max(self.each, _FASTEST), 2**31))
        return max(1, min(self.n, max(worth, math.ceil(left / (4 * workers)))))
