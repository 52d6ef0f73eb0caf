"""What theory says would happen: a function from parameters to outcomes, in JAX or in plain Python."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, Shaped

from quincunx.errors import ShapeMismatch, SimulatorError, UsageError
from quincunx.model.caller import Caller, rng_from_key
from quincunx.model.design import spread_design
from quincunx.model.gold import Accumulator, Gold
from quincunx.model.outcome import Observables, Outcome
from quincunx.model.prior import Prior, Theta
from quincunx.model.told import Told
from quincunx.notebook import card, short
from quincunx.values import as_key

__all__ = ["Simulator", "simulator", "wrap"]


class Simulator(eqx.Module):
    """A function that draws x ~ p(x | theta, design), with the prior of its parameters.

    The keyword by which the function takes its randomness says what it is: `key` a JAX function of one simulation,
    `keys` a JAX function of a batch, `rng` a plain Python or NumPy function of one simulation, `rngs` one of a batch.
    With `key`, a function may also take `at`, another parameter point, and return (x, log p(x, z | at)): the log-probability of the draws it made
    with theta. Then, or with `gold` given, joint ratios and scores can be mined (see `Gold`);
    a plain function may tell them itself (see `Told`).

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
    caller: Caller = eqx.field(static=True)
    named_observables: Any = eqx.field(static=True)
    named_units: Any = eqx.field(static=True)
    version: str = eqx.field(static=True)
    tractable: Any = eqx.field(static=True)
    gold: Gold | Told | None = eqx.field(static=True)

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
        gold: Gold | Told | None = None,
    ):
        if not isinstance(prior, Prior):
            raise SimulatorError(
                f"got {type(prior).__name__} as prior; expected a Prior; write "
                "@simulator(Prior(name=distribution, ...))"
            )
        self.prior = prior
        told = gold if isinstance(gold, Told) else None
        if told is not None:
            told.points(prior)
        self.caller = Caller.of(function, name or str(getattr(function, "__name__", type(function).__name__)), told)
        self.named_observables = _frozen(observables)
        self.named_units = _frozen(units)
        self.version = version
        self.tractable = tractable
        # A program brings its own.
        own = Accumulator(function).gold if self.caller.accumulates else getattr(function, "gold", None)
        self.gold = gold if gold is not None else own if isinstance(own, Gold) else None

    @property
    def function(self) -> Callable[..., Any]:
        """The function as it was written."""
        return self.caller.function

    @property
    def program(self) -> Any:
        """The `Program` of a simulator made by `quincunx.program`: traces, conditions, exact sums.

        Raises:
            UsageError: for any other simulator.
        """
        from quincunx.model.program.program import Program

        if not isinstance(self.function, Program):
            raise UsageError(
                f"simulator '{self.name}' is a plain function; expected a NumPyro model, whose draws have names; make one with "
                "@quincunx.program(prior)"
            )
        return self.function

    @property
    def name(self) -> str:
        """What it is called in messages and records."""
        return self.caller.name

    @property
    def kind(self) -> Literal["jax", "host"]:
        """Whether it runs in JAX or as plain Python."""
        return self.caller.kind

    @property
    def batched(self) -> bool:
        """Whether one call makes many simulations."""
        return self.caller.batched

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
        return _outcome(Question(self, design))

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
                "for several"
            )
        key = as_key(key)
        if self.batched:
            library: Any = jnp if self.kind == "jax" else np
            one = {name: library.asarray(theta[name])[None] for name in self.prior.names}
            rows = None if design is None else {name: library.asarray(value)[None] for name, value in design.items()}
            run = _run_batch if self.kind == "jax" else Caller.run_batch
            return jax.tree.map(lambda a: a[0], run(self.caller, one, key[None], rows))
        if self.kind == "jax":
            # Numbers become arrays, which are traced: another value does not compile anew.
            settings = None if design is None else {name: jnp.asarray(value) for name, value in design.items()}
            return _run_one(self.caller, {name: jnp.asarray(theta[name]) for name in self.prior.names}, key, settings)
        plain = {name: np.asarray(theta[name]) for name in self.prior.names}
        return self.caller.run_one(plain, rng_from_key(key), design)

    def batch(self, theta: Theta, *, keys: Shaped[Array, "..."], design: Mapping[str, Any] | None = None) -> Any:
        """N outcomes at N parameters with N keys, equal to the N single calls; a setting may have a leading axis of N.

        Raises:
            ShapeMismatch: if theta and keys have different lengths.
            BatchAxisError: if a batched function returns anything but N outcomes.

        >>> import numpyro.distributions as dist
        >>> prior = Prior(mu=dist.Normal(0.0, 1.0))
        >>> bell = wrap(lambda theta, *, key: theta["mu"] + jax.random.normal(key, (2,)), prior)
        >>> bell.batch({"mu": jnp.zeros(5)}, keys=jax.random.split(jax.random.key(0), 5)).shape
        (5, 2)
        """
        leading = self.prior.check(theta)
        if not jnp.issubdtype(keys.dtype, jax.dtypes.prng_key):
            keys = jax.random.wrap_key_data(jnp.asarray(keys))
        if len(leading) != 1 or keys.shape != leading:
            raise ShapeMismatch(
                f"got parameters with leading axes {leading} and keys of shape {keys.shape}; expected one "
                "leading axis, "
                "the same for both; make the keys with jax.random.split(key, n)"
            )
        named = {name: theta[name] for name in self.prior.names}
        spread = spread_design(design, leading[0])
        if self.kind == "jax":
            return _run_batch(self.caller, {name: jnp.asarray(value) for name, value in named.items()}, keys, spread)
        return self.caller.run_batch({name: np.asarray(value) for name, value in named.items()}, keys, spread)

    def __repr__(self) -> str:
        style = "batched " if self.batched else ""
        return f"Simulator({self.name}: {style}{self.kind}, parameters {', '.join(self.prior.names)})"

    def _repr_html_(self) -> str:
        head, *body = self.prior.rows()
        facts = [("version", self.version)]
        facts += [("observables", short(self.observables))] if self.observables else []
        facts += [("exactly known", "something: see .tractable")] if self.tractable is not None else []
        facts += [("gold", "its joint ratios and scores can be mined")] if self.gold is not None else []
        title = f"Simulator {self.name} ({'batched ' if self.batched else ''}{self.kind})"
        return card(title, facts=facts, head=head, body=body, caption="Prior")


