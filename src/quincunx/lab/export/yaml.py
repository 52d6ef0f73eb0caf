"""Writing YAML that every reader understands: nested mappings and lists, and every text in quotes."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from quincunx.errors import UsageError

__all__ = ["to_yaml"]


def to_yaml(value: Mapping[str, Any]) -> str:
    """Mappings, lists, text, numbers and truth values as YAML in blocks; text is quoted as in JSON, of which YAML is a superset.

    Raises:
        UsageError: for a value of another kind.

    >>> print(to_yaml({"version": "0.9", "steps": [{"name": "train", "files": []}], "cores": 2}), end="")
    "version": "0.9"
    "steps":
      - "name": "train"
        "files": []
    "cores": 2
    """
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Any) -> list[str]:
    if isinstance(value, Mapping) and value:
        lines = []
        for name, part in value.items():
            inner = _lines(part)
            nested = isinstance(part, (Mapping, list, tuple)) and bool(part)
            lines += (
                [f"{json.dumps(str(name))}:", *(f"  {line}" for line in inner)]
                if nested
                else [f"{json.dumps(str(name))}: {inner[0]}"]
            )
        return lines
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        lines = []
        for part in value:
            first, *others = _lines(part)
            lines += [f"- {first}", *(f"  {line}" for line in others)]
        return lines
    if isinstance(value, (str, int, float, Mapping, list, tuple)) or value is None:
        return [json.dumps(value, allow_nan=False)]
    raise UsageError(
        f"got {type(value).__name__} to write as YAML; expected text, numbers, lists and mappings; convert it"
    )
