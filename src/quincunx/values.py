"""Values that save and load without executing anything, and the one door for random keys.

A file is a zip archive: `manifest.json` says what the value is, `arrays/<name>.npy` hold its numbers.
"""

import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Integer, PRNGKeyArray

from quincunx._container import SCHEMA, corrupt, read_container, write_container
from quincunx.errors import UnknownKind, UsageError

__all__ = ["SCHEMA", "Value", "as_key", "load", "pack", "register", "save", "unpack"]

_HOMES = {
    "answer_draws": "quincunx.lab.drawn",
    "calibrated_ratio": "quincunx.infer.calibrated",
    "calibration": "quincunx.learn.calibrate",
    "command": "quincunx.model.command.declaration",
    "command_batch": "quincunx.model.command.runs",
    "commands": "quincunx.model.command.runs",
    "conditional_posterior": "quincunx.infer.conditional",
    "confidence_set": "quincunx.infer.confidence",
    "design_choice": "quincunx.design.choice",
    "direct_estimator": "quincunx.infer.direct",
    "direct_posterior": "quincunx.infer.direct",
    "draws": "quincunx.infer.samplers.draws",
    "eig": "quincunx.design.estimate",
    "eig_curve": "quincunx.design.curve",
    "failures": "quincunx.infer.failing",
    "familiarity": "quincunx.infer.misspecification",
    "fit-state": "quincunx.learn.fit",
    "information": "quincunx.infer.information",
    "knowledge": "quincunx.lab.loop.knowledge",
    "local_score": "quincunx.infer.local_score",
    "maximum": "quincunx.infer.maximum",
    "neyman_belt": "quincunx.infer.neyman",
    "outcome": "quincunx.model.outcome",
    "policy": "quincunx.design.policy.policy",
    "policy_comparison": "quincunx.design.policy.comparison",
    "potential_estimator": "quincunx.infer.indirect",
    "potential_posterior": "quincunx.infer.indirect",
    "prior": "quincunx.model.prior",
    "reader": "quincunx.infer.reading",
    "reference": "quincunx.model.reference",
    "region": "quincunx.model.region",
    "repair": "quincunx.check.conformal",
    "report": "quincunx.check.report",
    "scale": "quincunx.learn.scale",
    "scan": "quincunx.infer.scanned",
    "simulations": "quincunx.run.simulations",
    "snakemake": "quincunx.model.command.snakefile",
    "summarised_estimator": "quincunx.infer.summarised",
    "summarised_posterior": "quincunx.infer.summarised",
    "surrogate": "quincunx.learn.surrogate",
    "trace": "quincunx.model.program.trace",
}
_ROOMS = (
    "quincunx.model",
    "quincunx.run",
    "quincunx.learn",
    "quincunx.infer",
    "quincunx.check",
    "quincunx.design",
    "quincunx.lab",
)

_registry: dict[str, Any] = {}

C = TypeVar("C", bound=type)


@runtime_checkable
class Value(Protocol):
    """What a class needs in order to be saved: a kind, and a way to and from (JSON-able spec, named arrays)."""

    kind: ClassVar[str]

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]: ...

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any: ...


def as_key(key: int | np.integer | Integer[np.ndarray, "..."] | PRNGKeyArray) -> PRNGKeyArray:
    """Turn an integer seed (or an old-style key) into a typed JAX key; a typed key passes through.

    Raises:
        UsageError: if it is neither an integer nor a key.

    >>> as_key(3) == jax.random.key(3)
    Array(True, dtype=bool)
    """
    if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
        number = int(key)
        low = jax.random.key(number & 0xFFFFFFFF)
        high = number >> 32
        # JAX without 64-bit integers would refuse or wrap a large seed, so its upper words are folded in.
        while high not in (0, -1):
            low = jax.random.fold_in(low, high & 0xFFFFFFFF)
            high >>= 32
        return low if number >= 0 else jax.random.fold_in(low, 0x5EED)
    if isinstance(key, (jax.Array, np.ndarray)):
        if isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ():
            return key
        if key.shape == () and jnp.issubdtype(key.dtype, jnp.integer):
            return as_key(int(key))
        if key.dtype == jnp.uint32 and key.shape == (2,):
            return jax.random.wrap_key_data(jnp.asarray(key))
    raise UsageError(
        f"got {key!r} as a key; expected an integer seed or one key from jax.random.key(seed); pass for example key=0"
    )


