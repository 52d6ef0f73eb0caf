"""The axis along which one outcome's numbers are a series, as far as their names tell."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True, eq=False)
class Axis:
    """What the numbers of a series stand along: days, distances, bins."""

    name: str
    values: Float[np.ndarray, " n"] | Int[np.ndarray, " n"]
    unit: str | None = None


_NUMBERED = re.compile(r"^(.*\S)\s+(-?\d+(?:\.\d+)?)$")


def numbered_axis(columns: Sequence[str]) -> Axis | None:
    """The axis when all names are one phrase with rising numbers; None when they are not.

    >>> axis = numbered_axis(["in bed on day 1", "in bed on day 2", "in bed on day 4"])
    >>> axis.name, axis.values.tolist()
    ('in bed on day', [1.0, 2.0, 4.0])
    >>> numbered_axis(["x[0]", "x[1]"]) is None
    True
    """
    found = [_NUMBERED.match(column) for column in columns]
    phrases = {match.group(1) if match else None for match in found}
    if len(columns) < 2 or len(phrases) != 1 or None in phrases:
        return None
    values = np.array([float(match.group(2)) for match in found if match])
    return Axis(phrases.pop() or "", values) if np.all(np.diff(values) > 0) else None
