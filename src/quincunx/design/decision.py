"""Decision theory: losses, rules, risks, and what an experiment is worth to whoever must decide after it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.design.belief import Belief
from quincunx.design.density import above, columns_of, density_of, log_each
from quincunx.design.experiment import Events, Question, Slots, event_counts
from quincunx.design.found import mean_and_se
from quincunx.design.space import design_rows
from quincunx.errors import UsageError
from quincunx.infer.likelihood import named_double
from quincunx.model import Simulator
from quincunx.model.precision import double_scope
from quincunx.notebook import from_fields
from quincunx.values import as_key

GROUPS = 16
"""Outcomes fall into so many groups, each of which weighs inner draws of its own."""

__all__ = [
    "Expected",
    "Loss",
    "bayes_risk",
    "evsi",
    "expected_loss",
    "expected_max_probability",
    "expected_variance",
    "risk",
]


@dataclass(frozen=True, eq=False)
class Loss:
    """L(theta, a) for each of finitely many actions: `function(theta, action)` of one parameter point by name and one action.

    Where there is a continuum of actions, give a grid of them; for squared error and 0-1 loss the best action is known, and `expected_variance` and
    `expected_max_probability` use it.

    >>> import numpyro.distributions as dist, quincunx as qx
    >>> loss = Loss(lambda theta, a: (theta["mu"] - a) ** 2, np.array([0.0, 1.0]))
    >>> loss.table(qx.Prior(mu=dist.Normal(0.0, 1.0)), np.array([[0.0], [2.0]])).tolist()
    [[0.0, 1.0], [4.0, 1.0]]
    """

    function: Callable[[dict[str, Any], Any], Any]
    actions: Any

    def table(self, prior: Any, draws: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m a"]:
        """L of every draw and action."""
        named = named_double(prior, draws)
        with double_scope():
            over_actions = jax.vmap(self.function, in_axes=(None, 0))
            actions = jax.tree.map(lambda a: np.asarray(a, np.float64), self.actions)
            return np.asarray(jax.vmap(over_actions, in_axes=(0, None))(named, actions), np.float64)

    _repr_html_ = from_fields


@dataclass(frozen=True)
class Expected:
    """An expected posterior loss E_x min_a E[L(theta, a) | x], with what is expected without the experiment.

    `lower` and `upper` bound the value in expectation: the best that could be done by knowing the weighted draws, and what
    the rule that they suggest does lose; `gain` is what the experiment is worth, in the units of the loss.
    """

    value: float
    se: float
    lower: float
    upper: float
    without: float
    ess: float
    n_outer: int
    n_inner: int

    @property
    def gain(self) -> float:
        """The loss without the experiment less that with it, not negative."""
        return max(0.0, self.without - self.value)

    _repr_html_ = from_fields


def risk(
    loss: Callable[[dict[str, Any], Any], Any],
    rule: Callable[[Any], Any],
    simulator: Simulator,
    theta: Mapping[str, Any],
    design: Mapping[str, Any] | None = None,
    *,
    events: int = 1,
    n: int = 2048,
    key: PRNGKeyArray | int,
) -> tuple[float, float]:
    """R(theta, delta) = E_{x | theta} L(theta, delta(x)) of a decision rule at one theta, and its standard error.

    `rule` takes the outcomes of all events (events, ...); it and `loss` must be functions that JAX transforms.
    """
    flat = np.broadcast_to(np.asarray(simulator.prior.flatten(theta), np.float64), (n, simulator.prior.dim))
    return _losses(loss, rule, simulator, flat, design, events, as_key(key))


def bayes_risk(
    loss: Callable[[dict[str, Any], Any], Any],
    rule: Callable[[Any], Any],
    simulator: Simulator,
    design: Mapping[str, Any] | None = None,
    *,
    belief: Any = None,
    events: int = 1,
    n: int = 2048,
    key: PRNGKeyArray | int,
) -> tuple[float, float]:
    """r(pi, delta) = E_theta R(theta, delta) of a decision rule under a belief (the prior by default), and its standard error."""
    k_belief, k_noise = jax.random.split(as_key(key))
    held = Belief.of(simulator.prior if belief is None else belief, n, k_belief, prior=simulator.prior)
    return _losses(loss, rule, simulator, held.draws, design, events, k_noise)


def expected_loss(
    simulator: Simulator, loss: Loss, design: Mapping[str, Any] | None = None, **settings: Any
) -> Expected:
    """E_x min_a E[L(theta, a) | x], by weighting draws of the belief with the likelihood of each simulated outcome.

    Settings: `belief`, `events`, `n` outer and `inner` draws, `estimator` (as for `eig`) and `key`. The value is the middle of two
    bounds that close as the inner draws grow: `expected_loss(...).lower` and `.upper`.

    Raises:
        NoDensity: without a likelihood, exact or learned.
    """
    asked = _Asked.of(simulator, design, **settings)
    return _expected(asked, loss.table(simulator.prior, asked.pool), loss.table(simulator.prior, asked.question.outer))


def evsi(
    simulator: Simulator,
    utility: Callable[[dict[str, Any], Any], Any],
    actions: Any,
    design: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Expected:
    """Expected value of sample information: EVSI = E_x max_a E[u(theta, a) | x] - max_a E u(theta, a) >= 0, in `gain`.

    The other numbers are losses, -u. Settings and errors are those of `expected_loss`.
    """
    return expected_loss(simulator, Loss(lambda theta, a: -utility(theta, a), actions), design, **settings)


def expected_variance(
    simulator: Simulator,
    design: Mapping[str, Any] | None = None,
    *,
    of: Sequence[str] | None = None,
    weights: Float[np.ndarray, " k"] | None = None,
    **settings: Any,
) -> Expected:
    """E_x sum_k w_k Var(theta_k | x), the Bayes risk under squared error, whose rule is the posterior mean.

    `of` names the parameters that count (all, by default), `weights` (1 by default) what a unit of squared error of each of
    their numbers costs. Settings and errors are those of `expected_loss`.
    For theta ~ N(m, s0^2) and y ~ N(d theta, s^2) it is 1 / (1 / s0^2 + d^2 / s^2), whatever y is.
    """
    asked = _Asked.of(simulator, design, **settings)
    columns = list(columns_of(simulator.prior, list(of) if of is not None else simulator.prior.names))
    w = np.ones(len(columns)) if weights is None else np.asarray(weights, np.float64)
    scaled = np.sqrt(w)
    inner, outer = asked.pool[:, columns] * scaled, asked.question.outer[:, columns] * scaled
    return asked.expected(inner, outer, float(inner.var(axis=0, ddof=1).sum()), squares=True)


def expected_max_probability(
    simulator: Simulator,
    model: Callable[[dict[str, Any]], Any],
    design: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Expected:
    """1 - E_x max_m p(m | x): the Bayes risk under 0-1 loss over models, `model(theta)` being the number of the model of a parameter point.

    Settings and errors are those of `expected_loss`.
    """
    asked = _Asked.of(simulator, design, **settings)

    def numbers(draws: np.ndarray) -> np.ndarray:
        return np.asarray(jax.vmap(model)(named_double(simulator.prior, draws))).reshape(-1)

    pool, outer = numbers(asked.pool), numbers(asked.question.outer)
    kinds = np.unique(pool)
    if len(kinds) > 64:
        raise UsageError(
            f"got {len(kinds)} models; expected a function of theta with few values; number the models 0, 1, ..."
        )
    return _expected(asked, 1.0 - (pool[:, None] == kinds), 1.0 - (outer[:, None] == kinds))


@dataclass(frozen=True, eq=False)
class _Asked:
    """One experiment with its outcomes and the draws that they weigh."""

    question: Question
    slots: Slots
    pool: np.ndarray
    x: Any
    ok: np.ndarray

    @classmethod
    def of(
        cls,
        simulator: Simulator,
        design: Mapping[str, Any] | None,
        *,
        belief: Any = None,
        events: Events = 1,
        n: int = 1024,
        inner: int = 1024,
        estimator: Any = None,
        key: PRNGKeyArray | int,
    ) -> "_Asked":
        together = design_rows(dict(design)) if design else [{}]
        k_belief, k_noise = jax.random.split(as_key(key))
        most = n + GROUPS * inner
        held = Belief.of(simulator.prior if belief is None else belief, most, k_belief, prior=simulator.prior)
        outer = n if len(held) >= most else len(held) // 2
        question = Question(
            simulator, held, density_of(simulator, estimator), held.draws[:outer], held.draws[outer:], k_noise
        )
        slots = Slots.of(together, event_counts(events, together))
        x, ok = question.outcomes(slots)
        return cls(question, slots, question.inner, jax.tree.map(lambda a: a.astype(np.float64), x), ok)

    def expected(self, inner: np.ndarray, outer: np.ndarray, without: float, *, squares: bool) -> Expected:
        """From the losses of actions (or, with `squares`, the numbers to be estimated) at the inner and at the outer draws.

        Given x_i and the draws without their order, the one that x_i came from is each with probability w_k. The best that can be done
        knowing the set is the lower bound; the upper is what the action that all draws but k suggest loses at k, averaged over k.
        """
        slots, q = self.slots, self.question
        size = len(self.pool) // GROUPS
        starts = (np.arange(len(q.outer)) % GROUPS * size).astype(np.int32)
        with double_scope():
            parts = _bounds(
                q.density,
                (q.outer, self.x, starts, outer),
                slots.settings,
                slots.mask,
                (self.pool, inner),
                size,
                squares,
            )
        lower, upper, ess = (np.where(self.ok, np.asarray(part), np.nan) for part in parts)
        middle = 0.5 * (lower + upper)
        # groups have no inner draw in common: their scatter is the error of the mean
        group = np.arange(len(middle)) % GROUPS
        means = np.array([np.nanmean(middle[group == g]) for g in range(GROUPS)])
        se = float(means.std(ddof=1) / np.sqrt(GROUPS))
        low, high = float(np.nanmean(lower)), float(np.nanmean(upper))
        return Expected(float(np.nanmean(middle)), se, low, high, without, float(np.nanmean(ess)), len(middle), size)


def _expected(asked: _Asked, table: np.ndarray, outer: np.ndarray) -> Expected:
    return asked.expected(table, outer, float(table.mean(axis=0).min()), squares=False)


def _losses(
    loss: Any,
    rule: Any,
    simulator: Simulator,
    flat: np.ndarray,
    design: Mapping[str, Any] | None,
    events: int,
    key: PRNGKeyArray,
) -> tuple[float, float]:
    together = design_rows(dict(design)) if design else [{}]
    slots = Slots.of(together, event_counts(events, together))
    nothing = np.zeros((1, flat.shape[1]))
    held = Belief(simulator.prior, flat)
    x, ok = Question(simulator, held, None, flat, nothing, key).outcomes(slots)
    rows = np.asarray(
        jax.vmap(lambda theta, x: loss(theta, rule(x)))(named_double(simulator.prior, flat), x), np.float64
    )
    return mean_and_se(np.where(ok, rows.reshape(-1), np.nan))


@eqx.filter_jit
def _bounds(
    density: Any, rows: Any, settings: Any, mask: Any, whole: Any, size: int, squares: bool
) -> tuple[Array, Array, Array]:
    whole, settings = jax.tree.map(jnp.asarray, whole), jax.tree.map(jnp.asarray, settings)

    def one(row: tuple[Array, Any, Array, Array]) -> tuple[Array, Array, Array]:
        theta, x, start, own_losses = row
        inner, losses = (jax.lax.dynamic_slice_in_dim(part, start, size) for part in whole)
        own = log_each(density, theta, x, settings)
        r = jax.vmap(lambda point: above(log_each(density, point, x, settings), own, jnp.asarray(mask)))(inner)
        w = jax.nn.softmax(jnp.concatenate([jnp.zeros(1), r]))
        g = jnp.concatenate([own_losses[None], losses])
        mean = w @ g
        if squares:
            away = jnp.sum((g - mean) ** 2, axis=1)
            return w @ away, w @ (away / jnp.maximum(1.0 - w, 1e-12) ** 2), 1.0 / jnp.sum(w**2)
        best = jnp.argmin(mean - w[:, None] * g, axis=1)
        return jnp.min(mean), w @ jnp.take_along_axis(g, best[:, None], axis=1)[:, 0], 1.0 / jnp.sum(w**2)

    return jax.lax.map(one, jax.tree.map(jnp.asarray, rows), batch_size=64)
