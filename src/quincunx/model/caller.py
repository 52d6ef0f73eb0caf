"""Calling a user's function: what its signature says, and its outcome made into arrays."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from quincunx.errors import (
    BatchAxisError,
    NameMismatch,
    ShapeMismatch,
    SimulationFailed,
    SimulatorError,
    SomeFailed,
    UsageError,
)
from quincunx.model.design import design_at
from quincunx.model.told import Told

__all__ = ["Caller", "rng_from_key"]

_RANDOMNESS: dict[str, tuple[Literal["jax", "host"], bool]] = {
    "key": ("jax", False),
    "keys": ("jax", True),
    "rng": ("host", False),
    "rngs": ("host", True),
}


@dataclass(frozen=True)
class Caller:
    """A function and how it is to be called: with JAX or not, one simulation at a time or a batch, with settings or without.

    It knows no prior and checks no parameters: what is compiled or sent to other processes depends on it alone. A plain function with the
    parameter `events` makes that many independent outcomes in one call, along the axis after that of the batch, if there is one.

    Raises:
        SimulatorError: if the function does not take exactly one of `key`, `keys`, `rng` and `rngs`.

    >>> caller = Caller.of(lambda theta, *, rng: theta["mu"] + rng.normal(), "bell")
    >>> caller.kind, caller.batched, caller.takes_design
    ('host', False, False)
    """

    function: Callable[..., Any]
    name: str
    kind: Literal["jax", "host"]
    batched: bool
    takes_design: bool
    needs_design: bool
    accumulates: bool = False
    told: Told | None = None
    makes_events: bool = False

    @classmethod
    def of(cls, function: Callable[..., Any], name: str, told: Told | None = None) -> "Caller":
        """Read the function's signature; `told` says which entries of its outcomes are gold."""
        kind, batched = _kind_of(function, name)
        accumulates = "at" in _parameters(function)
        if accumulates and (kind, batched) != ("jax", False):
            raise SimulatorError(
                f"simulator '{name}' takes `at` but not `key`; expected a JAX function of one simulation, which returns "
                "(x, log-probability at `at`); for others say which entries of the outcome are gold, by gold=Told(...)"
            )
        if told is not None and kind == "jax":
            raise SimulatorError(
                f"got gold=Told(...) for simulator '{name}', a JAX function; expected Gold(trace, joint_log_prob), or a function that takes "
                "`at` and returns (x, log-probability at `at`); JAX takes the derivatives"
            )
        many = kind == "host" and "events" in _parameters(function) and getattr(function, "makes_events", True)
        return cls(function, name, kind, batched, *_design_of(function), accumulates, told, many)

    def run_one(self, theta: dict[str, Any], random: Any, design: Mapping[str, Any] | None) -> Any:
        """Call an unbatched function once, without checks of theta; `random` is a key or a generator."""
        return self.tidy(self.call(theta, random, design), None)

    def run_batch(self, theta: dict[str, Any], random: Any, design: Mapping[str, Any] | None) -> Any:
        """Call the function for N simulations, without checks of theta; every setting has a leading axis of N.

        `random` holds N keys or, for a plain function, N generators or N keys to make them from. For JAX functions
        this can be traced.
        """
        if self.kind == "jax" and not self.batched:
            return jax.vmap(lambda t, k, d: self.run_one(t, k, d))(theta, random, design)
        if self.kind == "host" and isinstance(random, jax.Array):
            random = [rng_from_key(key) for key in random]
        if self.batched:
            return self.tidy(self.call(theta, random, design), len(random))
        rows = [
            self.run_one({name: value[i] for name, value in theta.items()}, rng, design_at(design, i))
            for i, rng in enumerate(random)
        ]
        return jax.tree.map(lambda *parts: np.stack(parts), *rows)

    def call(self, theta: dict[str, Any], random: Any, design: Mapping[str, Any] | None) -> Any:
        """Call the function as it is and return what it returns, of one event."""
        if not self.makes_events:
            return self._called(theta, random, design)
        raw = self.call_for(1, theta, random, design)
        return raw if self.batched else jax.tree.map(lambda a: a[0], raw)

    def call_for(self, events: int, theta: dict[str, Any], random: Any, design: Mapping[str, Any] | None) -> Any:
        """Call a function that makes events: those of all simulations one after another, along one leading axis.

        Raises:
            SimulationFailed: bad_output, if there are more or fewer of them than were asked for.

        >>> def noise(theta, *, rng, events):
        ...     return theta["mu"] + rng.normal(size=(events, 2))
        >>> Caller.of(noise, "noise").call_for(3, {"mu": 0.0}, np.random.default_rng(0), None).shape
        (3, 2)
        """
        lead = (len(random), events) if self.batched else (events,)

        def rows(value: Any) -> np.ndarray:
            array = np.asarray(value)
            if array.shape[: len(lead)] != lead:
                raise SimulationFailed(
                    "bad_output",
                    f"simulator '{self.name}' returned shape {array.shape}; expected {lead} in front, a row for each of the {events} events "
                    "that were asked for",
                )
            return array.reshape(-1, *array.shape[len(lead) :])

        def all_rows(raw: Any) -> Any:
            return {name: rows(value) for name, value in raw.items()} if isinstance(raw, Mapping) else rows(raw)

        try:
            return all_rows(self._called(theta, random, design, events=events))
        except SomeFailed as some:
            raise SomeFailed(None if some.x is None else all_rows(some.x), some.failures) from None

    def _called(self, theta: dict[str, Any], random: Any, design: Mapping[str, Any] | None, **more: int) -> Any:
        self.check_design(design)
        word = next(w for w, said in _RANDOMNESS.items() if said == (self.kind, self.batched))
        options = {word: random, **more} if design is None else {word: random, "design": dict(design), **more}
        try:
            return self.function(theta, at=theta, **options)[0] if self.accumulates else self.function(theta, **options)
        except KeyError as error:
            asked = error.args[0] if error.args else None
            if isinstance(asked, str) and asked not in theta and asked not in (design or {}):
                have = list(theta)
                raise NameMismatch(
                    f"simulator '{self.name}' asks for '{asked}'; its prior has the parameters {have} and its design "
                    f"{sorted(design or {})}; rename one of them so that both agree"
                ) from error
            raise
        except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError) as error:
            raise SimulatorError(
                f"simulator '{self.name}' treats a traced JAX array as a plain number ({str(error).splitlines()[0]}); "
                "expected only jax.numpy inside a function that takes `key`; use jax.numpy and jax.lax, or take `rng` "
                "instead of `key` to run it as a plain Python function"
            ) from error

    def check_design(self, design: Mapping[str, Any] | None) -> None:
        """Refuse settings the function does not take, or their absence where it needs them."""
        if design is not None and not self.takes_design:
            raise UsageError(
                f"got design settings {sorted(design)} for simulator '{self.name}', which takes none; "
                "add `design=None` to its keywords"
            )
        if design is None and self.needs_design:
            raise UsageError(f"simulator '{self.name}' needs experimental settings; pass design={{'name': value}}")

    def tidy(self, raw: Any, n: int | None) -> Any:
        """What the function returned, without gold, as float32 arrays with an axis beside that of the batch of `n` (None: no batch)."""
        raw = raw if self.told is None else self.told.rest(raw, self.name)
        if isinstance(raw, Mapping):
            if not raw or not all(isinstance(name, str) for name in raw):
                raise SimulatorError(
                    f"simulator '{self.name}' returned a dict with the keys {list(raw)}; expected names; use strings"
                )
            return {name: self._array(raw[name], n, f" '{name}'") for name in sorted(raw)}
        return self._array(raw, n, "")

    def _array(self, value: Any, n: int | None, which: str) -> Any:
        library: Any = jnp if self.kind == "jax" else np
        try:
            array = library.asarray(value)
        except (TypeError, ValueError) as error:
            raise SimulatorError(
                f"simulator '{self.name}' returned{which} a {type(value).__name__}; expected an array or a dict "
                "of arrays; "
                "return jnp.stack([...]) or a dict by name"
            ) from error
        if array.dtype.kind not in "fiubV" or jnp.issubdtype(array.dtype, jnp.complexfloating):
            raise ShapeMismatch(
                f"simulator '{self.name}' returned{which} dtype {array.dtype}; expected real numbers; "
                "return real and imaginary parts, or a number for each category"
            )
        # Learning runs in float32, and so does storage; a double too large for it becomes infinite, which is a failure.
        with np.errstate(over="ignore"):
            array = array.astype(library.float32)
        if n is not None and (array.ndim == 0 or array.shape[0] != n):
            elsewhere = [axis for axis, length in enumerate(array.shape) if length == n]
            advice = (
                f"axis {elsewhere[0]} has that length: move it to the front"
                if elsewhere
                else "return one outcome for each simulation, along the first axis"
            )
            raise BatchAxisError(
                f"simulator '{self.name}' returned{which} shape {array.shape} for a batch of {n} simulations; "
                f"expected ({n}, ...); {advice}"
            )
        one = 0 if n is None else 1
        return array[..., None] if array.ndim == one else array


def rng_from_key(key: PRNGKeyArray) -> np.random.Generator:
    """A NumPy generator determined by a JAX key.

    >>> rng_from_key(jax.random.key(0)).random() == rng_from_key(jax.random.key(0)).random()
    True
    """
    words = np.asarray(jax.random.key_data(key)).ravel()
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([int(word) for word in words])))


def _kind_of(function: Callable[..., Any], name: str) -> tuple[Literal["jax", "host"], bool]:
    found = [word for word in _RANDOMNESS if word in _parameters(function)]
    if len(found) != 1:
        raise SimulatorError(
            f"simulator '{name}' takes the keywords {list(_parameters(function))}; expected exactly one of key "
            "(a JAX function), "
            "keys (a JAX function of a batch), rng (a plain Python function) or rngs (one of a batch); "
            "draw every random number from it"
        )
    return _RANDOMNESS[found[0]]


def _design_of(function: Callable[..., Any]) -> tuple[bool, bool]:
    parameter = _parameters(function).get("design")
    return parameter is not None, parameter is not None and parameter.default is inspect.Parameter.empty


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise SimulatorError(
            f"got {function!r}, whose arguments cannot be seen; expected a Python function; "
            "write one that calls it: def f(theta, *, rng): ..."
        ) from error
