"""Fewer vertices in the paths of an SVG, without a difference that an eye could see."""

import re

import numpy as np
from jaxtyping import Bool, Float

TOLERANCE = 0.12
"""Points (1/72 inch) by which a thinned line may differ from the one drawn."""

_MOVE = re.compile(r"([MLQCz])([^MLQCz]*)")


def kept_vertices(points: Float[np.ndarray, "n 2"], tolerance: float = TOLERANCE) -> Bool[np.ndarray, " n"]:
    """Vertices of a polyline to keep so that no other is farther than `tolerance` from it (Douglas and Peucker 1973).

    >>> kept_vertices(np.array([[0, 0], [1, 0.01], [2, 0], [2, 5]], dtype=float)).tolist()
    [True, False, True, True]
    """
    keep = np.zeros(len(points), dtype=bool)
    keep[[0, -1]] = True
    pending = [(0, len(points) - 1)]
    while pending:
        first, last = pending.pop()
        if last - first < 2:
            continue
        chord = points[last] - points[first]
        offset = points[first + 1 : last] - points[first]
        length = float(np.hypot(*chord))
        # Distance from the chord as a segment: a spike beyond its ends, or a ring that ends where it starts, must stay.
        along = np.clip(offset @ chord / length**2, 0.0, 1.0) if length > 0 else np.zeros(len(offset))
        distance = np.hypot(*(offset - along[:, None] * chord).T)
        farthest = int(np.argmax(distance))
        if distance[farthest] > tolerance:
            middle = first + 1 + farthest
            keep[middle] = True
            pending += [(first, middle), (middle, last)]
    return keep


def thin_path(data: str) -> str:
    """The `d` of an SVG path: straight runs thinned, numbers to a hundredth; curves keep every point.

    >>> thin_path("M 0 0 L 1.0001 0.0001 L 2.00001 0 L 2 5 z")
    'M0 0L2 0 2 5z'
    """
    out: list[str] = []
    run: list[tuple[float, ...]] = []

    def close_run() -> None:
        if run:
            points = np.array(run, dtype=float)
            chosen = points[kept_vertices(points)] if len(points) > 2 else points
            pairs = [f"{_short(x)} {_short(y)}" for x, y in chosen]
            out.append("M" + pairs[0] + ("L" + " ".join(pairs[1:]) if len(pairs) > 1 else ""))
            run.clear()

    for command, numbers in _MOVE.findall(data):
        values = tuple(float(number) for number in numbers.split())
        if command == "M":
            close_run()
            run.append(values)
        elif command == "L" and run:
            run.append(values)
        else:
            close_run()
            out.append(command + " ".join(_short(value) for value in values))
    close_run()
    return "".join(out)


def _short(value: float) -> str:
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
