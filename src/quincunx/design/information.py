"""The expected information gain of an experiment, and of many designs of it at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from quincunx.design.belief import Belief
from quincunx.design.contrastive import contrastive, nwj
from quincunx.design.curve import Curve, Eigs
from quincunx.design.density import columns_of, density_of, has_density
from quincunx.design.enumerated import enumerated
from quincunx.design.estimate import EIG
from quincunx.design.experiment import Events, Question, Slots, event_counts
from quincunx.design.fisher import fisher
from quincunx.design.found import OPEN, Found, settled
from quincunx.design.marginal import marginal
from quincunx.design.nested import GROWTH, nested
from quincunx.design.posterior_bound import posterior_bound
from quincunx.design.proposal import proposal
from quincunx.design.quasi import SCRAMBLINGS, quasi_draws
from quincunx.design.space import Design, design_rows, stack_designs
from quincunx.errors import NoDensity, UsageError
from quincunx.infer import DirectEstimator, PotentialEstimator
from quincunx.model import Simulator
from quincunx.values import as_key

__all__ = ["METHODS", "eig", "eig_curve", "estimator_of"]

METHODS = ("auto", "nested", "enumerated", "proposal", "posterior", "contrastive", "nwj", "marginal", "fisher")
_MEANS = ("nested", "proposal", "posterior", "contrastive", "nwj")
_SOBOL = 0x736F626F
Target = Sequence[str] | str | None
Finder = Callable[[Slots], Found]


def eig(
    simulator: Simulator,
    design: Mapping[str, Any] | None = None,
    *,
    belief: Any = None,
    method: str = "auto",
    events: Events = 1,
    n: int = 2048,
    inner: int = 1024,
    target: Target = None,
    estimator: Any = None,
    outcomes: Any = None,
    tolerance: float = 0.02,
    draws: str = "random",
    key: PRNGKeyArray | int,
) -> EIG:
    """EIG(design) = E_{theta, x}[log p(x | theta, design) - log p(x | design)] = I(theta; x | design), in nats, with what is known of its error.

    Args:
        belief: a `Belief`, a prior or a posterior; the simulator's prior unless given. design: settings by name, a tuple for
        a vector, or several designs that are run together, as a dict of arrays.
        method: "nested" (both bounds from the density), "enumerated" (exact, for finitely many `outcomes`), "proposal" (both bounds for narrow
        posteriors), "posterior" (lower, from an NPE-like estimator), "contrastive" and "nwj" (lower, from any learned likelihood or ratio), "marginal" (upper,
        from a density fitted to the outcomes), "fisher" (no bound: for screening), or "auto": the best of those that what is there allows.
        events: how many independent events are observed at the design, or a function of the design.
        n, inner: outer and inner draws; the inner ones grow up to sixteen times until the bracket is narrower than `tolerance`.
        target: names of the parameters whose information counts, the others being nuisance: I(psi; x).
        estimator: a learned likelihood, ratio or posterior, or a function(theta, x, design).
        draws: "random", or "sobol" for outer draws of the prior that fill it evenly, in sixteen independent scramblings between which the error is
        seen: the same expectation, and less variance where outcomes follow the parameters closely. The noise of simulators stays random.

    Raises:
        NoDensity: where the method needs a density that there is not. ImproperBelief: for a belief that is no distribution.
        UsageError: for an unknown method, or one that the estimator does not serve, and "sobol" where the belief is not the prior, or for a method
        that adds up outcomes or needs independent draws.

    >>> import jax, jax.numpy as jnp, numpyro.distributions as dist, types, quincunx as qx
    >>> def log_likelihood(theta, x, design):
    ...     return jax.scipy.stats.norm.logpdf(x[0], design["d"] * theta["a"], 0.5)
    >>> @qx.simulator(qx.Prior(a=dist.Normal(0.0, 1.0)), tractable=types.SimpleNamespace(log_likelihood=log_likelihood))
    ... def line(theta, *, key, design):
    ...     return design["d"] * theta["a"] + 0.5 * jax.random.normal(key)
    >>> one = eig(line, {"d": 2.0}, n=512, inner=256, key=0)                   # 0.5 log 17 = 1.4166
    >>> bool(abs(one.value - 1.4166) < 3 * one.se), one.is_bracketed
    (True, True)
    """
    designs = {} if design is None else dict(design)
    together = design_rows(designs) if designs else [{}]
    counts = event_counts(events, together)
    finder = estimator_of(
        simulator, belief=belief, method=method, n=n, inner=inner, target=target, estimator=estimator, outcomes=outcomes,
        tolerance=tolerance, draws=draws, key=key,
    )  # fmt: skip
    return finder(Slots.of(together, counts)).eig()


def eig_curve(
    simulator: Simulator,
    designs: Mapping[str, Any],
    *,
    belief: Any = None,
    method: str = "auto",
    events: Events = 1,
    n: int = 2048,
    inner: int = 1024,
    target: Target = None,
    estimator: Any = None,
    outcomes: Any = None,
    tolerance: float = 0.02,
    draws: str = "random",
    key: PRNGKeyArray | int,
) -> Curve:
    """The information of many designs, a dict of arrays of one length, on common random numbers: the same theta, keys and inner draws at each.

    One function is compiled, once, whatever the designs and however many. Arguments and errors are those of `eig`. Where the bracket of one design stays open, all
    designs are read at their lower ends, so that they can be compared.

    >>> import jax, jax.numpy as jnp, numpy as np, numpyro.distributions as dist, types, quincunx as qx
    >>> def log_likelihood(theta, x, design):
    ...     z = (theta["a"] - design["d"]) / 0.5
    ...     return jnp.where(x[0] > 0.5, jax.nn.log_sigmoid(z), jax.nn.log_sigmoid(-z))
    >>> truth = types.SimpleNamespace(log_likelihood=log_likelihood, outcomes=np.array([0.0, 1.0]))
    >>> @qx.simulator(qx.Prior(a=dist.Normal(0.0, 1.0)), tractable=truth)
    ... def answer(theta, *, key, design):
    ...     return jax.random.bernoulli(key, jax.nn.sigmoid((theta["a"] - design["d"]) / 0.5))
    >>> eig_curve(answer, {"d": [0.0, 1.0, 2.0]}, key=0).value.round(6)
    array([0.231138, 0.1766  , 0.079645])
    """
    rows = design_rows(designs)
    finder = estimator_of(
        simulator, belief=belief, method=method, n=n, inner=inner, target=target, estimator=estimator, outcomes=outcomes,
        tolerance=tolerance, draws=draws, key=key,
    )  # fmt: skip
    counts = event_counts(events, rows)
    return curve_of(finder, rows, [Slots.of([row], [c], max(counts)) for row, c in zip(rows, counts)])


def curve_of(finder: Finder, rows: list[Design], slots: list[Slots]) -> Curve:
    """The curve of what a finder finds in each of several slots; `rows` are the designs that they are named by."""
    return curve_from(rows, [finder(one) for one in slots])


def curve_from(rows: list[Design], found: list[Found]) -> Curve:
    """The curve of what was found at each of several designs, on the same draws."""
    is_open = settled(found)
    eigs = [one.eig(open_bracket=is_open) for one in found]
    return Curve(stack_designs(rows), Eigs.of(eigs), np.stack([one.rows(is_open) for one in found]))


def estimator_of(
    simulator: Simulator,
    *,
    belief: Any,
    method: str,
    n: int,
    inner: int,
    target: Target,
    estimator: Any,
    outcomes: Any,
    tolerance: float,
    draws: str = "random",
    key: PRNGKeyArray | int,
) -> Finder:
    """From a question to a function of slots that answers it: draws are made and methods chosen once for all designs. Raises: as `eig`."""
    if method not in METHODS:
        raise UsageError(f"got method {method!r}; expected one of {', '.join(METHODS)}")
    if n < 2 or inner < 1:
        raise UsageError(
            f"got n={n} outer and inner={inner} inner draws; expected at least 2 and 1; choose larger numbers"
        )
    k_belief, k_noise = jax.random.split(as_key(key))
    if outcomes is None:
        outcomes = getattr(simulator.tractable, "outcomes", None)
    chosen = _method(simulator, method, estimator, outcomes, target)
    names = (target,) if isinstance(target, str) else None if target is None else tuple(target)
    most = n + (GROWTH if chosen in ("nested", "proposal") else 1) * inner
    held = Belief.of(simulator.prior if belief is None else belief, most, k_belief, prior=simulator.prior)
    if tuple(held.prior.names) != tuple(simulator.prior.names):
        raise UsageError(
            f"got a belief about {list(held.prior.names)}; expected one about {list(simulator.prior.names)}"
        )
    outer = n if len(held) >= most else min(n, max(2, len(held) // 2))
    if len(held) < 4:
        raise UsageError(f"got a belief of {len(held)} draws; expected at least 4; draw more")
    density = None
    if chosen in ("nested", "enumerated", "proposal", "contrastive", "nwj", "marginal", "fisher"):
        density = density_of(simulator, None if isinstance(estimator, DirectEstimator) else estimator)
    first = held.draws[:outer]
    if draws == "sobol":
        first = _evenly(held, chosen, n, jax.random.fold_in(k_belief, _SOBOL))
    elif draws != "random":
        raise UsageError(f"got draws={draws!r}; expected 'random' or 'sobol'")
    question = Question(simulator, held, density, first, held.draws[outer:], k_noise)

    def made(method: str, *more: Any) -> Finder:
        finder = _finder(question, method, *more)
        return finder if draws == "random" else lambda slots: replace(finder(slots), scramblings=SCRAMBLINGS)

    finder = made(chosen, inner, names, estimator, outcomes, tolerance)
    if (
        method != "auto"
        or chosen != "nested"
        or names is not None
        or not held.from_prior
        or held.prior.region is not None
    ):
        return finder
    narrow = made("proposal", min(inner, 512), None, None, None, tolerance)

    def rescued(slots: Slots) -> Found:
        found = finder(slots)
        return found if found.gap <= OPEN else min(found, narrow(slots), key=lambda one: one.gap)

    return rescued


def _evenly(held: Belief, method: str, n: int, key: PRNGKeyArray) -> Float[np.ndarray, "m d"]:
    """Outer draws that fill the prior, for the methods that take means over them."""
    if not held.from_prior:
        raise UsageError("got draws='sobol' with a belief of draws; expected the prior; take draws='random'")
    if method not in _MEANS:
        raise UsageError(
            f"got draws='sobol' with method {method!r}; expected one of {', '.join(_MEANS)}; take draws='random'"
        )
    return quasi_draws(held.prior, n, key)


def _method(simulator: Simulator, method: str, estimator: Any, outcomes: Any, target: Target) -> str:
    if method != "auto":
        return method
    if isinstance(estimator, DirectEstimator):
        return "posterior"
    if isinstance(estimator, PotentialEstimator):
        return "contrastive"
    if estimator is None and not has_density(simulator):
        raise NoDensity(
            f"got simulator '{simulator.name}', which has no log_likelihood, and no estimator; expected one of them; fit NPE, NLE or NRE on simulations "
            "with settings that vary (simulate(..., design=Prior(...))) and pass estimator="
        )
    return "enumerated" if outcomes is not None and target is None else "nested"


def _finder(
    question: Question,
    method: str,
    inner: int,
    names: tuple[str, ...] | None,
    estimator: Any,
    outcomes: Any,
    tolerance: float,
) -> Finder:
    held = None if names is None else _held(question, method, names, estimator)
    if method == "enumerated":
        if outcomes is None:
            raise UsageError(
                "got method 'enumerated' without outcomes; expected all outcomes of one event; pass outcomes=array"
            )
        return lambda slots: enumerated(question, slots, outcomes)
    if method == "nested" and question.density is not None and question.density.learned:
        return lambda slots: _plug_in(nested(question, slots, inner=inner, tolerance=tolerance, held=held))
    finders: dict[str, Finder] = {
        "nested": lambda slots: nested(question, slots, inner=inner, tolerance=tolerance, held=held),
        "proposal": lambda slots: proposal(question, slots, inner=inner, estimator=estimator),
        "posterior": lambda slots: posterior_bound(question, slots, estimator),
        "contrastive": lambda slots: contrastive(question, slots, inner=inner),
        "nwj": lambda slots: nwj(question, slots, inner=inner),
        "marginal": lambda slots: marginal(question, slots),
        "fisher": lambda slots: fisher(question, slots),
    }
    return finders[method]


def _held(question: Question, method: str, names: tuple[str, ...], estimator: Any) -> Float[np.ndarray, " d"] | None:
    """Which columns are the target's, for the method that needs to know; others have it from their estimator."""
    prior = question.belief.prior
    columns = columns_of(prior, names)
    if method == "nested":
        if not question.belief.from_prior:
            raise NoDensity(
                "got a target with a belief that is not the prior; expected independent parameters, to draw the nuisance given the target; fit "
                "NRE or NPE on the target alone and pass estimator="
            )
        return np.isin(np.arange(prior.dim), columns).astype(np.float64)
    known = getattr(getattr(estimator, "prior", None), "names", None)
    if method not in ("posterior", "contrastive", "nwj") or known is None or set(known) != set(names):
        raise UsageError(
            f"got target {list(names)} with method {method!r} and an estimator of {list(known or [])}; expected method 'nested', or an estimator "
            "that was fitted to the target alone, with method 'posterior' or 'contrastive'"
        )
    return None


def _plug_in(found: Found) -> Found:
    """A learned likelihood in the place of the exact one: its lower end is still a bound, on fresh pairs; the upper is none."""
    rows = found.rows(found.gap > OPEN)
    said = ("the value takes a learned likelihood for the exact one: it is no bound, and there is no upper one",)
    return Found(
        "nested plug-in",
        found.lower,
        None,
        value=rows,
        n_inner=found.n_inner,
        ess=found.ess,
        warnings=(*said, *found.warnings),
    )
