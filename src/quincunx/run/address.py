"""Where another process finds a function: by module and name, or as a value written out in JSON."""

import importlib
import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from quincunx.model.caller import Caller
from quincunx.model.simulator import Simulator
from quincunx.values import Value, pack, unpack

__all__ = ["Address", "Description", "address_of", "address_of_function", "caller_at", "thing_at"]


@dataclass(frozen=True)
class Address:
    """Where another process finds a function: its module (and file), its name there, and what it is called.

    With `options`, in JSON, what is found is to be called with them, and what it returns has the function's `.simulator`.
    """

    module: str
    file: str | None
    qualname: str
    name: str
    options: str | None = None


@dataclass(frozen=True)
class Description:
    """A function that is a value, such as a command: all that it is, as JSON, and what it is called."""

    text: str
    name: str

    @property
    def module(self) -> str:
        """What it is called in messages, in the place of a module."""
        return self.name


def address_of(simulator: Simulator) -> Address | Description | None:
    """How a worker process comes by this simulator, or None if it cannot: a lambda, a local function, a notebook's, a
    script's.

    >>> import numpyro.distributions as dist
    >>> from quincunx.model import Prior
    >>> address_of(Simulator(lambda theta, *, rng: theta["a"], Prior(a=dist.Normal(0.0, 1.0)))) is None
    True
    """
    function = simulator.function
    if isinstance(function, Value) and not isinstance(function, type):
        packed, arrays = pack(function, "")
        return None if arrays else Description(json.dumps(packed), simulator.name)
    if built_by := getattr(function, "built_by", None):
        module, qualname, options = built_by
        return Address(module, None, qualname, simulator.name, json.dumps(options))
    return address_of_function(function, simulator.name)


def address_of_function(function: Callable[..., Any], name: str = "") -> Address | None:
    """Where a named function of a module is found, by itself or as the function of a simulator; None if it is not.

    >>> import math
    >>> address_of_function(math.hypot).qualname
    'hypot'
    """
    module, qualname = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    # A script's own functions would make each worker run the script again.
    if (
        not module
        or not qualname
        or "<" in qualname
        or module in ("__main__", "__mp_main__")
        or module not in sys.modules
    ):
        return None
    found: Any = sys.modules[module]
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if found is not function and getattr(found, "function", None) is not function:
        return None
    return Address(module, getattr(sys.modules[module], "__file__", None), qualname, name or qualname)


def thing_at(address: Address | Description) -> Any:
    """What is found there: a function, a simulator made of one, or a value such as a command.

    Raises:
        ModuleNotFoundError, AttributeError: if there is nothing.

    >>> thing_at(Address("math", None, "hypot", "hypot"))(3, 4)
    5.0
    """
    if isinstance(address, Description):
        return unpack(json.loads(address.text), {}, "")
    try:
        module = importlib.import_module(address.module)
    except ModuleNotFoundError:
        spec = None if address.file is None else importlib.util.spec_from_file_location(address.module, address.file)
        if spec is None or spec.loader is None:
            raise
        module = importlib.util.module_from_spec(spec)
        sys.modules[address.module] = module
        spec.loader.exec_module(module)
    found: Any = module
    for part in address.qualname.split("."):
        found = getattr(found, part)
    return found if address.options is None else found(**json.loads(address.options)).simulator


def caller_at(address: Address | Description) -> Caller:
    """How to call what is found there."""
    found = thing_at(address)
    return Caller.of(found.function if isinstance(found, Simulator) else found, address.name)
