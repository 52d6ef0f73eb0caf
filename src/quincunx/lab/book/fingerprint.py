"""A fingerprint of a simulator's code: the same as long as what it computes is written the same."""

import dataclasses
import hashlib
import inspect
import json
import sys
import textwrap
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import jax
import numpy as np

from quincunx._verb import make_callable
from quincunx.errors import UnsupportedPrior
from quincunx.model.simulator import Simulator
from quincunx.model.told import Told

__all__ = ["fingerprint", "likelihood_fingerprint"]

_PLAIN = (bool, int, float, complex, str, bytes, type(None))


def fingerprint(simulator: Simulator) -> str:
    """SHA-256 over the version, the prior, the function's source, and that of what it calls in its own package or folder.

    Numbers and arrays that it takes from its module or from around it count too. Other libraries do not, since their versions are
    written down beside the run; nor do functions that it does not call.

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
    said_of_it = simulator.version, _prior(simulator), simulator.kind, *_told(simulator.function, {}), *_gold(simulator)
    for said in said_of_it:
        digest.update(said.encode())
        digest.update(b"\0")
    return digest.hexdigest()


def likelihood_fingerprint(simulator: Simulator) -> str | None:
    """SHA-256 over the code of what is exactly known of a simulator's likelihood, as `fingerprint` reads code; None where none is.

    It is no part of `fingerprint`: simulations stay what they are when a likelihood is corrected, what was learned from it does not.

    >>> import types, numpyro.distributions as dist
    >>> from quincunx.model import Prior, wrap
    >>> def bell(theta, *, rng): return rng.normal(theta["mu"], 1.0, 3)
    >>> def known(scale): return types.SimpleNamespace(log_likelihood=lambda theta, x: -scale * x)
    >>> one, other = (wrap(bell, Prior(mu=dist.Normal(0.0, 1.0)), tractable=known(scale)) for scale in (1.0, 2.0))
    >>> likelihood_fingerprint(one) == likelihood_fingerprint(other), fingerprint(one) == fingerprint(other)
    (False, True)
    """
    exact = getattr(simulator.tractable, "log_likelihood", None)
    if exact is None:
        return None
    digest = hashlib.sha256()
    for said in _told(exact, {}):
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


def _gold(simulator: Simulator) -> Iterator[str]:
    """What was said of the simulator's gold beside its function."""
    gold = simulator.gold
    if isinstance(gold, Told):
        yield json.dumps(gold.to_spec(), sort_keys=True)
    elif gold is not None and not simulator.caller.accumulates and gold != getattr(simulator.function, "gold", None):
        yield from _told(gold.trace, {})
        yield from _told(gold.joint_log_prob, {})


def _told(thing: Any, seen: dict[int, Any]) -> Iterator[str]:
    """What determines a function: its text, and what it uses of its surroundings, in a fixed order."""
    if id(thing) in seen:
        return
    # Kept with its number, which another object could have after it.
    seen[id(thing)] = thing
    function = inspect.unwrap(thing) if callable(thing) and not inspect.isclass(thing) else thing
    if function is not thing and dataclasses.is_dataclass(thing):
        yield from _held(thing, function, seen)
    if isinstance(function, FunctionType):
        text = _text(function)
        yield text
        # What checks types while a program runs adds names that nobody wrote.
        names = {name for name in _names(function.__code__) if name in text}
        used = {name: function.__globals__[name] for name in sorted(names) if name in function.__globals__}
        used |= {n: _content(c) for n, c in zip(function.__code__.co_freevars, function.__closure__ or ())}
        used |= {f"default {i}": value for i, value in enumerate(function.__defaults__ or ())}
        used |= function.__kwdefaults__ or {}
        for name, value in used.items():
            yield name
            if isinstance(value, ModuleType) and _near(value.__name__, function):
                for part in sorted(names & set(vars(value))):
                    yield from _value(getattr(value, part), function, seen)
            else:
                yield from _value(value, function, seen)
    elif isinstance(function, partial):
        yield from _told(function.func, seen)
        inner = inspect.unwrap(function.func)
        if isinstance(inner, FunctionType):
            yield from _value([function.args, sorted(function.keywords.items())], inner, seen)
    elif isinstance(function, MethodType):
        yield from _told(function.__func__, seen)
        for name, value in sorted(getattr(function.__self__, "__dict__", {}).items()):
            yield name
            yield from _value(value, function.__func__, seen)
    elif inspect.isclass(function):
        yield _text(function)
    elif isinstance(vars(type(function)).get("__call__"), FunctionType):
        yield from _told(type(function).__call__, seen)
        call = vars(type(function))["__call__"]
        for name, value in sorted(getattr(function, "__dict__", {}).items()):
            yield name
            yield from _value(value, call, seen)


def _value(value: Any, user: FunctionType, seen: dict[int, Any]) -> Iterator[str]:
    if isinstance(value, _PLAIN):
        yield repr(value)
    elif isinstance(value, (np.ndarray, np.generic, jax.Array)):
        array = np.asarray(value)
        yield f"{array.dtype}{array.shape}{hashlib.sha256(array.tobytes()).hexdigest()}"
    elif isinstance(value, (dict, list, tuple, set, frozenset)) and id(value) in seen:
        return
    elif isinstance(value, dict):
        seen[id(value)] = value
        for key, part in value.items():
            yield from _value(key, user, seen)
            yield from _value(part, user, seen)
    elif isinstance(value, (list, tuple)):
        seen[id(value)] = value
        for part in value:
            yield from _value(part, user, seen)
    elif isinstance(value, (set, frozenset)):
        # Another order in every process.
        yield from sorted(text for part in value for text in _value(part, user, seen))
    elif isinstance(value, ModuleType):
        yield value.__name__
    elif callable(value) and _near(getattr(value, "__module__", None), user):
        yield from _told(value, seen)
    else:
        yield f"{type(value).__module__}.{type(value).__qualname__}"


def _held(thing: Any, user: FunctionType, seen: dict[int, Any]) -> Iterator[str]:
    """What a value made of a function holds beside it, such as the sites of a program and the values at which some are fixed."""
    for field in dataclasses.fields(thing):
        part = getattr(thing, field.name)
        if dataclasses.is_dataclass(part):
            yield from _held(part, user, seen)
        elif not callable(part):
            yield field.name
            yield from _value(part, user, seen)


def _near(module: str | None, user: FunctionType) -> bool:
    """Whether a module is of the same package or folder as the function that uses it."""
    # what is typed into an interpreter or a notebook's cell may have no module at all
    own = user.__module__ or ""
    if module is None or module.split(".")[0] == own.split(".")[0]:
        return module is not None
    ours, theirs = (getattr(sys.modules.get(name), "__file__", None) for name in (user.__module__, module))
    return ours is not None and theirs is not None and Path(ours).parent == Path(theirs).parent


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        # A function that is defined later, or never.
        return None


def _text(thing: FunctionType | type) -> str:
    try:
        return textwrap.dedent(inspect.getsource(thing))
    except (OSError, TypeError):
        # Typed at a prompt, or made by a program: what it was compiled to is all there is.
        code = getattr(thing, "__code__", None)
        if code is None:
            return thing.__qualname__
        return f"{code.co_code.hex()} {[c for c in code.co_consts if isinstance(c, _PLAIN)]!r} {code.co_names}"


def _names(code: CodeType) -> set[str]:
    inner = (c for c in code.co_consts if isinstance(c, CodeType))
    return set(code.co_names).union(*map(_names, inner))


# The function and its module share a name: whichever of them `quincunx.lab.book.fingerprint` is, it can be called.
make_callable(__name__, fingerprint)
