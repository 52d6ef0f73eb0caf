"""How a simulation went: one code a row, kept with the outcomes."""

import numpy as np
from jaxtyping import UInt8

from quincunx.errors import SimulationFailed

__all__ = [
    "BAD_OUTPUT",
    "CANCELLED",
    "FAILED",
    "LOST",
    "MEMORY",
    "NAMES",
    "NON_FINITE",
    "OK",
    "RAISED",
    "SIGNAL",
    "TIMEOUT",
    "code_of",
    "counted",
]

OK = 0
"""A finite outcome."""
NON_FINITE = 1
"""NaN or infinity in the outcome."""
RAISED = 2
"""A Python exception instead of an outcome."""
FAILED = 3
"""A program that ended with an exit code other than zero."""
SIGNAL = 4
"""A program ended by a signal."""
TIMEOUT = 5
"""No outcome within the time allowed."""
MEMORY = 6
"""More memory than allowed."""
BAD_OUTPUT = 7
"""An outcome that is missing, cannot be read, or has another shape."""
LOST = 8
"""The process that ran it is gone."""
CANCELLED = 9
"""Stopped before it was done, by whoever asked for it."""

NAMES = (
    "ok",
    "not finite",
    "raised",
    "failed",
    "signal",
    "timeout",
    "oom",
    "bad output",
    "lost",
    "cancelled",
)
"""What each code is called, by code."""

_CODES = {
    "failed": FAILED,
    "signal": SIGNAL,
    "timeout": TIMEOUT,
    "oom": MEMORY,
    "bad_output": BAD_OUTPUT,
    "lost": LOST,
    "cancelled": CANCELLED,
}


def code_of(error: BaseException) -> int:
    """The code of a simulation that ended in an exception.

    >>> code_of(SimulationFailed("timeout", "no result within 5 s")), code_of(ValueError("no root"))
    (5, 2)
    """
    return _CODES.get(error.outcome, RAISED) if isinstance(error, SimulationFailed) else RAISED


def counted(status: UInt8[np.ndarray, " n"]) -> str:
    """How many rows failed, by the way in which they did; raised and not finite are always said.

    >>> counted(np.array([0, 2, 2, 5], np.uint8))
    '2 raised, 0 not finite, 1 timeout'
    """
    counts = np.bincount(status, minlength=len(NAMES))
    others = [code for code in range(FAILED, len(NAMES)) if counts[code]]
    return ", ".join(f"{counts[code]} {NAMES[code]}" for code in (RAISED, NON_FINITE, *others))
