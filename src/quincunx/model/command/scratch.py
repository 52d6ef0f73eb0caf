"""The scratch directory of one run: unique, private, and gone afterwards unless it is to be kept."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from quincunx.errors import ScratchError, SimulationFailed

__all__ = ["KEEP", "Keep", "scratch", "shorten", "tail", "writing"]

Keep = Literal["never", "on_failure", "always"]
KEEP: tuple[Keep, ...] = ("never", "on_failure", "always")

_KEPT_BYTES = 1_000_000
_TAIL_CHARACTERS = 2000


@contextmanager
def scratch(root: str | None, name: str, keep: Keep) -> Iterator[Path]:
    """A new directory below `root` (or the system's temporary one), whose name starts with `name`.

    What it holds of `stdout` and `stderr` is cut to its head and tail, 1 MB in all, where it is kept. A failure in it
    says where it was kept.

    >>> with scratch(None, "doctest", "never") as folder:
    ...     there = folder.is_dir()
    >>> there, folder.exists()
    (True, False)
    """
    with writing(root or tempfile.gettempdir()):
        if root is not None:
            os.makedirs(root, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=root)).resolve()
    kept = keep == "always"
    try:
        yield folder
    except SimulationFailed as failure:
        kept = keep != "never"
        if not kept:
            raise
        where = f"{failure.detail}; its files are kept in {folder}"
        raise SimulationFailed(failure.outcome, where, failure.stderr) from failure
    except Exception:
        kept = keep != "never"
        raise
    finally:
        if kept:
            for stream in ("stdout", "stderr"):
                shorten(folder / stream, _KEPT_BYTES)
        else:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def writing(folder: str | Path) -> Iterator[None]:
    """Say of what cannot be written that it is no simulation's fault.

    Raises:
        ScratchError: naming the directory and what the system says.

    >>> with writing("/data"):
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
        ...
    quincunx.errors.ScratchError: got '/data', which cannot be written to ([Errno 28] No space left on device); expected ...
    """
    try:
        yield
    except OSError as error:
        raise ScratchError(
            f"got '{folder}', which cannot be written to ({error}); expected a directory with room for the files of "
            "simulations; make room, or name another as `scratch` or `cache`"
        ) from error


def shorten(path: Path, size: int) -> None:
    """Cut the middle out of a long file, saying how much.

    >>> path = Path(tempfile.mkdtemp()) / "stdout"
    >>> _ = path.write_text("a" * 50 + "b" * 50)
    >>> shorten(path, 20)
    >>> path.read_text()
    'aaaaaaaaaa\\n[80 bytes left out]\\nbbbbbbbbbb'
    """
    if not path.is_file() or path.stat().st_size <= size:
        return
    half, whole = size // 2, path.stat().st_size
    with open(path, "r+b") as stream:
        head = stream.read(half)
        stream.seek(whole - half)
        end = stream.read()
        stream.seek(0)
        stream.write(head + f"\n[{whole - 2 * half} bytes left out]\n".encode() + end)
        stream.truncate()


def tail(path: Path) -> str:
    """The end of a text, at most 2000 characters, without the space around it.

    >>> path = Path(tempfile.mkdtemp()) / "stderr"
    >>> _ = path.write_text("no such isotope\\n")
    >>> tail(path)
    'no such isotope'
    """
    if not path.is_file():
        return ""
    with open(path, "rb") as stream:
        stream.seek(max(0, path.stat().st_size - 4 * _TAIL_CHARACTERS))
        return stream.read().decode(errors="replace").strip()[-_TAIL_CHARACTERS:]
