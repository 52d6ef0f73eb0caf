"""The studio: a web page over lab books and answers, on this machine alone; read only unless it is allowed to run things.

Nothing in here simulates or learns: whatever is to be done is done by the command line in a process of its own, so that the page opens
at once, stays small, and can be killed without harm.
"""

from typing import Any

import lazy_loader as _lazy

from quincunx.errors import MissingExtra as _MissingExtra

_found, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={"app": ["studio_app"], "serving": ["serve"], "shelf": ["Place", "Shelf"]},
)


def __getattr__(name: str) -> Any:
    try:
        return _found(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn"):
            raise
        raise _MissingExtra("studio", "the studio") from error
