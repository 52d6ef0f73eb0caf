"""What a run ran in: versions, platform, command line, and the commit with a hash of what differs from it."""

import hashlib
import shlex
import subprocess
import sys
from importlib import metadata
from typing import Any

from quincunx.lab.report.provenance import surroundings

__all__ = ["environment"]


def environment() -> dict[str, Any]:
    """Every installed package with its version, platform, time and command line; in a Git repository, the commit, and the SHA-256
    of the difference from it where there is one.

    >>> {"quincunx", "packages", "platform", "command"} <= set(environment())
    True
    """
    found = surroundings()
    return {
        "quincunx": found["versions"]["quincunx"],
        "python": found["versions"]["python"],
        "platform": found["platform"],
        "written": found["written"],
        "command": shlex.join(sys.argv),
        "commit": found.get("commit"),
        "difference": _difference() if found.get("commit", "").endswith("with changes") else None,
        "packages": dict(sorted({d.name.lower(): d.version for d in metadata.distributions() if d.name}.items())),
    }


def _difference() -> str | None:
    try:
        done = subprocess.run(["git", "diff", "--binary", "HEAD"], check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return hashlib.sha256(done.stdout).hexdigest()
