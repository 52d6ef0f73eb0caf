"""Outputs of a command: which file, how it is read, and what shape the numbers must have."""

import glob
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from quincunx.errors import MissingExtra, SimulationFailed, UsageError
from quincunx.model.command.address import function_at, place_of
from quincunx.model.command.given import check_inside
from quincunx.model.command.readers import READERS, SUFFIXES, Select
from quincunx.notebook import from_fields

__all__ = ["STDOUT", "Output"]

STDOUT = "stdout"
"""The file in the scratch directory that holds what the program printed; `stderr` holds what it complained of."""


@dataclass(frozen=True)
class Output:
    """A file that a program leaves in its scratch directory, or `stdout`, and how numbers are read from it.

    `path` may be a pattern such as `out/*.csv`, which one file must match. `reader` is json, jsonl, csv, npy, npz, hdf5,
    parquet, regex or function, by default what the file's name suggests; `select` is a place in a document
    (`fit.values.0`), columns, an array's or dataset's name, a regular expression, or a function as
    `package.module:function`, which takes the file's path. Matches of an expression lie along an axis unless there is
    only one, its groups along another unless there is only one. `shape` is that of one simulation's numbers; where it is not
    given the first outcome sets it.

    Raises:
        UsageError: for an unknown reader, a reader without what it needs, or a path that leaves the scratch directory.

    >>> Output("result.json", select="infected")
    Output(path='result.json', reader='json', select='infected', shape=None)
    """

    path: str
    reader: str = ""
    select: Any = None
    shape: Sequence[int] | None = None

    def __post_init__(self) -> None:
        check_inside(self.path, "output")
        reader, select = self.reader or self._suggested(), self.select
        if callable(select):
            reader, select = "function", place_of(select)
        if reader not in READERS:
            raise UsageError(
                f"got the reader {reader!r} for the output '{self.path}'; expected one of {', '.join(READERS)}; "
                "name one of these"
            )
        if reader in ("regex", "function") and not select:
            raise UsageError(
                f"got the reader {reader} for '{self.path}' without `select`; expected "
                f"{'a pattern' if reader == 'regex' else 'package.module:function'}; add select='...'"
            )
        if reader == "function":
            function_at(str(select))
        chosen = tuple(select) if isinstance(select, (list, tuple)) else select
        object.__setattr__(self, "reader", reader)
        object.__setattr__(self, "select", chosen)
        object.__setattr__(self, "shape", None if self.shape is None else tuple(int(n) for n in self.shape))

    def _suggested(self) -> str:
        if callable(self.select):
            return "function"
        found = SUFFIXES.get(Path(self.path).suffix.lower())
        if found is None:
            raise UsageError(
                f"got the output '{self.path}' without a reader, and its name suggests none; expected one of "
                f"{', '.join(READERS)}; write Output('{self.path}', reader='...')"
            )
        return found

    @classmethod
    def of(cls, given: "Output | str | Mapping[str, Any] | Callable[..., Any]") -> "Output":
        """From a path alone, or from its fields in a mapping, as TOML gives them."""
        if isinstance(given, Output):
            return given
        if isinstance(given, str):
            return cls(given)
        fields = dict(given)
        unknown = sorted(set(fields) - {"path", "reader", "select", "shape"})
        if unknown or "path" not in fields:
            raise UsageError(
                f"got an output with {sorted(fields)}; expected path, and perhaps reader, select and shape; "
                f"{'remove ' + ', '.join(unknown) if unknown else 'add path'}"
            )
        return cls(**fields)

    @property
    def fixed(self) -> bool:
        """Whether the path is known beforehand, being no pattern."""
        return not glob.has_magic(self.path)

    def to_spec(self) -> dict[str, Any]:
        """As plain data: what an outcome depends on."""
        select = list(self.select) if isinstance(self.select, tuple) else self.select
        shape = None if self.shape is None else list(self.shape)
        return {"path": self.path, "reader": self.reader, "select": select, "shape": shape}

    def _arranged(self, raw: np.ndarray, leading: int) -> np.ndarray:
        """The `leading` axes of a batch and of events first, where the reader puts the places it was asked for first; without any, a
        single match of a pattern without an axis of matches."""
        several = isinstance(self.select, tuple) and self.reader in ("json", "regex")
        parts = list(raw) if several else [raw]
        if not leading and self.reader == "regex":
            parts = [part[0] if len(part) == 1 else part for part in parts]
        return np.stack(parts, axis=leading) if several else np.asarray(parts[0])

    def find(self, folder: Path) -> Path:
        """The one file that is meant.

        Raises:
            SimulationFailed: bad_output, if there is none or there are several, naming what there is.
        """
        found = [folder / self.path] if self.fixed else sorted(folder.glob(self.path))
        found = [path for path in found if path.is_file()]
        if len(found) == 1:
            return found[0]
        if found:
            names = [str(path.relative_to(folder)) for path in found]
            raise SimulationFailed("bad_output", f"{len(found)} files match '{self.path}': {names[:5]}; expected one")
        have = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        raise SimulationFailed("bad_output", f"the output '{self.path}' is missing; the program left {have[:10]}")

    def read(self, folder: Path, rows: int | None = None, events: int | None = None) -> np.ndarray:
        """The numbers of one simulation, or of a batch along a first axis of `rows`; of `events` along the axis after that.

        Raises:
            SimulationFailed: bad_output, if the file is missing, cannot be read, or has numbers of another shape.
            MissingExtra: if the reader needs a library that is not installed.
        """
        path = self.find(folder)
        select: Select = self.select
        try:
            raw = np.asarray(READERS[self.reader](path, select))
            if raw.dtype.kind not in "fiub":
                raise TypeError(f"the numbers are of dtype {raw.dtype}")
            raw = self._arranged(raw, leading=(rows is not None) + (events is not None))
        except (MissingExtra, UsageError):
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise SimulationFailed(
                "bad_output", f"'{self.path}' cannot be read as {self.reader} ({reason[:300]})"
            ) from error
        array = raw.astype(np.float64)
        if rows is not None and (array.ndim == 0 or len(array) != rows):
            raise SimulationFailed(
                "bad_output", f"'{self.path}' holds shape {array.shape}; expected a first axis of {rows}, one row each"
            )
        one = array.shape if rows is None else array.shape[1:]
        if events is not None:
            found = one[0] if one else None
            if found != events:
                said = f"{found} events" if one else "a single number"
                raise SimulationFailed(
                    "bad_output",
                    f"'{self.path}' holds {said}; expected the {events} that were asked for by {{events}}, one row each",
                )
            one = one[1:]
        if self.shape == (1,) and one == ():
            return array[..., None]
        if self.shape is not None and one != self.shape:
            raise SimulationFailed("bad_output", f"'{self.path}' holds shape {one}; expected {self.shape} as declared")
        return array

    _repr_html_ = from_fields
