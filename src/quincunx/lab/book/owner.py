"""Who holds a lease: a name that tells the machine and the process, so that the dead can be told from the slow."""

import os
import socket
import uuid
from pathlib import Path

__all__ = ["is_dead", "new_owner"]


def new_owner() -> str:
    """A name for this process, another at each call: machine, process and a random part.

    >>> len(new_owner().split("/"))
    4
    >>> is_dead(new_owner())
    False
    """
    return f"{_machine()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"


def is_dead(owner: str) -> bool:
    """Whether the owner is known to have ended: a process of this machine, since it was last started, that is no more.

    Of other machines' processes, and of names of another form, nothing is known.

    >>> is_dead("someone"), is_dead(f"{_machine()}/999999999/00000000")
    (False, True)
    """
    parts = owner.split("/")
    if len(parts) != 4 or f"{parts[0]}/{parts[1]}" != _machine() or not parts[2].isdigit():
        return False
    try:
        os.kill(int(parts[2]), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        return False
    return False


def _machine() -> str:
    """Host, and what tells apart its starts and its containers, whose process numbers are others."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
        space = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        boot, space = "", ""
    return f"{socket.gethostname()}/{boot}-{space}"