def register(kind: str) -> Callable[[C], C]:
    """Class decorator: make a value class savable under the name `kind`.

    >>> @register("doctest_pair")
    ... class Pair:
    ...     def __init__(self, a): self.a = a
    ...     def to_state(self): return {"n": len(self.a)}, {"a": self.a}
    ...     @classmethod
    ...     def from_state(cls, spec, arrays): return cls(arrays["a"])
    >>> Pair.kind
    'doctest_pair'
    """

    def decorate(cls: C) -> C:
        known = _registry.get(kind)
        if known is not None and known.__qualname__ != cls.__qualname__:
            raise UnknownKind(f"kind '{kind}' is already taken by {known.__qualname__}; choose another name")
        # Equinox modules forbid assignment on instances, not on classes, so this works for them too.
        type.__setattr__(cls, "kind", kind)
        _registry[kind] = cls
        return cls

    return decorate


def _class_of(kind: str) -> Any:
    for module in (_HOMES[kind],) if kind in _HOMES else _ROOMS:
        if kind in _registry:
            break
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("quincunx"):
                raise
    if kind not in _registry:
        raise UnknownKind(
            f"got a value of kind '{kind}'; expected one of {sorted(_registry)}; "
            "import the module that defines it before loading, or install the version that wrote it"
        )
    return _registry[kind]


def pack(value: Any, prefix: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Embed one value in another's state: its spec with its kind, and its arrays under `prefix/`.

    >>> from quincunx.values import unpack
    >>> import numpy as np
    >>> @register("doctest_one")
    ... class One:
    ...     def __init__(self, a): self.a = a
    ...     def to_state(self): return {}, {"a": self.a}
    ...     @classmethod
    ...     def from_state(cls, spec, arrays): return cls(arrays["a"])
    >>> spec, arrays = pack(One(np.ones(2)), "inner")
    >>> spec, list(arrays)
    ({'kind': 'doctest_one', 'spec': {}}, ['inner/a'])
    >>> unpack(spec, arrays, "inner").a
    array([1., 1.])
    """
    spec, arrays = value.to_state()
    return {"kind": value.kind, "spec": spec}, {f"{prefix}/{name}": np.asarray(a) for name, a in arrays.items()}


def unpack(packed: Mapping[str, Any], arrays: Mapping[str, np.ndarray], prefix: str) -> Any:
    """Rebuild a value embedded by `pack` under the same `prefix`."""
    start = f"{prefix}/"
    own = {name[len(start) :]: a for name, a in arrays.items() if name.startswith(start)}
    return _class_of(packed["kind"]).from_state(packed["spec"], own)


def save(value: Any, path: str | os.PathLike[str]) -> Path:
    """Write a value to one file, atomically: a reader sees the old file or the new one, never half of one.

    Raises:
        UsageError: if the value does not know how to be saved.
        UnsafeFile: if one of its arrays holds Python objects.
    """
    path = Path(path)
    kind = getattr(value, "kind", None)
    if kind is None or not isinstance(value, Value):
        raise UsageError(
            f"got a {type(value).__name__}, which cannot be saved; expected a value with a kind, to_state and "
            "from_state"
        )
    spec, arrays = value.to_state()
    write_container(path, kind, spec, arrays)
    return path


def load(path: str | os.PathLike[str]) -> Any:
    """Read a value written by `save`; nothing in the file is ever executed.

    Raises:
        DataFileError: if there is no such file.
        SchemaTooNew: if it was written under a newer schema.
        UnsafeFile: if it is, or holds, a pickle.
        CorruptFile: if it is damaged, cut short, or not one of ours.
        UnknownKind: if no module registers its kind.
    """
    path = Path(path)
    kind, spec, arrays = read_container(path)
    cls = _class_of(kind)
    try:
        return cls.from_state(spec, arrays)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise corrupt(path, f"its contents do not make a '{kind}': {error!r}") from error
