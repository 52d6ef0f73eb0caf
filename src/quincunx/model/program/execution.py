"""One run of a program: every draw supplied or made, and written down."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, PRNGKeyArray
from numpyro.primitives import Messenger

from quincunx.errors import DuplicateSite, NameMismatch, ShapeMismatch, SimulatorError, Unnormalised, UsageError
from quincunx.model.program.density import site_log_prob
from quincunx.model.program.loop import run_scan
from quincunx.model.program.noise import Need, from_noise, need_of
from quincunx.model.program.support import bounds, choices, fixed_bounds, is_discrete, unwrapped

Keep = Literal["outcome", "values", "scores"]

__all__ = ["Drawn", "Execution", "Site", "execute"]


@dataclass(frozen=True)
class Site:
    """What is known of one draw before it is made: all but its numbers.

    `choices` are the values each of its numbers can take, where finitely many; `anywhere` says that its support is the same wherever the
    program has come from.

    >>> Site("z", "Normal", observed=False, discrete=False, shape=(), choices=None, anywhere=True).kind
    'latent'
    """

    address: str
    family: str
    observed: bool
    discrete: bool
    shape: tuple[int, ...]
    choices: tuple[float, ...] | None
    anywhere: bool

    @property
    def kind(self) -> str:
        """Latent or observed."""
        return "observed" if self.observed else "latent"


class Drawn(NamedTuple):
    """The numbers of one draw: its value, its log-probability (summed), and the edges of its support where they were asked for."""

    value: Array
    log_prob: Any
    bounds: tuple[Any, ...] = ()


class Execution(Messenger):
    """NumPyro's handler for one run: values that are given are used, the others made with `next_key`, and all of them kept.

    It takes the place of seed, substitute and trace, and runs `scan` itself (see `loop`), because it must see each draw once, with a key of
    its own that does not depend on which of the others are given.

    `keep` says what is written down: values at observed sites alone (all that a simulation needs), values at all sites, or their
    log-probabilities as well. `edges` asks for the bounds of supports.
    """

    def __init__(
        self,
        next_key: Callable[[int], Array] | None,
        given: Mapping[str, Any],
        observed: frozenset[str],
        *,
        keep: Keep = "scores",
        edges: bool = False,
    ):
        super().__init__()
        self.next_key, self.given, self.observed = next_key, given, observed
        self.keep, self.edges = keep, edges
        self.needs: list[Need | None] = []
        self.names: list[str] = []
        self.written: list[str] = []
        self.sites: dict[str, Site] = {}
        self.drawn: dict[str, Drawn] = {}
        self.tags: dict[str, Array] = {}

    def process_message(self, msg: Any) -> None:
        kind = msg["type"]
        if kind == "sample":
            self._sample(msg)
        elif kind == "control_flow":
            if getattr(msg["fn"], "__name__", "") != "scan_wrapper":
                raise SimulatorError(
                    "got numpyro's cond in a program; expected the same draws whatever happens; draw for both branches and choose with "
                    "jnp.where"
                )
            msg["value"] = run_scan(self, *msg["args"])
        elif kind == "plate":
            size, shown = msg["args"]
            if shown is not None and shown != size:
                raise Unnormalised(
                    f"got the plate '{msg['name']}' with {shown} of {size} rows; expected all of them; leave subsample_size out"
                )
        elif kind != "deterministic":
            raise SimulatorError(
                f"got '{msg.get('name', kind)}', a {kind}, in a program; expected draws by numpyro.sample alone, with "
                "parameters from theta; put it in the prior, or draw it"
            )

    def postprocess_message(self, msg: Any) -> None:
        if msg["type"] == "deterministic":
            self.tags[msg["name"]] = jnp.asarray(msg["value"])

    def random(self, need: Need | None = None) -> Array | None:
        """What the next draw or loop is made with, a key or noise, in the order in which they come."""
        self.needs.append(need)
        return None if self.next_key is None else self.next_key(len(self.needs) - 1)

    def record(self, site: Site, drawn: Drawn) -> None:
        """Write a draw down.

        Raises:
            DuplicateSite: if one of its name is there, unless only the outcome is asked for.
        """
        if self.keep != "outcome" and site.address in self.sites:
            raise DuplicateSite(
                f"got two draws with the name '{site.address}'; expected a name for each; rename one of them, or draw both in one site"
            )
        self.sites[site.address], self.drawn[site.address] = site, drawn

    def in_a_loop(self, next_key: Callable[[int], Array] | None, given: Mapping[str, Any]) -> "Execution":
        """The handler for one step of a loop."""
        return Execution(next_key, given, self.observed, keep=self.keep, edges=self.edges)

    def record_loop(self, step: "Execution", drawn: Mapping[str, Drawn], tags: Mapping[str, Array], steps: int) -> None:
        """Write down what all steps of a loop drew, each array with a leading axis of `steps`."""
        for name, site in step.sites.items():
            one = drawn[name]
            total = None if one.log_prob is None else jnp.sum(one.log_prob)
            self.record(replace(site, shape=(steps, *site.shape)), Drawn(one.value, total, one.bounds))
        self.names += step.names
        self.written += step.written
        self.tags |= tags

    def _sample(self, msg: Any) -> None:
        name, fn = msg["name"], msg["fn"]
        self.names.append(name)
        if isinstance(fn, dist.Unit):
            raise Unnormalised(
                f"got the factor '{name}' in a program; expected draws alone, because with a factor what the program draws is not "
                "distributed as its density says; give its condition by program.condition(...) on a site that is drawn"
            )
        if msg.get("scale") is not None:
            raise Unnormalised(
                f"got the site '{name}' with its log-density scaled; expected the density of what is drawn; leave the scale handler out"
            )
        if not isinstance(fn, dist.Distribution):
            raise SimulatorError(
                f"got the site '{name}' with a {type(fn).__name__}; expected a distribution of numpyro.distributions"
            )
        shape = tuple(msg["kwargs"].get("sample_shape", ())) + tuple(fn.shape())
        random = self.random(need_of(fn, shape))
        discrete = is_discrete(fn)
        written = msg["value"]
        if name in self.given:
            written = self.given[name]
        elif written is not None:
            self.written.append(name)
        if written is None:
            msg["value"] = self._draw(msg, fn, random, discrete)
        else:
            msg["value"] = _fitted(name, written, fn, shape, discrete)
        observed = name in self.observed or (msg["is_observed"] and name not in self.given)
        log_prob = (
            site_log_prob(fn, jnp.asarray(msg["value"]), msg["value"] if written is None else written)
            if self.keep == "scores"
            else None
        )
        if self.keep != "outcome" or name in self.observed:
            few = choices(fn) if self.keep == "scores" else None
            site = Site(name, _family(fn), observed, discrete, shape, few, fixed_bounds(fn))
            edges = tuple(jnp.asarray(edge) for edge in bounds(fn)) if self.edges else ()
            self.record(site, Drawn(jnp.asarray(msg["value"]), log_prob, edges))

    def _draw(self, msg: Any, fn: Any, random: Any, discrete: bool) -> Any:
        if random is None:
            raise UsageError(
                f"got no value for the site '{msg['name']}'; expected one for every site of the program; give it as well, or use "
                "generate(theta, values, key=...), which draws the others"
            )
        if jnp.issubdtype(random.dtype, jax.dtypes.prng_key):
            value = fn(rng_key=random, sample_shape=msg["kwargs"].get("sample_shape", ()))
        else:
            value = from_noise(fn, random)
        # What follows from a value must be computed from the number that is kept, not fused with how it was drawn.
        return value if discrete else jax.lax.optimization_barrier(value)


def execute(
    program: Any,
    theta: Mapping[str, Any],
    design: Mapping[str, Any] | None,
    key: PRNGKeyArray | None,
    given: Mapping[str, Any],
    *,
    keep: Keep = "scores",
    edges: bool = False,
) -> tuple[Execution, Any]:
    """Run a program's model once; returns what was written down and what the model returned.

    Raises:
        NameMismatch: for given values that belong to no site, or a parameter that is not there.
        DuplicateSite, SimulatorError, Unnormalised: for a model that is not a program of draws.
        UsageError: without a key, for a site to which no value is given.
    """
    run = Execution(
        None if key is None else lambda i: jax.random.fold_in(key, i),
        given,
        frozenset(program.observed),
        keep=keep,
        edges=edges,
    )
    settings = {} if design is None else {"design": design}
    try:
        with run:
            returned = program.model(theta, **settings)
    except NotImplementedError as error:
        raise SimulatorError(
            f"program '{program.name}' asks for what NumPyro does not do ({error}); expected plates within loops, not loops within plates; "
            "turn them round"
        ) from error
    except KeyError as error:
        if keep != "outcome" and error.args and isinstance(error.args[0], str):
            raise NameMismatch(
                f"program '{program.name}' asks for '{error.args[0]}'; it was given the parameters {list(theta)} and the settings "
                f"{sorted(design or {})}; rename one of them so that both agree"
            ) from error
        raise
    unknown = [name for name in given if name not in run.names]
    if unknown:
        raise NameMismatch(
            f"got values of {unknown}; expected some of the program's sites {run.names}; use their names"
        )
    return run, returned


def _fitted(name: str, value: Any, fn: Any, shape: tuple[int, ...], discrete: bool) -> Array:
    """A given value with the dtype of a draw."""
    value = jnp.asarray(value)
    if value.shape != shape:
        raise ShapeMismatch(f"got the site '{name}' with a value of shape {value.shape}; expected {shape}; reshape it")
    if discrete:
        drawn = jax.eval_shape(lambda key: fn.sample(key), jax.random.key(0)).dtype
        return value if value.dtype == drawn else value.astype(drawn)
    return value if jnp.issubdtype(value.dtype, jnp.floating) else value.astype(float)


def _family(fn: Any) -> str:
    return type(unwrapped(fn)).__name__.removesuffix("Probs").removesuffix("Logits")
