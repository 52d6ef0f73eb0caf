"""Writing TOML, which Python's own library only reads."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from quincunx.errors import UsageError

__all__ = ["to_toml"]


def to_toml(settings: Mapping[str, Any]) -> str:
    """Settings as TOML: text, numbers, truth values, lists, and mappings of them; what is None is left out.

    Raises:
        UsageError: for a value of another kind.

    >>> print(to_toml({"n": 3, "rate": 0.5, "method": {"name": "npe", "layers": [64, 64]}}))
    n = 3
    rate = 0.5
    <BLANKLINE>
    [method]
    name = "npe"
    layers = [64, 64]
    <BLANKLINE>
    """
    return "\n".join(_table(settings, ())) + "\n"


def _table(settings: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    lines = [
        f"{_key(name)} = {_value(value, (*path, name))}"
        for name, value in settings.items()
        if value is not None and not isinstance(value, Mapping)
    ]
    for name, value in settings.items():
        if isinstance(value, Mapping):
            inner = (*path, name)
            lines += ["", f"[{'.'.join(map(_key, inner))}]", *_table(value, inner)]
    return lines


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _value(value: Any, path: tuple[str, ...]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(n)} = {_value(v, (*path, n))}" for n, v in value.items() if v is not None)
        return f"{{{inside}}}"
    if isinstance(value, Sequence):
        return f"[{', '.join(_value(part, path) for part in value if part is not None)}]"
    raise UsageError(
        f"got {type(value).__name__} as the setting '{'.'.join(path)}'; expected text, a number, a truth value, a list or a mapping; "
        "convert it"
    )


def _text(value: str) -> str:
    # JSON's escapes are TOML's, as long as nothing is written as a pair of surrogates.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
