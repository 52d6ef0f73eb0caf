"""Experimental settings: the same for every simulation, one per simulation, or drawn from a prior over them."""

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from quincunx.errors import NameMismatch, ShapeMismatch

__all__ = ["design_at", "spread_design", "takes_design"]


def spread_design(design: Mapping[str, Any] | None, n: int) -> dict[str, np.ndarray] | None:
    """Settings with a leading axis of `n`, one row for each simulation.

    A setting whose first axis is `n` long is one per simulation; any other, and a tuple whatever its length, is repeated, without taking memory.

    Raises:
        NameMismatch: if the names are not strings.
        ShapeMismatch: if a setting is not numeric.

    >>> spread_design({"dose": 2.0, "time": [1.0, 2.0, 3.0]}, 3)["dose"]
    array([2., 2., 2.], dtype=float32)
    """
    if design is None:
        return None
    spread = {}
    for name, value in design.items():
        if not isinstance(name, str):
            raise NameMismatch(
                f"got the design setting {name!r}; expected names as strings; write design={{'dose': 2.0}}"
            )
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise ShapeMismatch(
                f"got design setting '{name}' of dtype {array.dtype}; expected numbers; encode choices as numbers"
            )
        if array.dtype.kind == "f":
            array = array.astype(np.float32, copy=False)
        each = array.ndim > 0 and len(array) == n and n > 1 and not isinstance(value, tuple)
        # A repeated setting is a view with stride 0.
        spread[name] = array if each else np.broadcast_to(array, (n, *array.shape))
    return spread


def design_at(spread: Mapping[str, Any] | None, index: int) -> dict[str, Any] | None:
    """The settings of one simulation.

    >>> design_at({"dose": np.array([1.0, 2.0])}, 1)
    {'dose': np.float64(2.0)}
    """
    return None if spread is None else {name: value[index] for name, value in spread.items()}


@lru_cache(maxsize=256)
def takes_design(function: Callable[..., Any]) -> bool:
    """Whether a function has a parameter `design`; one without is one that no setting changes.

    >>> takes_design(lambda theta, x, design=None: 0.0), takes_design(lambda theta, x: 0.0)
    (True, False)
    """
    return "design" in inspect.signature(function).parameters
