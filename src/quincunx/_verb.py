"""Let a room be called by its own name: ``qx.infer(...)`` is a verb while ``quincunx.infer`` stays a package."""

import functools
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


def make_callable(module_name: str, function: Callable[..., Any]) -> None:
    """Make the imported module ``module_name`` callable as ``function``.

    A module may be given another class as long as that is a subclass of ``ModuleType`` (PEP 562's neighbour, documented
    in the data model under ``__class__`` of modules), so attributes and submodules keep working.

    >>> import sys, types
    >>> sys.modules["square_room"] = types.ModuleType("square_room")
    >>> make_callable("square_room", lambda side: side**2)
    >>> sys.modules.pop("square_room")(3)
    9
    """

    class Verb(ModuleType):
        __wrapped__ = staticmethod(function)
        __doc__ = function.__doc__

        @functools.wraps(function)
        def __call__(self, *arguments: Any, **options: Any) -> Any:
            return function(*arguments, **options)

    module = sys.modules[module_name]
    documentation = module.__doc__
    module.__class__ = Verb
    module.__doc__ = documentation
