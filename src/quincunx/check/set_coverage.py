"""Do confidence sets cover? How often the sets of simulated experiments hold the parameters that these were simulated with."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import PRNGKeyArray
from scipy.stats import betabinom, binom, chi2

from quincunx.check.coverage import wilson_interval
from quincunx.check.result import TestResult
from quincunx.errors import NameMismatch, UsageError
from quincunx.infer import Likelihood, NeymanBelt, neyman_belt
from quincunx.infer.ascent import Hold
from quincunx.infer.confidence import LEVELS
from quincunx.infer.events import Events
from quincunx.infer.likelihood import flat_double
from quincunx.infer.maximum import ascents, hold_of, maxima
from quincunx.infer.toys import simulated_sets
from quincunx.model import Simulator
from quincunx.values import as_key

__all__ = ["coverage_of_sets"]


def coverage_of_sets(
    likelihood: Likelihood,
    simulator: Simulator,
    *,
    theta: Mapping[str, Any],
    n_events: int | None = None,
    method: Literal["asymptotic", "neyman"] = "asymptotic",
    levels: Sequence[float] = LEVELS,
    of: Sequence[str] | None = None,
    grid: Mapping[str, Any] | None = None,
    belt: NeymanBelt | None = None,
    toys: int = 300,
    key: PRNGKeyArray | int,
    design: Mapping[str, Any] | None = None,
) -> tuple[TestResult, ...]:
    """How often confidence sets hold `theta` in `toys` experiments of `n_events` simulated with it, one result for each level.

    With "asymptotic", a set of the parameters `of` (all, by default) with the others profiled holds theta if q(theta) is at most its chi-squared
    quantile. With "neyman", the sets are those of a belt: given, or made over `grid`. The p-value of each result is that of the binomial law
    with the stated level; for a belt of T toys, of the beta-binomial law, as the coverage of their r-th smallest q is Beta(r, T + 1 - r).
    `detail` holds which sets hold theta, and q. A likelihood that was learned is checked in the same way as an exact one. An empty or
    too small number of events, bounds and discrete data show as coverage other than stated.

    Raises:
        NameMismatch: for unknown parameters. UsageError: for a "neyman" check without grid and belt, or no number of events.

    >>> import jax, jax.numpy as jnp, numpyro.distributions as dist, quincunx as qx
    >>> @qx.simulator(qx.Prior(mu=dist.Normal(0.0, 9.0)))
    ... def bell(theta, *, key):
    ...     return theta["mu"] + jax.random.normal(key, (1,))
    >>> exact = Likelihood.of(lambda theta, x: -0.5 * jnp.sum((x - theta["mu"]) ** 2), bell.prior)
    >>> [result.status for result in coverage_of_sets(exact, bell, theta={"mu": 1.0}, n_events=10, key=0)]
    ['pass', 'pass']
    """
    prior = likelihood.prior
    names = list(prior.names) if of is None else list(of)
    if any(name not in prior.names for name in names) or not names:
        raise NameMismatch(f"got sets of {names}; expected some of {list(prior.names)}; use the parameters' names")
    if n_events is None and likelihood.terms.rate is None:
        raise UsageError("got neither n_events nor a likelihood with a rate; expected one of them; pass n_events=")
    belt_toys = None
    point = flat_double(prior, theta)
    k_toys, k_start, k_belt = jax.random.split(as_key(key), 3)
    sets = simulated_sets(likelihood, simulator, point, toys, n_events, key=k_toys, design=design)
    wanted = np.sort(np.asarray(levels, float))
    if method == "asymptotic":
        q = _profiled_ratio(likelihood, sets, point, names, k_start)
        held = q[None] <= chi2.ppf(wanted, sum(int(np.prod(prior.shapes[name], dtype=int)) for name in names))[:, None]
    else:
        if belt is None:
            if grid is None:
                raise UsageError(
                    "got method 'neyman' without grid or belt; expected one of them; pass grid={name: values}"
                )
            fixed = {name: theta[name] for name in prior.names if name not in grid}
            belt = neyman_belt(
                likelihood, simulator, grid=grid, n_events=n_events, fixed=fixed, key=k_belt, design=design
            )
        belt_toys = int(belt.toys.min())
        made = belt.sets_of(likelihood, sets, levels=wanted.tolist())
        held = np.array([[one.contains(theta, float(level)) for one in made] for level in wanted])
        q = np.array([float(one.q.min()) for one in made])
    where = ", ".join(f"{name} = {np.asarray(value).tolist()}" for name, value in theta.items())
    return tuple(
        _judged(method, float(level), row, q, where, belt_toys) for level, row in zip(wanted, held, strict=True)
    )


def _profiled_ratio(
    likelihood: Likelihood, sets: Events, point: np.ndarray, names: list[str], key: PRNGKeyArray
) -> np.ndarray:
    """q(theta) of each set at the true parameters of interest, the others at their best."""
    prior = likelihood.prior
    top = maxima(likelihood, sets, key=key)
    at = likelihood.table(point[None], sets)[:, 0]
    others = [name for name in prior.names if name not in names]
    if others:
        held = hold_of(prior, {name: np.zeros(prior.shapes[name]) for name in names})
        truth = np.broadcast_to(np.asarray(prior.to_unconstrained(point.astype(np.float32)), np.float64), top.u.shape)
        values = np.broadcast_to(point, (len(sets), point.size))
        found = ascents(likelihood, sets, np.stack([truth, top.u], axis=1), Hold(values, held.flat, held.u))
        at = np.maximum(at, found.value)
    return 2.0 * np.maximum(top.value - at, 0.0)


def _judged(
    method: str, level: float, held: np.ndarray, q: np.ndarray, where: str, belt_toys: int | None
) -> TestResult:
    n, hits = len(held), int(held.sum())
    low, high = wilson_interval(np.array([float(hits)]), n)
    share = hits / n
    law = binom(n, level)
    if belt_toys is not None:
        rank = min(int(np.ceil(level * (belt_toys + 1))), belt_toys)
        law = betabinom(n, rank, belt_toys + 1 - rank)
    p = _two_sided(law.pmf(np.arange(n + 1)), hits)
    return TestResult(
        name=f"{method} sets, {100 * level:.4g} %",
        question=f"Do {100 * level:.4g} % confidence sets hold the parameters as often as they say, at {where}?",
        p_value=p,
        statistic=share,
        n=n,
        effects={"coverage": share, "standard error": float(law.std() / n)},
        note="" if p >= 0.05 else "too small" if share < level else "too large",
        detail={"held": held, "q": q, "low": low, "high": high},
    )


def _two_sided(probabilities: np.ndarray, hits: int) -> float:
    """The probability of all numbers of hits that are no more probable than this one, up to rounding."""
    return float(min(1.0, probabilities[probabilities <= probabilities[hits] * (1 + 1e-7)].sum()))
