"""What is to be mined, as text that travels to other processes and is written down in books."""

import json
from functools import lru_cache
from typing import Any

import numpy as np

from quincunx.model.reference import Reference

__all__ = ["gold_in", "gold_text"]

_EACH = "each"


def gold_text(gold: bool | Reference) -> str | None:
    """The `gold` of `simulate` as JSON: None for nothing, true for the score alone, "each", or the reference's points by name.

    >>> gold_text(False), gold_text(True), gold_text(Reference.each()), gold_text(Reference.at(mu=0.5))
    (None, 'true', '"each"', '{"mu": [0.5]}')
    """
    if not isinstance(gold, Reference):
        return "true" if gold else None
    if gold.drawn:
        return json.dumps(_EACH)
    # A float32 is a double exactly, whose text is read back to the bit.
    points = {name: np.asarray(value, np.float32).tolist() for name, value in (gold.points or {}).items()}
    return json.dumps(points, sort_keys=True)


@lru_cache(maxsize=16)
def gold_in(text: str | None) -> bool | Reference:
    """The inverse of `gold_text`.

    >>> gold_in(None), gold_in("true"), gold_in('"each"'), gold_in('{"mu": [0.5]}')
    (False, True, Reference(each row draws its own), Reference(mu=0.5))
    """
    told: Any = None if text is None else json.loads(text)
    if isinstance(told, dict):
        return Reference.mixture(told)
    return Reference.each() if told == _EACH else bool(told)