def simulator(
    prior: Prior,
    *,
    name: str | None = None,
    units: Mapping[str, str] | str | None = None,
    observables: Observables = None,
    version: str = "0",
    tractable: Any = None,
    gold: Gold | Told | None = None,
) -> Callable[[Callable[..., Any]], Simulator]:
    """Decorator: make a function a `Simulator` with this prior.

    `observables` names the outcome's numbers, `units` says in what they are measured, `version` goes into the
    records, `tractable` may hold what is known exactly about it, and `gold` the functions of its inside, or the entries that tell of it.

    >>> import numpyro.distributions as dist
    >>> @simulator(Prior(rate=dist.Gamma(2.0, 1.0)), observables=["count"])
    ... def counter(theta, *, rng):
    ...     return [rng.poisson(theta["rate"])]
    >>> counter.kind, counter.observables
    ('host', ('count',))
    """

    def decorate(function: Callable[..., Any]) -> Simulator:
        return Simulator(
            function,
            prior,
            name=name,
            units=units,
            observables=observables,
            version=version,
            tractable=tractable,
            gold=gold,
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
    gold: Gold | Told | None = None,
) -> Simulator:
    """Make a function that already exists a `Simulator`: `simulator` without the decorator.

    >>> import numpyro.distributions as dist
    >>> wrap(lambda theta, *, rng: rng.normal(theta["mu"], 1.0, 3), Prior(mu=dist.Normal(0.0, 1.0)), name="bell")
    Simulator(bell: host, parameters mu)
    """
    return Simulator(
        function,
        prior,
        name=name,
        units=units,
        observables=observables,
        version=version,
        tractable=tractable,
        gold=gold,
    )


class Question:
    """A simulator and settings, compared by what determines an outcome's shape, so that each is looked at once."""

    def __init__(self, simulator: Simulator, design: Mapping[str, Any] | None):
        self.simulator, self.design = simulator, design
        settings = () if design is None else tuple((name, jnp.shape(value)) for name, value in sorted(design.items()))
        shapes = tuple(simulator.prior.shapes.items())
        named = simulator.named_observables, simulator.named_units
        self.identity = simulator.caller, named, shapes, design is None, settings

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Question) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)


@lru_cache(maxsize=128)
def _outcome(question: Question) -> Outcome:
    simulator, design = question.simulator, question.design
    theta, key = simulator.prior.sample(key=0), jax.random.key(0)
    if simulator.kind == "jax":
        return simulator.describe(jax.eval_shape(lambda t, k: simulator(t, key=k, design=design), theta, key))
    return simulator.describe(simulator(theta, key=key, design=design))


@eqx.filter_jit
def _run_one(caller: Caller, theta: dict[str, Array], key: PRNGKeyArray, design: dict[str, Any] | None) -> Any:
    return caller.run_one(theta, key, design)


@eqx.filter_jit
def _run_batch(caller: Caller, theta: dict[str, Array], keys: Array, design: dict[str, Any] | None) -> Any:
    return caller.run_batch(theta, keys, design)


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
