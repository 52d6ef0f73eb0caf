"""What theory says would happen: a function from parameters to outcomes, in JAX or in plain Python."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, Shaped

from quincunx.errors import BatchAxisError, NameMismatch, ShapeMismatch, SimulatorError, UsageError
from quincunx.model.design import design_at, spread_design
from quincunx.model.outcome import Observables, Outcome
from quincunx.model.prior import Prior, Theta
from quincunx.values import as_key

__all__ = ["Simulator", "simulator", "wrap"]

_RANDOMNESS: dict[str, tuple[Literal["jax", "host"], bool]] = {
    "key": ("jax", False),
    "keys": ("jax", True),
    "rng": ("host", False),
    "rngs": ("host", True),
}


class Simulator(eqx.Module):
    """A function that draws x ~ p(x | theta, design), with the prior of its parameters.

    The keyword by which the function takes its randomness says what it is: `key` a JAX function of one simulation,
    `keys` a JAX function of a batch, `rng` a plain Python or NumPy function of one simulation, `rngs` one of a batch.

    Raises:
        SimulatorError: if the function takes none of them, or more than one.

    >>> import numpyro.distributions as dist
    >>> @simulator(Prior(mu=dist.Normal(0.0, 1.0)))
    ... def bell(theta, *, key):
    ...     return theta["mu"] + jax.random.normal(key, (2,))
    >>> bell
    Simulator(bell: jax, parameters mu)
    >>> bell({"mu": 0.0}, key=0).shape
    (2,)
    """

    prior: Prior
    function: Callable[..., Any] = eqx.field(static=True)
    name: str = eqx.field(static=True)
    kind: Literal["jax", "host"] = eqx.field(static=True)
    batched: bool = eqx.field(static=True)
    takes_design: bool = eqx.field(static=True)
    needs_design: bool = eqx.field(static=True)
    named_observables: Any = eqx.field(static=True)
    named_units: Any = eqx.field(static=True)
    version: str = eqx.field(static=True)
    tractable: Any = eqx.field(static=True)

    def __init__(
        self,
        function: Callable[..., Any],
        prior: Prior,
        *,
        name: str | None = None,
        units: Mapping[str, str] | str | None = None,
        observables: Observables = None,
        version: str = "0",
        tractable: Any = None,
    ):
        if not isinstance(prior, Prior):
            raise SimulatorError(
                f"got {type(prior).__name__} as prior; expected a Prior; write "
                f"@simulator(Prior(name=distribution, ...))"
            )
        self.prior = prior
        self.function = function
        self.name = name or str(getattr(function, "__name__", type(function).__name__))
        self.kind, self.batched = _kind_of(function, self.name)
        self.takes_design, self.needs_design = _design_of(function)
        self.named_observables = _frozen(observables)
        self.named_units = _frozen(units)
        self.version = version
        self.tractable = tractable

    @property
    def observables(self) -> tuple[str, ...]:
        """A name for every number of an outcome."""
        return self.outcome.columns

    @property
    def units(self) -> dict[str, str]:
        """Units of the observables, by entry or column."""
        named = _thawed(self.named_units)
        return named if isinstance(named, dict) else {} if named is None else dict.fromkeys(self.outcome.names, named)

    @property
    def outcome(self) -> Outcome:
        """What one outcome looks like: traced for a JAX function, tried once for a plain one."""
        return self.outcome_at(None)

    def outcome_at(self, design: Mapping[str, Any] | None) -> Outcome:
        """What one outcome looks like under the settings `design`."""
        theta, key = self.prior.sample(key=0), jax.random.key(0)
        if self.kind == "jax":
            x = jax.eval_shape(lambda t, k: self(t, key=k, design=design), theta, key)
        else:
            x = self(theta, key=key, design=design)
        return self.describe(x)

    def describe(self, x: Any) -> Outcome:
        """The `Outcome` of one outcome x, with the names and units given to this simulator."""
        return Outcome.of(x, observables=_thawed(self.named_observables), units=_thawed(self.named_units))

    def __call__(
        self, theta: Theta, *, key: int | np.integer | PRNGKeyArray, design: Mapping[str, Any] | None = None
    ) -> Any:
        """One outcome at one theta: an array or a dict of arrays; the same key gives the same outcome.

        Raises:
            NameMismatch: for parameters that are not the prior's.
            ShapeMismatch: for parameters of another shape than the prior's, or an outcome that is not numeric.
            SimulatorError: if the function raises.
        """
        leading = self.prior.check(theta)
        if leading:
            raise ShapeMismatch(
                f"got parameters with leading axes {leading}; expected one simulation; use {self.name}.batch "
                f"for several"
            )
        key = as_key(key)
        if self.batched:
            library: Any = jnp if self.kind == "jax" else np
            one = {name: library.asarray(theta[name])[None] for name in self.prior.names}
            rows = None if design is None else {name: library.asarray(value)[None] for name, value in design.items()}
            run = _jitted_batch if self.kind == "jax" else Simulator.run_batch
            return jax.tree.map(lambda a: a[0], run(self, one, key[None], rows))
        if self.kind == "jax":
            # Numbers become arrays, which are traced: another value does not compile anew.
            settings = None if design is None else {name: jnp.asarray(value) for name, value in design.items()}
            return _jitted_one(self, {name: jnp.asarray(theta[name]) for name in self.prior.names}, key, settings)
        return self.run_one({name: np.asarray(theta[name]) for name in self.prior.names}, rng_from_key(key), design)

    def batch(self, theta: Theta, *, keys: Shaped[Array, "..."], design: Mapping[str, Any] | None = None) -> Any:
        """N outcomes at N parameters with N keys, equal to the N single calls; a setting may have a leading axis of N.

        Raises:
            ShapeMismatch: if theta and keys have different lengths.
            BatchAxisError: if a batched function returns anything but N outcomes.

        >>> import numpyro.distributions as dist
        >>> bell = wrap(lambda theta, *, key: theta["mu"] + jax.random.normal(key, (2,)), Prior(mu=dist.Normal(0.0, 1.0)))
        >>> bell.batch({"mu": jnp.zeros(5)}, keys=jax.random.split(jax.random.key(0), 5)).shape
        (5, 2)
        """
        leading = self.prior.check(theta)
        if not jnp.issubdtype(keys.dtype, jax.dtypes.prng_key):
            keys = jax.random.wrap_key_data(jnp.asarray(keys))
        if len(leading) != 1 or keys.shape != leading:
            raise ShapeMismatch(
                f"got parameters with leading axes {leading} and keys of shape {keys.shape}; expected one "
                f"leading axis, "
                "the same for both; make the keys with jax.random.split(key, n)"
            )
        named = {name: theta[name] for name in self.prior.names}
        spread = spread_design(design, leading[0])
        if self.kind == "jax":
            return _jitted_batch(self, {name: jnp.asarray(value) for name, value in named.items()}, keys, spread)
        return self.run_batch({name: np.asarray(value) for name, value in named.items()}, keys, spread)

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
        """Call the function as it is and return what it returns."""
        self.check_design(design)
        word = next(w for w, said in _RANDOMNESS.items() if said == (self.kind, self.batched))
        options = {word: random} if design is None else {word: random, "design": dict(design)}
        try:
            return self.function(theta, **options)
        except KeyError as error:
            asked = error.args[0] if error.args else None
            if isinstance(asked, str) and asked not in theta and asked not in (design or {}):
                have = list(self.prior.names)
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
        """What the function returned, as float32 arrays with at least one axis beside the batch of `n` (None for one outcome)."""
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
                f"of arrays; "
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

    def __repr__(self) -> str:
        style = "batched " if self.batched else ""
        return f"Simulator({self.name}: {style}{self.kind}, parameters {', '.join(self.prior.names)})"


def simulator(
    prior: Prior,
    *,
    name: str | None = None,
    units: Mapping[str, str] | str | None = None,
    observables: Observables = None,
    version: str = "0",
    tractable: Any = None,
) -> Callable[[Callable[..., Any]], Simulator]:
    """Decorator: make a function a `Simulator` with this prior.

    `observables` names the outcome's numbers, `units` says in what they are measured, `version` goes into the
    records, and `tractable` may hold what is known exactly about it.

    >>> import numpyro.distributions as dist
    >>> @simulator(Prior(rate=dist.Gamma(2.0, 1.0)), observables=["count"])
    ... def counter(theta, *, rng):
    ...     return [rng.poisson(theta["rate"])]
    >>> counter.kind, counter.observables
    ('host', ('count',))
    """

    def decorate(function: Callable[..., Any]) -> Simulator:
        return Simulator(
            function, prior, name=name, units=units, observables=observables, version=version, tractable=tractable
        )

    return decorate


def wrap(
    function: Callable[..., Any],
    prior: Prior,
    *,
    name: str | None = None,
    units: Mapping[str, str] | str | None = None,
    observables: Observables = None,
    version: str = "0",
    tractable: Any = None,
) -> Simulator:
    """Make a function that already exists a `Simulator`: `simulator` without the decorator.

    >>> import numpyro.distributions as dist
    >>> wrap(lambda theta, *, rng: rng.normal(theta["mu"], 1.0, 3), Prior(mu=dist.Normal(0.0, 1.0)), name="bell")
    Simulator(bell: host, parameters mu)
    """
    return Simulator(
        function, prior, name=name, units=units, observables=observables, version=version, tractable=tractable
    )


def rng_from_key(key: PRNGKeyArray) -> np.random.Generator:
    """A NumPy generator determined by a JAX key.

    >>> rng_from_key(jax.random.key(0)).random() == rng_from_key(jax.random.key(0)).random()
    True
    """
    words = np.asarray(jax.random.key_data(key)).ravel()
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([int(word) for word in words])))


@eqx.filter_jit
def _jitted_one(sim: Simulator, theta: dict[str, Array], key: PRNGKeyArray, design: dict[str, Any] | None) -> Any:
    return sim.run_one(theta, key, design)


@eqx.filter_jit
def _jitted_batch(sim: Simulator, theta: dict[str, Array], keys: Array, design: dict[str, Any] | None) -> Any:
    return sim.run_batch(theta, keys, design)


def _kind_of(function: Callable[..., Any], name: str) -> tuple[Literal["jax", "host"], bool]:
    found = [word for word in _RANDOMNESS if word in _parameters(function)]
    if len(found) != 1:
        raise SimulatorError(
            f"simulator '{name}' takes the keywords {list(_parameters(function))}; expected exactly one of key "
            f"(a JAX function), "
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


def _frozen(value: Any) -> Any:
    """Mappings and sequences as hashable tuples, so that a simulator can be an argument of compiled functions."""
    if isinstance(value, Mapping):
        return ("mapping", tuple((name, _frozen(part)) for name, part in value.items()))
    if isinstance(value, str) or not isinstance(value, Sequence):
        return value
    return tuple(value)


def _thawed(value: Any) -> Any:
    if isinstance(value, tuple) and len(value) == 2 and value[0] == "mapping" and isinstance(value[1], tuple):
        return {name: _thawed(part) for name, part in value[1]}
    return value
