"""A fingerprint of a simulator's code: the same as long as what it computes is written the same."""

import hashlib
import inspect
import json
import textwrap
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from quincunx.errors import UnsupportedPrior
from quincunx.model.simulator import Simulator

__all__ = ["fingerprint"]

_PLAIN = (bool, int, float, complex, str, bytes, tuple, frozenset, type(None))


def fingerprint(simulator: Simulator) -> str:
    """SHA-256 over the version, the prior, the function's source, and that of the functions of its module that it calls.

    Numbers and arrays that it takes from its module or from around it count too; other libraries do not, since their versions are
    written down beside the run. Comments and blank lines between functions do not matter; those within do.

    >>> import numpyro.distributions as dist
    >>> from quincunx.model import Prior, wrap
    >>> prior = Prior(mu=dist.Normal(0.0, 1.0))
    >>> def bell(theta, *, rng): return rng.normal(theta["mu"], 1.0, 3)
    >>> fingerprint(wrap(bell, prior)) == fingerprint(wrap(bell, prior))
    True
    >>> fingerprint(wrap(bell, prior)) == fingerprint(wrap(bell, prior, version="2"))
    False
    """
    digest = hashlib.sha256()
    for said in (simulator.version, _prior(simulator), simulator.kind, *_told(simulator.function, set())):
        digest.update(said.encode())
        digest.update(b"\0")
    return digest.hexdigest()


def _prior(simulator: Simulator) -> str:
    try:
        spec, arrays = simulator.prior.to_state()
    except UnsupportedPrior:
        return repr(simulator.prior)
    return json.dumps(spec, sort_keys=True) + "".join(
        f"{name}{a.tobytes().hex()}" for name, a in sorted(arrays.items())
    )


def _told(thing: Any, seen: set[int]) -> Iterator[str]:
    """What determines a function: its text, and what it uses of its surroundings, in a fixed order."""
    if id(thing) in seen:
        return
    seen.add(id(thing))
    function = inspect.unwrap(thing) if callable(thing) else thing
    if isinstance(function, FunctionType):
        yield _text(function)
        for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            yield from _value(value, function, seen)
        for name in sorted(_names(function.__code__)):
            if name in function.__globals__:
                yield name
                yield from _value(function.__globals__[name], function, seen)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
            yield name
            yield from _value(cell.cell_contents, function, seen)
    elif hasattr(function, "func"):
        yield from _told(function.func, seen)
        yield repr((function.args, sorted(function.keywords.items())))
    elif callable(function):
        yield from _told(type(function).__call__, seen)
        yield repr(sorted(name for name in getattr(function, "__dict__", {})))


def _value(value: Any, user: FunctionType, seen: set[int]) -> Iterator[str]:
    if isinstance(value, _PLAIN):
        yield repr(value)
    elif isinstance(value, (np.ndarray, np.generic)) or type(value).__module__.startswith("jax"):
        array = np.asarray(value) if hasattr(value, "shape") else None
        yield "" if array is None else f"{array.dtype}{array.shape}{hashlib.sha256(array.tobytes()).hexdigest()}"
    elif isinstance(value, ModuleType):
        yield value.__name__
    elif isinstance(value, (dict, list, set)):
        yield repr(value)[:100_000] if not isinstance(value, set) else repr(sorted(map(repr, value)))
    elif callable(value) and getattr(value, "__module__", None) == user.__module__:
        yield from _told(value, seen)
    else:
        yield f"{type(value).__module__}.{type(value).__qualname__}"


def _text(function: FunctionType) -> str:
    try:
        return textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        # Typed at a prompt, or made by a program: what it was compiled to is all there is.
        code = function.__code__
        return f"{code.co_code.hex()} {[c for c in code.co_consts if isinstance(c, _PLAIN)]!r} {code.co_names}"


def _names(code: CodeType) -> set[str]:
    inner = (c for c in code.co_consts if isinstance(c, CodeType))
    return set(code.co_names).union(*map(_names, inner))
