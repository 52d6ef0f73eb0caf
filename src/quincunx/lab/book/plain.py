"""What goes into the book's text columns: JSON, with NumPy's and JAX's numbers as what they are."""

import json
from collections.abc import Mapping
from typing import Any

from quincunx.errors import UsageError

__all__ = ["json_of"]


def json_of(facts: Mapping[str, Any] | None, what: str) -> str:
    """Facts as JSON text; arrays become lists, None an empty mapping.

    Raises:
        UsageError: for a value of another kind.

    >>> import numpy as np
    >>> json_of({"beam": np.float32(91.5), "angles": np.array([0, 1])}, "the design")
    '{"angles": [0, 1], "beam": 91.5}'
    """
    try:
        return json.dumps(dict(facts or {}), sort_keys=True, default=_plain)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"got {what} with a value that is not to be written down ({error}); expected text, numbers, truth values, lists and "
            "mappings of them; convert it, or keep it as an artefact"
        ) from error


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not plain")


def plain(value: Any) -> Any:
    """A value as JSON can hold it: arrays as lists, anything unknown as its text, NaN and infinity as null."""
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(inner) for inner in value]
    if isinstance(value, (str, bool, int)) or value is None:
        return value
    if hasattr(value, "tolist"):  # NumPy and JAX arrays and scalars
        return plain(value.tolist())
    if isinstance(value, float):
        return value if value - value == 0 else None
    return str(value)
