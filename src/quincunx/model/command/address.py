"""Python functions by the place where any process finds them: `package.module:function`."""

import importlib
import sys
from collections.abc import Callable
from typing import Any

from quincunx.errors import UsageError

__all__ = ["function_at", "place_of"]


def function_at(place: str) -> Callable[..., Any]:
    """The function at `package.module:function`.

    Raises:
        UsageError: if the place is not written so, or there is no such function.

    >>> function_at("math:hypot")(3, 4)
    5.0
    """
    module, colon, qualname = place.partition(":")
    if not (module and colon and qualname):
        raise UsageError(f"got '{place}' as the place of a function; expected 'package.module:function'; write it so")
    try:
        found: Any = importlib.import_module(module)
        for part in qualname.split("."):
            found = getattr(found, part)
    except (ModuleNotFoundError, AttributeError) as error:
        raise UsageError(
            f"got '{place}', where nothing is found ({error}); expected a function in a module that can be imported; "
            "correct the name, or install the module"
        ) from error
    if not callable(found):
        raise UsageError(f"got '{place}', which is a {type(found).__name__}; expected a function; name another")
    return found


def place_of(function: Callable[..., Any]) -> str:
    """The place where any process finds this function.

    Raises:
        UsageError: for a lambda, a local function, or one of a script.

    >>> import json
    >>> place_of(json.loads)
    'json:loads'
    """
    module, qualname = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    found: Any = sys.modules.get(module or "")
    for part in (qualname or "").split("."):
        found = getattr(found, part, None)
    if found is not function or module in ("__main__", "__mp_main__"):
        raise UsageError(
            f"got {function!r} as a reader; expected a function of a module, which other processes find too; move it "
            "into a module, or name it as 'package.module:function'"
        )
    return f"{module}:{qualname}"
