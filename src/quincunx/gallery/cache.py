"""Where reference draws that cost minutes are kept between sessions."""

import os
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np


def cache_directory() -> Path:
    """The user's cache directory for Quincunx; the environment variable `QUINCUNX_CACHE` overrides it.

    >>> import os
    >>> before, os.environ["QUINCUNX_CACHE"] = os.environ.get("QUINCUNX_CACHE"), "elsewhere"
    >>> cache_directory().name
    'elsewhere'
    >>> _ = os.environ.pop("QUINCUNX_CACHE") if before is None else os.environ.update(QUINCUNX_CACHE=before)
    """
    chosen = os.environ.get("QUINCUNX_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "quincunx"


def read_arrays(name: str) -> dict[str, np.ndarray] | None:
    """The arrays cached under a name, or None when there are none or the file is damaged.

    A cache may be thrown away at any time, so a damaged file is the same as no file.
    """
    try:
        with np.load(_path(name), allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def write_arrays(name: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Cache arrays under a name, whole or not at all; a directory that cannot be written to is no error."""
    target = _path(name)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, suffix=".tmp")
    except OSError:
        return
    try:
        with os.fdopen(descriptor, "wb") as file:
            np.savez(file, **arrays)
        os.replace(temporary, target)
    except OSError:
        Path(temporary).unlink(missing_ok=True)


def _path(name: str) -> Path:
    return cache_directory() / "references" / f"{name}.npz"
