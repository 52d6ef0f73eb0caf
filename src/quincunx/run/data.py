"""Reading what did happen: an observation from a CSV, JSON, NPY or NPZ file, checked against what is simulated."""

import csv
import io
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from quincunx.errors import DataFileError, NonFiniteObservation, ShapeMismatch, UnsafeFile
from quincunx.model.outcome import Outcome
from quincunx.model.simulator import Simulator

__all__ = ["read_observation"]


def read_observation(path: str | os.PathLike[str], simulator: Simulator | Outcome) -> Any:
    """Read an observation and check it against a simulator's outcome.

    A CSV file holds either one column for each number of an outcome (each line one outcome, several lines a set of
    events) or one column for each observable with its values downwards (a time series). Columns are found by name;
    others are left alone. Without a header, all numbers in reading order are one outcome. JSON holds a list, or lists
    by name; NPY one array; NPZ arrays by name.

    Raises:
        DataFileError: for a file that is missing or unreadable, a missing column, a text cell, or lines of unequal
        length. NonFiniteObservation: for an empty cell, NaN or infinity, with line and column.
        NameMismatch, ShapeMismatch: if the observation does not fit the outcome.
        UnsafeFile: for arrays of Python objects.

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "observed.csv"
    >>> _ = file.write_text("day,in_bed\\n1,3\\n2,8\\n3,26\\n")
    >>> read_observation(file, Outcome.of(np.zeros(3), observables="in_bed"))
    array([ 3.,  8., 26.], dtype=float32)
    """
    path = Path(path)
    outcome = simulator if isinstance(simulator, Outcome) else simulator.outcome
    readers = {
        ".csv": _read_csv,
        ".tsv": _read_csv,
        ".txt": _read_csv,
        ".json": _read_json,
        ".npy": _read_npy,
        ".npz": _read_npy,
    }
    if path.suffix.lower() not in readers:
        raise DataFileError(f"got '{path}'; expected a file ending in {', '.join(readers)}; convert or rename it")
    if not path.is_file():
        raise DataFileError(f"got '{path}', which is not a file; expected the observed data; check the path")
    x, _ = outcome.check(readers[path.suffix.lower()](path, outcome))
    return x


def _read_json(path: Path, outcome: Outcome) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataFileError(
            f"'{path}' is not readable as JSON ({error}); expected a list of numbers; mend the file"
        ) from error


def _read_npy(path: Path, outcome: Outcome) -> Any:
    try:
        stored = np.load(path, allow_pickle=False)
        if isinstance(stored, np.ndarray):
            return stored
        with stored:
            arrays = {name: stored[name] for name in stored.files}
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise UnsafeFile(
                f"'{path}' holds Python objects, which can run code when read; expected plain numbers; save it "
                "as numbers"
            ) from error
        raise DataFileError(f"'{path}' is damaged ({error}); expected an array of numbers; save it anew") from error
    except Exception as error:
        raise DataFileError(f"'{path}' is damaged ({error}); expected an array of numbers; save it anew") from error
    return arrays if outcome.keyed else arrays.get(outcome.names[0], next(iter(arrays.values()), np.empty(0)))


def _read_csv(path: Path, outcome: Outcome) -> Any:
    lines = _lines(path)
    header, body = lines[0][1], lines[1:]
    if all(_number(cell) is not None for cell in header):
        return _without_header(path, lines, outcome)
    names = [cell.strip().lstrip("\ufeff") for cell in header]
    twice = sorted({name for name in names if names.count(name) > 1 and name})
    if twice:
        raise DataFileError(f"'{path}' has more than one column {twice}; expected each name once; rename one")
    for number, cells in body:
        if len(cells) != len(names):
            raise DataFileError(
                f"'{path}', line {number}: got {len(cells)} cells; expected {len(names)}, as in the header; "
                "mend the line"
            )
    table = [(number, dict(zip(names, cells))) for number, cells in body]
    downwards = {name: _down_columns(name, shape) for name, shape in outcome.shapes.items()}
    if any(column in names for columns in downwards.values() for column in columns) and not set(outcome.columns) <= set(
        names
    ):
        return _series(path, table, names, downwards, outcome)
    missing = [column for column in outcome.columns if column not in names]
    lone = outcome.names == ("x",) and len(outcome.shape_list[0]) == 1 and len(names) == 1
    if missing and lone and len(table) == outcome.dim:
        return np.array(_column(path, table, names[0]), np.float32)
    if missing:
        wanted = list(dict.fromkeys(c for columns in downwards.values() for c in columns))
        raise DataFileError(
            f"'{path}' has the columns {names}; expected {_some(outcome.columns)} with a line for each outcome, "
            f"or {_some(wanted)} "
            f"with values downwards; missing: {_some(missing)}; rename or add the columns"
        )
    if not table:
        raise DataFileError(f"'{path}' has a header and no data; expected at least one line; add the observed values")
    rows = np.array([_column(path, table, column) for column in outcome.columns], np.float32).T
    return outcome.unflatten(rows if len(rows) > 1 else rows[0])


