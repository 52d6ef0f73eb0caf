"""What an outcome depends on, as one hash: the name under which it is kept."""

import hashlib
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from quincunx.model.command.declaration import Command
from quincunx.model.command.parameter_file import Point

__all__ = ["key_of"]

_SCHEMA = 1


def key_of(command: Command, point: Point, *, upstream: str | None = None, last: bool = True) -> str:
    """SHA-256 of everything that one simulation's outcome depends on, as canonical JSON.

    That is the name and version, argv and variables as templates, the content of templates and code, the container's
    digest, parameters and settings to the last bit, the seed, the number of events, what is read and how, and the key of the stage
    before.
    Where files lie, time and memory limits, and the machine are left out. Of a stage that others follow, only the
    paths of its outputs count, not how they would be read.

    >>> sir = Command(["/opt/sir", "{beta}"], {"x": "x.json"})
    >>> elsewhere = Command(["/usr/bin/sir", "{beta}"], {"x": "x.json"}, timeout=5)
    >>> at = Point({"beta": 0.5}, None, 7)
    >>> key_of(sir, at) == key_of(elsewhere, at), key_of(sir, at) == key_of(sir, Point({"beta": 0.5}, None, 8))
    (True, False)
    """
    document: dict[str, Any] = {
        "schema": _SCHEMA,
        "name": command.name,
        "version": command.version,
        "argv": [Path(command.argv[0]).name, *command.argv[1:]],
        "variables": dict(command.variables),
        "prefix": command.prefix,
        "inputs": {
            name: [file.path, file.format, None if file.template is None else _sha256(file.template.encode())]
            for name, file in command.inputs.items()
        },
        "code": {name: _file_sha256(file) for name, file in command.code.items()},  # type: ignore[union-attr]
        "batch": command.batch,
        "container": None if command.container is None else command.container.digest,
        "theta": _hex(point.theta),
        "design": _hex(point.design or {}),
        "seed": point.seed,
        "outputs": {name: output.to_spec() if last else output.path for name, output in command.outputs.items()},
        "upstream": upstream,
    }
    if point.events is not None:
        document["events"] = point.events
    return _sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode())


def _hex(named: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers to the last bit, whatever prints them."""
    arrays = {name: np.asarray(value, np.float64) for name, value in named.items()}
    return {name: [list(a.shape), [number.hex() for number in a.ravel().tolist()]] for name, a in arrays.items()}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _file_sha256(file: str) -> str:
    stat = os.stat(file)
    return _content_sha256(file, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=256)
def _content_sha256(file: str, changed: int, size: int) -> str:
    return _sha256(Path(file).read_bytes())
