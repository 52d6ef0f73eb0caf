"""Reading what a program wrote, as an array of numbers; nothing that is read is ever executed."""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from quincunx.errors import MissingExtra
from quincunx.model.command.address import function_at

__all__ = ["READERS", "SUFFIXES", "Select"]

Select = str | tuple[str, ...] | None


def read_json(path: Path, select: Select) -> Any:
    """A number or lists of numbers at a place in the document, such as `fit.values.0`; several places make one array."""
    return _places(json.loads(path.read_text(encoding="utf-8")), select)


def read_jsonl(path: Path, select: Select) -> Any:
    """One document a line; the same place of each, along the first axis."""
    return [_places(json.loads(line), select) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def read_csv(path: Path, select: Select) -> Any:
    """A table with a header: one column (rows,), or several or all (rows, columns)."""
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    if not rows:
        raise ValueError("the table is empty; expected a header line")
    header, body = [name.strip() for name in rows[0]], [row for row in rows[1:] if row]
    uneven = next((i for i, row in enumerate(body) if len(row) != len(header)), None)
    if uneven is not None:
        raise ValueError(f"row {uneven + 1} has {len(body[uneven])} cells; the header has {len(header)}")
    wanted = _columns(header, select)
    table = [[float(row[header.index(name)]) for name in wanted] for row in body]
    array = np.asarray(table, float).reshape(len(body), len(wanted))
    return array[:, 0] if isinstance(select, str) else array


def read_npy(path: Path, select: Select) -> Any:
    """A NumPy array; one of Python objects is refused, because reading it could run code."""
    return np.load(path, allow_pickle=False)


def read_npz(path: Path, select: Select) -> Any:
    """One array of a NumPy archive, by name; the only one needs no name."""
    with np.load(path, allow_pickle=False) as archive:
        return archive[_one(list(archive.files), select, "array")]


def read_hdf5(path: Path, select: Select) -> Any:
    """One dataset of an HDF5 file, by its path within."""
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise MissingExtra("hdf5", "reading HDF5") from error
    with h5py.File(path, "r") as file:
        found: list[str] = []
        file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
        name = select.strip("/") if isinstance(select, str) else select
        return np.asarray(file[_one(found, name, "dataset")])


def read_parquet(path: Path, select: Select) -> Any:
    """Columns of a Parquet file, as `read_csv`."""
    try:
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise MissingExtra("parquet", "reading Parquet") from error
    table = parquet.read_table(path)
    wanted = _columns(list(table.column_names), select)
    array = np.stack([np.asarray(table.column(name).to_numpy()) for name in wanted], axis=1)
    return array[:, 0] if isinstance(select, str) else array


def read_regex(path: Path, select: Select) -> Any:
    """Every match of a regular expression in a text, along the first axis: its groups, or the whole of it where it has
    none; several groups lie along the last axis."""
    patterns = [select] if isinstance(select, str) else list(select or ())
    text = path.read_text(encoding="utf-8", errors="replace")
    found = []
    for pattern in patterns:
        matches = [match.groups() or (match[0],) for match in re.finditer(pattern, text, re.MULTILINE)]
        if not matches:
            raise ValueError(f"no match of {pattern!r}; the text ends with {text[-200:]!r}")
        numbers = np.asarray([[float(group) for group in groups] for groups in matches])
        found.append(numbers[:, 0] if numbers.shape[1] == 1 else numbers)
    return found[0] if isinstance(select, str) else found


def read_by_function(path: Path, select: Select) -> Any:
    """What a Python function at `package.module:function` makes of the file's path."""
    return function_at(str(select))(path)


READERS: Mapping[str, Callable[[Path, Select], Any]] = {
    "json": read_json,
    "jsonl": read_jsonl,
    "csv": read_csv,
    "npy": read_npy,
    "npz": read_npz,
    "hdf5": read_hdf5,
    "parquet": read_parquet,
    "regex": read_regex,
    "function": read_by_function,
}
"""Every reader, by name."""

SUFFIXES: Mapping[str, str] = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".csv": "csv",
    ".npy": "npy",
    ".npz": "npz",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".parquet": "parquet",
}
"""The reader that a file's name suggests."""


def _places(document: Any, select: Select) -> Any:
    if isinstance(select, tuple):
        return [_place(document, place) for place in select]
    return document if select is None else _place(document, select)


def _place(document: Any, place: str) -> Any:
    at = document
    for step in place.split("."):
        if isinstance(at, Mapping) and step in at:
            at = at[step]
        elif isinstance(at, list) and step.isdigit() and int(step) < len(at):
            at = at[int(step)]
        else:
            have = sorted(at) if isinstance(at, Mapping) else f"a list of {len(at)}" if isinstance(at, list) else at
            raise ValueError(f"nothing at '{step}' of '{place}'; there is {have}")
    return at


def _columns(have: list[str], select: Select) -> list[str]:
    wanted = have if select is None else [select] if isinstance(select, str) else list(select)
    missing = [name for name in wanted if name not in have]
    if missing:
        raise ValueError(f"no column {missing}; there are {have}")
    return wanted


def _one(have: list[str], select: Select, what: str) -> str:
    if select is None and len(have) == 1:
        return have[0]
    if select not in have:
        raise ValueError(f"no {what} {select!r}; there are {have}")
    return str(select)