def _series(
    path: Path,
    table: list[tuple[int, dict[str, str]]],
    names: list[str],
    downwards: dict[str, list[str]],
    outcome: Outcome,
) -> Any:
    arrays = {}
    for name, shape in outcome.shapes.items():
        missing = [column for column in downwards[name] if column not in names]
        if missing:
            raise DataFileError(
                f"'{path}' has the columns {names}; expected also {_some(missing)} for '{name}' of shape {shape}; "
                "rename or add the column"
            )
        values = np.array([_column(path, table, column) for column in downwards[name]], np.float32).T
        length = shape[0] if shape else 1
        if len(values) != length:
            raise ShapeMismatch(
                f"'{path}' has {len(values)} values of '{name}'; expected {length}, as simulated; "
                "cut the file, or simulate as many"
            )
        arrays[name] = values.reshape(shape)
    return arrays if outcome.keyed else arrays[outcome.names[0]]


def _down_columns(name: str, shape: Sequence[int]) -> list[str]:
    """The columns an array takes when its first axis runs downwards.

    >>> _down_columns("counts", (14,)), _down_columns("y", (5, 2))
    (['counts'], ['y[0]', 'y[1]'])
    """
    width = math.prod(shape[1:]) if len(shape) > 1 else 1
    return [name] if width == 1 else [f"{name}[{i}]" for i in range(width)]


def _without_header(path: Path, lines: list[tuple[int, list[str]]], outcome: Outcome) -> Any:
    width = len(lines[0][1])
    rows = []
    for number, cells in lines:
        if len(cells) != width:
            raise DataFileError(f"'{path}', line {number}: got {len(cells)} cells; expected {width}; mend the line")
        rows.append([_value(path, number, str(i + 1), cell) for i, cell in enumerate(cells)])
    values = np.array(rows, np.float32)
    if values.size == outcome.dim:
        return outcome.unflatten(values.reshape(-1))
    if width == outcome.dim:
        return outcome.unflatten(values)
    raise ShapeMismatch(
        f"'{path}' holds {values.size} numbers in {values.shape[0]} lines; expected {outcome.dim}, or a multiple with "
        f"{outcome.dim} on each line; check that it belongs to this simulator"
    )


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise DataFileError(f"'{path}' cannot be read as text ({error}); expected UTF-8; save it as CSV") from error
    kept = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not kept:
        raise DataFileError(f"'{path}' is empty; expected the observed values; check that it is the right file")
    delimiter = next((d for d in ("\t", ";", ",") if d in kept[0]), "," if path.suffix.lower() == ".csv" else None)
    if delimiter is None:
        rows = [(i, line.split()) for i, line in enumerate(text.splitlines(), 1)]
    else:
        reader = csv.reader(io.StringIO(text), delimiter=delimiter)
        rows = [(reader.line_num, cells) for cells in reader]
    return [
        (number, cells)
        for number, cells in rows
        if any(cell.strip() for cell in cells) and not cells[0].lstrip().startswith("#")
    ]


def _column(path: Path, table: list[tuple[int, dict[str, str]]], name: str) -> list[float]:
    return [_value(path, number, name, cells[name]) for number, cells in table]


def _value(path: Path, line: int, column: str, cell: str) -> float:
    if not cell.strip():
        raise NonFiniteObservation(
            f"'{path}', line {line}, column '{column}': got an empty cell; expected a number; "
            "fill it in, or leave the entry out of the simulator's outcome"
        )
    value = _number(cell)
    if value is None:
        raise DataFileError(
            f"'{path}', line {line}, column '{column}': got '{cell.strip()[:40]}'; expected a number; correct the cell"
        )
    if not math.isfinite(value):
        raise NonFiniteObservation(
            f"'{path}', line {line}, column '{column}': got {cell.strip()}; expected a finite number; "
            "fill it in, or leave the entry out of the simulator's outcome"
        )
    return value


def _number(cell: str) -> float | None:
    try:
        # Python also reads 1_000 as a number, which in a data file is a slip.
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:6])
    return f"{shown} ... ({len(names)} in all)" if len(names) > 6 else shown
