"""Outcomes by content: what was computed once under a key is there for every later run, and for other processes."""

import os
import secrets
import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quincunx.errors import CorruptFile
from quincunx.model.command.scratch import writing

__all__ = ["Cache"]


@dataclass(frozen=True)
class Cache:
    """A directory with one entry a key: the numbers of an outcome, or the files that a stage hands on.

    An entry appears at once and whole, by renaming. Of several writers of one key the first wins. Failures are not kept.

    Raises:
        ScratchError: if it cannot be written to.

    >>> import tempfile
    >>> cache = Cache(tempfile.mkdtemp())
    >>> cache.put_arrays("ab12", {"x": np.ones(2)})
    >>> cache.arrays("ab12"), cache.arrays("cd34")
    ({'x': array([1., 1.])}, None)
    """

    root: str

    def arrays(self, key: str) -> dict[str, np.ndarray] | None:
        """The numbers kept under a key, by output, or None.

        Raises:
            CorruptFile: if the entry is damaged.
        """
        path = self._entry(key) / "arrays.npz"
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
            raise CorruptFile(
                f"the cached outcome '{path}' is damaged ({error}); expected a NumPy archive; delete {path.parent}"
            ) from error

    def files(self, key: str) -> dict[str, Path] | None:
        """The files kept under a key, by output, or None."""
        folder = self._entry(key) / "files"
        if not folder.is_dir():
            return None
        return {each.name: next(each.iterdir()) for each in sorted(folder.iterdir())}

    def put_arrays(self, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep the numbers of an outcome."""

        def fill(folder: Path) -> None:
            with open(folder / "arrays.npz", "wb") as stream:
                np.savez(stream, **dict(arrays))  # type: ignore[arg-type]
                os.fsync(stream.fileno())

        self._put(key, fill)

    def put_files(self, key: str, files: Mapping[str, Path]) -> None:
        """Keep copies of files, by output."""

        def fill(folder: Path) -> None:
            for name, path in files.items():
                place = folder / "files" / name
                place.mkdir(parents=True)
                shutil.copyfile(path, place / path.name)
                with open(place / path.name, "rb") as stream:
                    os.fsync(stream.fileno())

        self._put(key, fill)

    def _entry(self, key: str) -> Path:
        return Path(self.root) / key[:2] / key

    def _put(self, key: str, fill: Callable[[Path], None]) -> None:
        entry = self._entry(key)
        draft = entry.with_name(f"{key}.{secrets.token_hex(6)}.tmp")
        with writing(self.root):
            draft.mkdir(parents=True)
            try:
                fill(draft)
                # A directory that holds something is never replaced: whoever comes second discards its own.
                os.rename(draft, entry)
            except OSError:
                if not entry.is_dir():
                    raise
            finally:
                shutil.rmtree(draft, ignore_errors=True)
