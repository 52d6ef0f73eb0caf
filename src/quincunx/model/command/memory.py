"""How much memory a program and all that it started hold, from Linux's /proc."""

import os
from pathlib import Path

__all__ = ["can_measure", "resident"]

_PROC = Path("/proc")


def can_measure() -> bool:
    """Whether this system tells: Linux does."""
    return (_PROC / "self" / "statm").is_file()


def resident(session: int) -> int:
    """Resident bytes of every process of a session, shared pages counted once for each.

    >>> resident(os.getsid(0)) > 1_000_000 if can_measure() else True
    True
    """
    total, page = 0, os.sysconf("SC_PAGE_SIZE")
    for folder in os.listdir(_PROC):
        if not folder.isdigit():
            continue
        try:
            # The name in brackets may hold spaces; what follows it does not.
            fields = (_PROC / folder / "stat").read_text().rsplit(")", 1)[1].split()
            if int(fields[3]) == session:
                total += int((_PROC / folder / "statm").read_text().split()[1]) * page
        except (OSError, IndexError):
            # It ended while it was looked at.
            continue
    return total
