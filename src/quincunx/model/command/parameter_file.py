"""Files of parameters that a program reads: JSON, TOML, plain lines, and tables for many simulations at once."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from quincunx.model.command.placeholder import columns, plain

__all__ = ["ONE", "TABLES", "Point"]


@dataclass(frozen=True)
class Point:
    """What one simulation is given: parameters and settings by name, a seed in 1..2^31-1, and how many events it is to make.

    >>> Point({"beta": np.float64(0.5)}, None, 7).seed
    7
    """

    theta: Mapping[str, Any]
    design: Mapping[str, Any] | None
    seed: int
    events: int | None = None

    def document(self) -> dict[str, Any]:
        """All of it as plain numbers, in the groups `theta`, `design` and `seed`."""
        groups = {"theta": self.theta, "design": self.design or {}}
        said = {group: {name: plain(value, name) for name, value in named.items()} for group, named in groups.items()}
        return {**said, "seed": self.seed}

    def values(self) -> dict[str, str]:
        """Every number as text, by placeholder: `beta` and `theta.beta`, `design.dose`, `seed`, and `events` where it is told."""
        theta, design = columns(self.theta), columns(self.design or {})
        return {
            **theta,
            **{f"theta.{name}": text for name, text in theta.items()},
            **{f"design.{name}": text for name, text in design.items()},
            "seed": str(self.seed),
            **({} if self.events is None else {"events": str(self.events)}),
        }


def json_file(point: Point) -> str:
    """`{"theta": {...}, "design": {...}, "seed": ...}`.

    >>> json_file(Point({"beta": 0.5}, None, 7))
    '{"theta": {"beta": 0.5}, "design": {}, "seed": 7}'
    """
    return json.dumps(point.document(), allow_nan=False)


def toml_file(point: Point) -> str:
    """The same as TOML: a key `seed`, and the tables `theta` and `design`.

    >>> print(toml_file(Point({"beta": 0.5, "v": np.array([1.0, 2.0])}, None, 7)))
    seed = 7
    <BLANKLINE>
    [theta]
    "beta" = 0.5
    "v" = [1.0, 2.0]
    <BLANKLINE>
    [design]
    <BLANKLINE>
    """
    document = point.document()
    lines = [f"seed = {document['seed']}"]
    for group in ("theta", "design"):
        lines += ["", f"[{group}]", *(f"{json.dumps(name)} = {value!r}" for name, value in document[group].items())]
    return "\n".join(lines) + "\n"


def plain_file(point: Point) -> str:
    """One `name value` a line, an array's numbers one after another; settings as `design.name`.

    >>> print(plain_file(Point({"beta": 0.5, "v": np.array([1.0, 2.0])}, {"dose": 3}, 7)))
    beta 0.5
    v 1.0 2.0
    design.dose 3
    seed 7
    <BLANKLINE>
    """
    document = point.document()
    named = {**document["theta"], **{f"design.{name}": value for name, value in document["design"].items()}}
    lines = [f"{name} {' '.join(map(repr, np.ravel(value).tolist()))}" for name, value in named.items()]
    return "\n".join([*lines, f"seed {point.seed}"]) + "\n"


def csv_table(points: Sequence[Point]) -> str:
    """A header and one line a simulation: every parameter's column, `design.name`, `seed`.

    >>> print(csv_table([Point({"beta": 0.5}, None, 7), Point({"beta": 0.25}, None, 8)]))
    beta,seed
    0.5,7
    0.25,8
    <BLANKLINE>
    """
    rows = []
    for point in points:
        design = {f"design.{name}": text for name, text in columns(point.design or {}).items()}
        rows.append({**columns(point.theta), **design, "seed": str(point.seed)})
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def json_table(points: Sequence[Point]) -> str:
    """A list of what `json_file` writes for one.

    >>> json_table([Point({"beta": 0.5}, None, 7)])
    '[{"theta": {"beta": 0.5}, "design": {}, "seed": 7}]'
    """
    return json.dumps([point.document() for point in points], allow_nan=False)


ONE: Mapping[str, Callable[[Point], str]] = {"json": json_file, "toml": toml_file, "plain": plain_file}
"""How the file of one simulation is written, by format."""

TABLES: Mapping[str, Callable[[Sequence[Point]], str]] = {"csv": csv_table, "json": json_table}
"""How the table of many is written, by format."""
