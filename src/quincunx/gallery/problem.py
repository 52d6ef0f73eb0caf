"""What a worked problem is: a simulator, its observations, and everything that is exactly known about it."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from quincunx.errors import NoTruth, UsageError
from quincunx.gallery.cache import read_arrays, write_arrays
from quincunx.gallery.catalogue import Entry
from quincunx.gallery.latent import Latents
from quincunx.gallery.precision import in_float64
from quincunx.model import Gold, Prior, Simulator
from quincunx.notebook import card, fields_text, from_fields, short
from quincunx.run.simulate import simulate
from quincunx.values import as_key

Theta = Mapping[str, Any]
Kind = Literal["posterior", "likelihood", "none"]


@dataclasses.dataclass(frozen=True, eq=False)
class Truth:
    """What is exactly known: functions of one parameter point and one outcome, which JAX transforms; None if unknown.

    - `log_likelihood(theta, x)`: log p(x | theta). Where `up_to_constant` holds, up to a term free of theta.
    - `score(theta, x)`: its gradient in theta, a dictionary by name (derived from `log_likelihood` when not given).
    - `fisher(theta)`: E[score score^T], a (dim, dim) matrix in the flat order of the prior.
    - `log_posterior(theta, x)`: log p(theta | x), normalised.
    - `log_evidence(x)`: log p(x).
    - `posterior_sample(n, x, *, key)`: n independent exact draws of the posterior, a dictionary by name.
    - `latents(theta, x)`: the exact distribution of hidden quantities given both, a dictionary of `LatentPosterior` by name (in
      float64, on numbers: not to be transformed).
    - `eig(design)`: the expected information gain of one outcome (of one event, where an observation is a set of them) about all
      parameters, in nats, I(theta; x | design) = E[log p(x | theta, design) - log p(x | design)], a float (in float64, on numbers).

    Where outcomes depend on experimental settings, each of these takes a last argument `design`, a dictionary by name; without
    it they speak of the problem's default design.

    `kind` is "posterior" when independent exact draws exist, "likelihood" when only log p(x | theta) does, else "none".
    """

    kind: Kind
    log_likelihood: Callable[..., Any] | None = None
    score: Callable[..., Any] | None = None
    fisher: Callable[..., Any] | None = None
    log_posterior: Callable[..., Any] | None = None
    log_evidence: Callable[..., Any] | None = None
    posterior_sample: Callable[..., Any] | None = None
    latents: Latents | None = None
    eig: Callable[[Mapping[str, Any]], float] | None = None
    up_to_constant: bool = False

    def __post_init__(self) -> None:
        if self.score is None and self.log_likelihood is not None:
            object.__setattr__(self, "score", jax.grad(self.log_likelihood))

    def log_ratio(self, theta: Theta, reference: Theta, x: Any, design: Any = None) -> Any:
        """log p(x | theta) - log p(x | reference). Raises `NoTruth` when the likelihood is not known."""
        if self.log_likelihood is None:
            raise NoTruth("got a problem without a likelihood; expected one with; choose another from gallery.table()")
        settings = () if design is None else (design,)
        return self.log_likelihood(theta, x, *settings) - self.log_likelihood(reference, x, *settings)

    def in_float64(self) -> "Truth":
        """The same truth in float64: doors that take numbers and return float64 NumPy arrays, not to be transformed."""
        fields = ("log_likelihood", "score", "fisher", "log_posterior", "log_evidence")
        known = {name: getattr(self, name) for name in fields if getattr(self, name) is not None}
        return dataclasses.replace(self, **{name: in_float64(function) for name, function in known.items()})

    __repr__ = fields_text
    _repr_html_ = from_fields


@dataclasses.dataclass(frozen=True)
class ReferenceDraws:
    """Draws of a posterior by long Monte Carlo, with the diagnostics they are judged by (worst over parameters)."""

    draws: dict[str, np.ndarray]
    r_hat: float
    ess: float

    R_HAT_LIMIT = 1.01
    ESS_LIMIT = 1000.0

    def checked(self, name: str) -> "ReferenceDraws":
        """These draws, or `NoTruth` if R-hat is above 1.01 or the effective sample size below 1000."""
        if not (self.r_hat <= self.R_HAT_LIMIT and self.ess >= self.ESS_LIMIT):
            raise NoTruth(
                f"got reference draws of {name!r} with R-hat {self.r_hat:.3f} and effective sample size {self.ess:.0f}"
                f"; expected R-hat at most {self.R_HAT_LIMIT} and at least {self.ESS_LIMIT:.0f}; try another key"
            )
        return self

    __repr__ = fields_text
    _repr_html_ = from_fields


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """A worked science problem: simulator, prior, observations and truth under one protocol.

    `recorded` holds published observations (an array with one row each) and, where they are known, the true parameters;
    without it the observations are simulated from `default_theta` (the first) and from prior draws (the others).
    `derived(theta)` gives quantities of interest that are functions of the parameters. `events` is the number of
    independent outcomes that make up one observation, or None when an observation is a single outcome.

    A problem with experimental settings has a `default_design` (values by name), which its simulator uses when it is given none,
    and a `space`: the lower and upper bound of each setting, and for a vector its length, whose numbers all have these bounds; it makes a
    `quincunx.Space(problem.space, increasing=problem.increasing)`, where `increasing` names vectors of which only the values matter and not
    their order. `smooth` says that outcomes move smoothly with the settings at the same noise, so that designs can be climbed to.
    `experiment` is a function of a design that measures, for problems whose experiment is a program of its own; `learn` says from how many
    simulations of how many events each a loop learns the likelihood that their simulator does not state.
    `outcomes` lists all possible outcomes where they are finitely many, one row each.
    """

    entry: Entry
    simulator: Simulator
    truth: Truth
    default_theta: dict[str, Any]
    recorded: tuple[np.ndarray, dict[str, np.ndarray] | None] | None = None
    sampler: Callable[..., ReferenceDraws] | None = None
    derived: Callable[..., dict[str, Any]] | None = None
    events: int | None = None
    options: tuple[tuple[str, Any], ...] = ()
    space: dict[str, tuple[float, float] | tuple[float, float, int]] | None = None
    increasing: tuple[str, ...] = ()
    smooth: bool = False
    default_design: dict[str, Any] | None = None
    outcomes: np.ndarray | None = None
    experiment: Callable[..., Any] | None = None
    learn: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """The name it is loaded by."""
        return self.entry.name

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        return self.entry.title

    @property
    def source(self) -> str:
        """Where it comes from: an arXiv id or a reference."""
        return self.entry.source

    @property
    def cost_hint(self) -> str:
        """What simulating costs, as measured on one core of 2020s hardware, compilation excluded."""
        return self.entry.cost

    @property
    def prior(self) -> Prior:
        """The prior over its named parameters."""
        return self.simulator.prior

    @property
    def gold(self) -> Gold | None:
        """What the simulator can say of its own execution."""
        gold = self.simulator.gold
        return gold if isinstance(gold, Gold) else None

    @property
    def observations(self) -> int:
        """How many observations it has; they are numbered from 1."""
        return 10 if self.recorded is None else len(self.recorded[0])

    def observation(self, i: int = 1) -> Array:
        """The i-th observation, from 1. Raises `UsageError` for a number it does not have."""
        self._check_number(i)
        if self.recorded is not None:
            return jnp.asarray(self.recorded[0][i - 1], jnp.float32)
        key = jax.random.fold_in(as_key(_OBSERVATION_SEED), i)
        theta = self.true_theta(i)
        if self.events is None:
            return self.simulator(theta, key=key)
        if self.simulator.caller.makes_events:
            one = {name: np.asarray(value)[None] for name, value in theta.items()}
            sims = simulate(
                self.simulator, theta=one, events=self.events, design=self.default_design, key=key, workers=0
            )
            return jnp.asarray(sims.x[0])
        thetas = {name: jnp.broadcast_to(value, (self.events, *jnp.shape(value))) for name, value in theta.items()}
        return self.simulator.batch(thetas, keys=jax.random.split(key, self.events))

    def true_theta(self, i: int = 1) -> dict[str, Array]:
        """The parameters behind the i-th observation. Raises `NoTruth` where nobody knows them, as for real data."""
        self._check_number(i)
        if self.recorded is not None:
            values = self.recorded[1]
            if values is None:
                raise NoTruth(f"{self.name!r} is observed, not simulated: its true parameters are not known")
            return {name: jnp.asarray(value[i - 1], jnp.float32) for name, value in values.items()}
        if i == 1:
            return {name: jnp.asarray(value, jnp.float32) for name, value in self.default_theta.items()}
        return self.prior.sample(key=jax.random.fold_in(as_key(_THETA_SEED), i))

    def reference(self, i: int = 1, n: int = 10_000, key: int | PRNGKeyArray = 0) -> dict[str, Array]:
        """n draws of the posterior given the i-th observation, by name: exact where the truth has a sampler, else by
        long Monte Carlo on the known likelihood, checked and cached (see `reference_given`)."""
        return self.reference_given(self.observation(i), n, key)

    def reference_given(self, x: Any, n: int = 10_000, key: int | PRNGKeyArray = 0) -> dict[str, Array]:
        """n draws of the posterior given any observation x.

        Monte Carlo draws are kept in the user's cache directory (`QUINCUNX_CACHE` overrides it).

        Raises:
            NoTruth: if the likelihood is not known, or the Monte Carlo fails its R-hat or effective-sample-size check.
        """
        key = as_key(key)
        if self.truth.posterior_sample is not None:
            return self.truth.posterior_sample(n, x, key=key)
        if self.sampler is None:
            raise NoTruth(f"got {self.name!r}, whose likelihood nobody can write down; expected a problem with a truth")
        label = self._label(np.asarray(x, np.float32), n, key)
        stored = read_arrays(label)
        if stored is None:
            found = self.sampler(np.asarray(x, np.float64), n, key=key).checked(self.name)
            stored = {name: np.asarray(value, np.float32) for name, value in found.draws.items()}
            write_arrays(label, stored)
        return {name: jnp.asarray(stored[name]) for name in self.prior.names}

    def _label(self, x: np.ndarray, n: int, key: PRNGKeyArray) -> str:
        content = repr((self.options, n, REFERENCE_VERSION)).encode() + x.tobytes()
        content += np.asarray(jax.random.key_data(key)).tobytes()
        return f"{self.name}-{hashlib.sha256(content).hexdigest()[:20]}"

    def _check_number(self, i: int) -> None:
        if not 1 <= i <= self.observations:
            raise UsageError(
                f"got observation {i} of {self.name!r}; expected 1 to {self.observations}; counting starts at 1"
            )

    def __repr__(self) -> str:
        return f"Problem({self.name}: {self.title}; truth: {self.truth.kind}; {self.observations} observations)"

    def _repr_html_(self) -> str:
        facts = [("parameters", ", ".join(self.prior.names)), ("truth", self.truth.kind)]
        facts += [("observations", f"{self.observations}{f' of {self.events} events' if self.events else ''}")]
        facts += [("settings", short(self.space))] if self.space else []
        return card(f"{self.name}: {self.title}", facts=facts)


REFERENCE_VERSION = 1
"""Raised whenever the definition of a problem or of its Monte Carlo changes, so that old caches are not used."""

_OBSERVATION_SEED = 1805
_THETA_SEED = 12244
