"""A simulator whose every draw has a name and a density: run it, look inside, run it again with some draws changed."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.errors import SimulatorError, UsageError
from quincunx.model.caller import Caller
from quincunx.model.gold import Gold
from quincunx.model.program import moves
from quincunx.model.program.enumeration import LatentPosterior, log_evidence, posterior_of
from quincunx.model.program.execution import execute
from quincunx.model.program.held import Held
from quincunx.model.program.trace import Trace
from quincunx.notebook import from_repr
from quincunx.values import as_key

__all__ = ["Program"]

Theta = Mapping[str, Any]
Design = Mapping[str, Any] | None
Key = int | np.integer | PRNGKeyArray
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Program:
    """A NumPyro model `model(theta)` or `model(theta, *, design=None)` with the names of its observed sites; made by `quincunx.program`.

    It is called as a simulator's function, `(theta, *, key, design=None)`, and returns what the model returns, or, where that is nothing, the
    values at the sites of `outcome`: one array for one name, a dict for several. Sites are static: the same names and shapes whatever was drawn.
    All that it does works under `jit` and `vmap`; theta is a dict by name.

    Raises:
        DuplicateSite: by anything but a simulation, for two draws of one name.
        Unnormalised: for a factor, a scaled site or a subsampled plate, with which the density is not that of what is drawn.

    >>> from quincunx.model.program.example import walk
    >>> walk.program
    Program(walk, observed x)
    >>> trace = walk.program.trace({"drift": 0.5}, key=0)
    >>> bool(walk.program.replay(trace).result == trace.result)
    True
    """

    model: Callable[..., Any]
    name: str
    observed: tuple[str, ...] = ()
    outcome: str | tuple[str, ...] = ()
    substituted: Held = field(default_factory=Held)
    conditioned: Held = field(default_factory=Held)

    def __post_init__(self) -> None:
        # What a module says of a function, so that another process finds this one by its name.
        for said in ("__module__", "__qualname__", "__name__", "__doc__"):
            object.__setattr__(self, said, getattr(self.model, said, None))
        # The run's record of what the code is follows the user's own function.
        object.__setattr__(self, "__wrapped__", self.model)
        design = inspect.signature(self.model).parameters.get("design")
        own = inspect.signature(Program.__call__).parameters
        kept = [own["theta"], own["key"], *([] if design is None else [own["design"].replace(default=design.default)])]
        object.__setattr__(self, "__signature__", inspect.Signature(kept))

    def __call__(self, theta: Theta, *, key: PRNGKeyArray, design: Design = None) -> Any:
        """One outcome, as the model returns it."""
        bare, held = self.apart()
        run, returned = execute(bare, theta, design, key, held, keep="outcome")
        return self.outcome_of(returned, {name: drawn.value for name, drawn in run.drawn.items()})

    @property
    def gold(self) -> Gold:
        """The two functions from which joint ratios and scores are mined: z holds the values of all sites."""
        return Gold(self.outcome_and_sites, self.joint_log_prob)

    def outcome_and_sites(
        self, theta: Theta, *, key: PRNGKeyArray, design: Design = None
    ) -> tuple[Any, dict[str, Array]]:
        """(x, z): the outcome as the simulator gives it, and the value at every site."""
        bare, held = self.apart()
        run, returned = execute(bare, theta, design, key, held, keep="values")
        values = {name: drawn.value for name, drawn in run.drawn.items()}
        return Caller.of(self, self.name).tidy(self.outcome_of(returned, values), None), values

    def joint_log_prob(self, theta: Theta, x: Any, z: Values, *, design: Design = None) -> Float[Array, ""]:
        """log p(z | theta) over all sites but those that are substituted, which are not drawn; x follows from z."""
        run, _ = execute(self.apart()[0], theta, design, None, z)
        return moves.total([d.log_prob for name, d in run.drawn.items() if name not in self.substituted.values])

    def trace(self, theta: Theta, *, key: Key, design: Design = None) -> Trace:
        """One run, with every draw written down; its result is that of the simulator with the same key.

        Raises:
            ZeroProbability: if a value on which the program is conditioned cannot occur.
        """
        return self.generate(theta, {}, key=key, design=design)[0]

    def replay(self, trace: Trace, theta: Theta | None = None) -> Trace:
        """The same draws again, scored at theta (by default the trace's own): the same result, bit for bit, at the same theta."""
        trace = moves.check_single(trace)
        theta = trace.theta if theta is None else floating(theta)
        return moves.run(self.apart()[0], theta, trace.design, None, trace.values)

    def log_joint(self, theta: Theta, trace: Trace | Values, *, design: Design = None) -> Float[Array, ""]:
        """log p(x, z | theta) of a trace's draws, or of values for all sites, at any theta.

        >>> from quincunx.model.program.example import walk
        >>> walk.program.log_joint({"drift": 0.0}, {"z": jnp.zeros(3), "x": 1.0})      # 4 log N(0; 0, 1) - 1/2
        Array(-4.1757, dtype=float32)
        """
        bare, held = self.apart()
        if isinstance(trace, Trace):
            trace = moves.check_single(trace)
            design = trace.design if design is None else design
            return moves.run(bare, floating(theta), design, None, trace.values).log_prob
        return moves.run(bare, floating(theta), self.settings(design), None, {**held, **arrays(trace)}).log_prob

    def substitute(self, values: Values) -> "Program":
        """The program in which sites are set to values rather than drawn: an intervention. `log_joint` still counts their densities, gold does not."""
        return replace(
            self, substituted=self.substituted.and_also(checked(values)), conditioned=self.conditioned.without(values)
        )

    def condition(self, values: Values) -> "Program":
        """The program in which sites are observed at values; a trace counts their densities in its `log_likelihood`.

        Raises:
            NonFiniteObservation: for NaN.

        >>> from quincunx.model.program.example import walk
        >>> walk.program.condition({"z": jnp.ones(3)})
        Program(walk, observed x, z; conditioned on z)
        """
        return replace(
            self,
            observed=tuple(dict.fromkeys((*self.observed, *values))),
            conditioned=self.conditioned.and_also(checked(values)),
            substituted=self.substituted.without(values),
        )

    def generate(
        self, theta: Theta, constraints: Values, *, key: Key, design: Design = None
    ) -> tuple[Trace, Float[Array, ""]]:
        """A run with some sites at given values and the others drawn; the log-weight is the log-probability of what was given.

        Its exponential is an unbiased estimate of the probability of the constraints: E exp(w) = p(constraints | theta).

        Raises:
            NameMismatch: for constraints on sites that are not there.
            ZeroProbability: outside of `jit`, for a value outside of a support that is the same for all parameters.
            NonFiniteObservation: for NaN.
        """
        bare, held = self.apart()
        given = {**held, **arrays(constraints)}
        trace = moves.run(bare, floating(theta), self.settings(design), as_key(key), given)
        moves.refuse_impossible(trace, given, self.name)
        return trace, moves.total([trace.log_probs[name] for name in given])

    def update(
        self, trace: Trace, constraints: Values, theta: Theta | None = None
    ) -> tuple[Trace, Float[Array, ""], dict[str, Array]]:
        """A trace with some of its values, or theta, changed: (new trace, log p(new) - log p(old), the values that were replaced).

        >>> from quincunx.model.program.example import walk
        >>> trace = walk.program.trace({"drift": 0.5}, key=0)
        >>> new, weight, old = walk.program.update(trace, {"x": 2.0})
        >>> back, other, _ = walk.program.update(new, old)
        >>> bool(back.values["x"] == trace.values["x"]), round(float(weight + other), 5)
        (True, 0.0)
        """
        trace = moves.check_single(trace)
        if not constraints and theta is None:
            return trace, moves.total([]), {}
        at = trace.theta if theta is None else floating(theta)
        new = moves.run(self.apart()[0], at, trace.design, None, {**trace.values, **arrays(constraints)})
        weight = moves.total([new.log_probs[name] - trace.log_probs[name] for name in new.addresses])
        return new, weight, {name: trace.values[name] for name in constraints}

    def regenerate(self, trace: Trace, addresses: str | Sequence[str], *, key: Key) -> tuple[Trace, Float[Array, ""]]:
        """A trace with some sites drawn afresh and the others kept: (new trace, sum over the kept of log p'(v) - log p(v)).

        With min(1, exp(weight)) as the chance of acceptance this is a Metropolis step that leaves p(z | x, theta) as it is.

        Raises:
            NameMismatch: for addresses that are not there.
        """
        chosen = (addresses,) if isinstance(addresses, str) else tuple(addresses)
        moves.check_addresses(chosen, moves.check_single(trace))
        kept = {name: value for name, value in trace.values.items() if name not in chosen}
        if not chosen:
            return trace, moves.total([])
        new = moves.run(self.apart()[0], trace.theta, trace.design, as_key(key), kept)
        return new, moves.total([new.log_probs[name] - trace.log_probs[name] for name in kept])

    def log_likelihood(self, theta: Theta, x: Any, *, design: Design = None) -> Float[Array, ""]:
        """log p(x | theta), exactly: the sum over all values of the latent sites (see `enumeration`)."""
        return log_evidence(self, floating(theta), x, self.settings(design))

    def latent_posterior(self, theta: Theta, x: Any, *, design: Design = None) -> LatentPosterior:
        """p(z | x, theta), exactly: the probability of every combination of values of the latent sites."""
        return posterior_of(self, floating(theta), x, self.settings(design))

    def settings(self, design: Design) -> dict[str, Array] | None:
        """Settings of the experiment as arrays.

        Raises:
            UsageError: if the model takes none, or needs some.
        """
        Caller.of(self, self.name).check_design(design)
        return None if design is None else arrays(design)

    def apart(self) -> tuple["Program", dict[str, Array]]:
        """The program without the values at which it holds sites, and those values: compiled once whatever they are."""
        if not len(self.substituted) and not len(self.conditioned):
            return self, {}
        held = {**self.substituted.values, **self.conditioned.values}
        return replace(self, substituted=Held(), conditioned=Held()), arrays(held)

    def outcome_of(self, returned: Any, values: Values) -> Any:
        """The outcome: what the model returned, or the values at the sites that make it up.

        Raises:
            SimulatorError: if there is neither.
        """
        if returned is not None:
            return returned
        names = (self.outcome,) if isinstance(self.outcome, str) else self.outcome
        missing = [name for name in names if name not in values]
        if not names or missing:
            raise SimulatorError(
                f"program '{self.name}' returned nothing, and its observed sites are {list(names)}"
                + (f", of which it draws no {missing}" if missing else "")
                + "; expected an outcome; return it, or name the sites it consists of by observed=..."
            )
        return values[self.outcome] if isinstance(self.outcome, str) else {name: values[name] for name in names}

    def __repr__(self) -> str:
        said = f", observed {', '.join(self.observed)}" if self.observed else ""
        fixed = f"; {', '.join(self.substituted.values)} substituted" if len(self.substituted) else ""
        given = f"; conditioned on {', '.join(self.conditioned.values)}" if len(self.conditioned) else ""
        return f"Program({self.name}{said}{fixed}{given})"

    _repr_html_ = from_repr


def floating(theta: Theta) -> dict[str, Array]:
    """Parameters as floating-point arrays.

    >>> floating({"a": 1})
    {'a': Array(1., dtype=float32)}
    """
    found = {name: jnp.asarray(value) for name, value in theta.items()}
    return {n: v if jnp.issubdtype(v.dtype, jnp.floating) else v.astype(float) for n, v in found.items()}


def arrays(values: Values) -> dict[str, Array]:
    """Values by name as arrays."""
    return {name: jnp.asarray(value) for name, value in values.items()}


def checked(values: Values) -> Values:
    """Values at which sites are to be held, which must be known and not NaN.

    Raises:
        NonFiniteObservation: for NaN.
        UsageError: for a traced value.
    """
    for name, value in values.items():
        if isinstance(value, jax.core.Tracer):
            raise UsageError(
                f"got a traced value of the site '{name}'; expected one that is known; inside jit or vmap use generate, update or log_joint"
            )
        moves.refuse_nan(name, value)
    return values
