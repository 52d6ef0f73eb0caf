"""Choose what to measure next: compare designs, select one, and say what it is expected to teach."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from quincunx.design.batches import BestBatch, best_batch, searched_batch
from quincunx.design.belief import Belief
from quincunx.design.choice import Choice
from quincunx.design.curve import Curve, costs_of
from quincunx.design.experiment import Events, Slots, event_counts
from quincunx.design.gradients import ascend
from quincunx.design.information import Target, curve_of, estimator_of
from quincunx.design.optuna import Optuna
from quincunx.design.ranking import indistinguishable, ranked
from quincunx.design.search import search_space
from quincunx.design.space import Design, Space, design_rows, stack_designs
from quincunx.errors import DesignOutsideSpace, UsageError
from quincunx.model import Simulator
from quincunx.values import as_key

__all__ = ["choose"]

GRID = {1: 41, 2: 13}
"""Points along an interval, by the number of intervals."""

CLIMB = {"starts": 4, "steps": 150}
"""From how many designs it is climbed, and in how many steps."""

Cost = Callable[[dict[str, Any]], float] | Sequence[float] | np.ndarray | None


def choose(
    simulator: Simulator,
    designs: "Space | Mapping[str, Any]",
    *,
    belief: Any = None,
    cost: Cost = None,
    per_cost: bool = False,
    weight: float | None = None,
    constraint: Callable[[dict[str, Any]], bool] | None = None,
    method: str = "auto",
    optimiser: str | Optuna = "auto",
    events: Events = 1,
    batch: int = 1,
    n: int = 1024,
    inner: int = 512,
    target: Target = None,
    estimator: Any = None,
    outcomes: Any = None,
    tolerance: float = 0.02,
    key: PRNGKeyArray | int,
) -> Choice:
    """The design of highest utility: EIG, or EIG / cost with `per_cost`, or EIG - weight * cost, in nats, at the number of events that it will be run with.

    Args:
        designs: a dict of arrays of one length, or a `Space`. Spaces of up to two intervals are searched on a grid, on common random numbers, with the
        draws spent on the designs that may be the best ("grid"); larger ones by Bayesian optimisation ("bayes"), or, for smooth JAX simulators that ask
        for it, by climbing from many starts ("gradient", see `ascend`), or by a sampler of optuna ("optuna", or an `Optuna`).
        cost: a function of a design, or a cost for each. constraint: a function of a design that must hold.
        batch: how many designs to choose to be run together; jointly where there are few combinations of levels, or at most ten numbers to search for,
        else one after another.

    The information of the chosen design is estimated again with fresh draws. Where all designs are equal within their errors the cheapest is chosen.
    Other arguments are those of `eig`.

    Raises:
        DesignOutsideSpace: if the constraint allows no design. UsageError: for costs that do not fit, and as `eig`.

    >>> import numpy as np, types, jax.numpy as jnp, numpyro.distributions as dist, quincunx as qx
    >>> def log_likelihood(theta, x, design):
    ...     p = 1 / (1 + jnp.exp(-(theta["a"] - design["d"]) / 0.5))
    ...     return jnp.log(jnp.where(x[0] > 0.5, p, 1 - p))
    >>> truth = types.SimpleNamespace(log_likelihood=log_likelihood, outcomes=np.array([0.0, 1.0]))
    >>> @qx.simulator(qx.Prior(a=dist.Normal(0.0, 1.0)), tractable=truth)
    ... def answer(theta, *, key, design):
    ...     return jax.random.bernoulli(key, 1 / (1 + jnp.exp(-(theta["a"] - design["d"]) / 0.5)))
    >>> choose(answer, {"d": [-1.0, 0.0, 1.0]}, key=0).design
    {'d': 0.0}
    """
    k_curve, k_fresh, k_search, k_belief = jax.random.split(as_key(key), 4)
    if cost is None and (per_cost or weight is not None):
        raise UsageError("got per_cost or weight without a cost; expected one; pass cost=function of a design")
    if per_cost and weight is not None:
        raise UsageError("got both per_cost and weight; expected one of them: EIG / cost, or EIG - weight * cost")
    space = designs if isinstance(designs, Space) else None
    optuna = optimiser if isinstance(optimiser, Optuna) else Optuna() if optimiser == "optuna" else None
    if optuna is None and optimiser not in ("auto", "grid", "bayes", "gradient"):
        raise UsageError(f"got optimiser {optimiser!r}; expected 'auto', 'grid', 'bayes', 'gradient' or 'optuna'")
    if space is None and optimiser not in ("auto", "grid"):
        raise UsageError(
            f"got optimiser {optimiser!r} with a list of designs; expected a Space to search; pass Space(...)"
        )
    question = {
        "method": method, "inner": inner, "target": target, "estimator": estimator, "outcomes": outcomes, "tolerance": tolerance,
    }  # fmt: skip
    held = simulator.prior if belief is None else belief
    if not isinstance(held, Belief):
        # one set of draws serves all rounds, shuffled anew in each
        held = Belief.of(held, 16 * inner + 8 * n, k_belief, prior=simulator.prior)

    def finder(number: int, size: int = n, start: PRNGKeyArray = k_curve) -> Any:
        own = jax.random.fold_in(start, number)
        return estimator_of(simulator, belief=shuffled(held, own), n=size, key=own, **question)

    def utility(curve: Curve) -> Curve:
        if not per_cost and weight is None:
            return curve
        return curve.cost_adjusted(costs_of(cost, curve.rows), weight=weight)

    def climb(**more: Any) -> Any:
        told = {"belief": held, "events": _one_count(events), "estimator": estimator, "key": k_search, **CLIMB, **more}
        return ascend(simulator, space, n=min(n, 256), inner=min(inner, 256), **told)

    criterion = "information"
    if per_cost or weight is not None:
        criterion += " per cost" if weight is None else f" less {weight:g} x cost"
    searched = (
        optimiser == "bayes"
        or optuna is not None
        or (optimiser == "auto" and space is not None and space.intervals > 2)
    )
    if batch > 1:
        priced = cost if per_cost or weight is not None else None
        if space is not None and space.intervals and optimiser != "grid":
            told = {"cost": priced, "weight": weight, "constraint": constraint, "optuna": optuna, "key": k_search}
            if optimiser == "gradient":
                told["climb"] = climb
            together = searched_batch(finder(0), space, batch, events, **told)
        else:
            given = _candidates(designs, constraint)
            costs = None if priced is None else costs_of(priced, given)
            together = best_batch(finder(0), given, event_counts(events, given), batch, costs=costs, weight=weight)
            if cost is not None and not callable(cost):
                table = {tuple(row.values()): one for row, one in zip(given, costs_of(cost, given))}
                cost = lambda design: table[tuple(design.values())]  # noqa: E731
        return _chosen_batch(together, finder(0, 2048, k_fresh), events, cost, criterion, per_cost)
    if searched:
        curve = search_space(finder(0), space, utility, events, constraint=constraint, optuna=optuna, key=k_search)
    else:
        if optimiser == "gradient":
            designs = {name: values[:2] for name, values in climb()[0].items()}
        given = _candidates(designs, constraint)
        counts = event_counts(events, given)
        size = max(counts)
        numbers = {tuple(row.values()): count for row, count in zip(given, counts)}

        def evaluate(some: Mapping[str, Any], number: int) -> Curve:
            rows = design_rows(some)
            return curve_of(finder(number), rows, [Slots.of([r], [numbers[tuple(r.values())]], size) for r in rows])

        curve = ranked(evaluate, stack_designs(given), utility=utility)
    judged = utility(curve)
    costs = None if cost is None else costs_of(cost, curve.rows)
    order = np.argsort(-judged.value, kind="stable")
    best, reason = int(order[0]), ""
    equal = len(curve) > 1 and bool(indistinguishable(judged).all())
    if equal:
        best = int(np.argmin(costs)) if costs is not None else best
        reason = "All designs are equal within their errors" + (
            "; the cheapest is chosen." if costs is not None else "; any will do."
        )
    rows = curve.rows
    design = rows[best]
    fresh = finder(0, 2 * n, k_fresh)(Slots.of([design], event_counts(events, [design]))).eig()
    second = next((int(i) for i in order if int(i) != best), None)
    if not equal:
        reason = _why(judged, best, second, criterion)
    if fresh.value <= 2.0 * fresh.se:
        reason += " It is not known to teach anything: its information is zero within two standard errors."
    reason += _edge(space, design, rows)
    return Choice(
        design,
        fresh,
        None if second is None else rows[second],
        curve,
        None if costs is None else float(costs[best]),
        criterion,
        reason,
        per_cost,
    )


def shuffled(belief: Belief, key: PRNGKeyArray) -> Belief:
    """The same draws in another order, so that other ones are taken for outer and for inner draws."""
    order = np.random.default_rng(np.asarray(jax.random.key_data(key))).permutation(len(belief))
    return Belief(belief.prior, belief.draws[order], belief.from_prior)


def _one_count(events: Events) -> int:
    if callable(events):
        raise UsageError("got events that depend on the design; expected a number to climb with; use optimiser='bayes'")
    return events


def _candidates(designs: Space | Mapping[str, Any], constraint: Any) -> list[Design]:
    if isinstance(designs, Space):
        rows = design_rows(designs.grid(GRID.get(designs.intervals, 5)))
    else:
        rows = design_rows(designs)
    kept = rows if constraint is None else [row for row in rows if constraint(dict(row))]
    if not kept:
        raise DesignOutsideSpace(f"got a constraint that allows none of {len(rows)} designs; expected some; loosen it")
    return kept


def _why(judged: Curve, best: int, second: int | None, criterion: str) -> str:
    if second is None:
        return "It is the only design."
    gap, error = judged.difference(best, second)
    rest = int(indistinguishable(judged).sum()) - 1
    tied = f"; {rest} other design{'s' if rest > 1 else ''} cannot be told from it" if rest else ""
    return f"It has the highest {criterion}, {gap:.3g} +- {error:.2g} above the runner-up{tied}."


def _edge(space: Space | None, design: Design, rows: list[Design]) -> str:
    if space is not None:
        at = space.edges(design)
    else:
        spread = {n: sorted({row[n] for row in rows}) for n, value in design.items() if not isinstance(value, tuple)}
        at = tuple(n for n, values in spread.items() if len(values) > 2 and design[n] in (values[0], values[-1]))
    return f" It lies at the edge of the space in {', '.join(at)}: what is beyond may be better." if at else ""


def _chosen_batch(found: BestBatch, finder: Any, events: Events, cost: Cost, criterion: str, per_cost: bool) -> Choice:
    """A batch by joint information; its cost is the sum of its designs' costs."""
    fresh = finder(Slots.of(found.designs, event_counts(events, found.designs))).eig()
    return Choice(
        _as_batch(found.designs),
        fresh,
        None if found.runner_up is None else _as_batch(found.runner_up),
        found.curve,
        float(costs_of(cost, found.designs).sum()) if callable(cost) else None,
        criterion,
        found.reason,
        per_cost,
    )


def _as_batch(picked: list[Design]) -> dict[str, Any]:
    return {name: [design[name] for design in picked] for name in picked[0]}
