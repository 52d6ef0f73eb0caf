"""Writing a file so that a killed writer or a lost power supply leaves the old file, the new one, or none: never half of one."""

import contextlib
import errno
import hashlib
import io
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from quincunx.errors import DiskFull, ReadOnlyFolder

__all__ = ["DRAFT", "HashedStream", "file_sha256", "may_write", "refusals", "write_durably"]

DRAFT = ".tmp-"
"""How the names of unfinished files begin; such a file belongs to nobody once its writer is gone."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_READ_ONLY = {errno.EACCES, errno.EPERM, errno.EROFS}


class HashedStream(io.RawIOBase):
    """A stream that hashes what passes through it on the way to a file, so that nothing is read a second time.

    It cannot seek, which tells writers of archives to put sizes behind the data instead of going back for them.

    >>> stream = HashedStream(io.BytesIO())
    >>> stream.write(b"abc"), stream.position, stream.sha256[:8]
    (3, 3, 'ba7816bf')
    """

    def __init__(self, raw: Any):
        self._raw = raw
        self._hash = hashlib.sha256()
        self.position = 0

    @property
    def sha256(self) -> str:
        """SHA-256 of everything written so far, in hexadecimal."""
        return self._hash.hexdigest()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        written = 0
        # A raw file may take less than it is given, most often when the disk is nearly full.
        while written < len(view):
            written += self._raw.write(view[written:])
        self._hash.update(view)
        self.position += len(view)
        return len(view)

    def flush(self) -> None:
        if not self._raw.closed:
            self._raw.flush()


def write_durably(folder: Path, fill: Callable[[HashedStream], object], name: Callable[[str], str]) -> tuple[Path, str]:
    """Write a file under a name that may depend on its hash; returns its path and its SHA-256.

    The bytes go to `.tmp-<uuid>` in the same folder, then to the disk, then the file takes its name, and then the name goes to
    the disk.

    Raises:
        DiskFull: if there is no room; nothing is left behind.
        ReadOnlyFolder: if the folder does not take new files.

    >>> import tempfile
    >>> path, sha = write_durably(Path(tempfile.mkdtemp()), lambda out: out.write(b"abc"), lambda sha: f"{sha[:8]}.txt")
    >>> path.name, path.read_bytes()
    ('ba7816bf.txt', b'abc')
    """
    draft = folder / f"{DRAFT}{uuid.uuid4().hex}"
    with refusals(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with open(draft, "wb", buffering=0) as raw:
                stream = HashedStream(raw)
                fill(stream)
                os.fsync(raw.fileno())
            path = folder / name(stream.sha256)
            os.replace(draft, path)
            _sync_folder(folder)
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
    return path, stream.sha256


@contextmanager
def refusals(folder: Path) -> Iterator[None]:
    """Say by name that the disk is full or the folder read-only, where the system says it by number.

    Raises:
        DiskFull, ReadOnlyFolder: for these; any other error passes.

    >>> with refusals(Path("run")):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
    quincunx.errors.DiskFull: there is no room left in 'run' (No space left on device); ...
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(
                f"there is no room left in '{folder}' ({error.strerror}); expected some for what is being written; "
                "free some and resume: what was written before is whole"
            ) from error
        if error.errno in _READ_ONLY:
            raise ReadOnlyFolder(
                f"nothing can be written in '{folder}' ({error.strerror}); expected a folder of yours; change its "
                "permissions or choose another, and resume"
            ) from error
        raise


def may_write(path: Path) -> bool:
    """Whether this process may write to a file or make files in a folder.

    >>> may_write(Path("/nowhere"))
    False
    """
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _sync_folder(folder: Path) -> None:
    # Elsewhere than on POSIX a folder cannot be opened, and a rename is durable by itself.
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "a"
    >>> _ = file.write_bytes(b"abc")
    >>> file_sha256(file)[:8]
    'ba7816bf'
    """
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
