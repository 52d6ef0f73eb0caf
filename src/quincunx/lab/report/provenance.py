"""Where a result comes from: versions, platform, commit, and a fingerprint of the simulations."""

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import numpy as np
from jaxtyping import Shaped

from quincunx._version import __version__

_LIBRARIES = ("jax", "jaxlib", "equinox", "optax", "numpyro", "blackjax", "diffrax", "numpy", "scipy", "matplotlib")


def surroundings() -> dict[str, Any]:
    """Versions, platform, time and, inside a Git repository, the commit; no name of a person, machine or folder.

    >>> "versions" in surroundings()
    True
    """
    found = {"quincunx": __version__, "python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    said: dict[str, Any] = {
        "versions": found,
        "platform": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
    }
    commit = git_commit()
    return said | {"commit": commit} if commit else said


def git_commit() -> str | None:
    """The commit of the working directory, marked where files differ from it; None outside a repository or without Git.

    >>> commit = git_commit()
    >>> commit is None or len(commit.split()[0]) >= 7
    True
    """
    try:
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit} with changes" if changed else commit


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], check=True, capture_output=True, text=True, timeout=5)
    return done.stdout.strip()


def fingerprint(arrays: Iterable[Shaped[np.ndarray, "..."]]) -> str:
    """SHA-256 of shapes, types and contents, in order.

    >>> zeros, ones = np.zeros(3), np.ones(3)
    >>> fingerprint([zeros]) == fingerprint([zeros.copy()]), fingerprint([zeros]) == fingerprint([ones])
    (True, False)
    """
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.dtype.str}{array.shape}".encode())
        total.update(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
    return total.hexdigest()
