"""The verb for gold: does what a simulator tells of its own execution obey the identities that it must?"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from quincunx.check.averages import LEAST_TERMS, effective_terms
from quincunx.check.gold_identities import (
    inverse_ratio_mean,
    ratio_closure,
    ratio_mean,
    score_closure,
    score_mean,
    weights_of,
)
from quincunx.check.mined import Mined, gold_of, mine, outcomes
from quincunx.check.points import one_point, quantile_point, reference_points
from quincunx.check.report import Report
from quincunx.check.result import TestResult
from quincunx.check.reweighted import reweighting
from quincunx.check.steps import step_lengths, stepped
from quincunx.check.witnesses import Witnesses
from quincunx.errors import UsageError
from quincunx.model import Reference, Simulator
from quincunx.values import as_key

__all__ = ["GOLD_TESTS", "check_gold"]

GOLD_TESTS = ("ratio", "inverse ratio", "score", "ratio closure", "score closure", "reweighting")
"""All tests of gold. The closures catch labels that the averages alone let pass; the last trains a classifier."""

_LEAST = 1000
_TRIES = 8


def check_gold(
    simulator: Simulator,
    *,
    key: int | PRNGKeyArray,
    theta: Mapping[str, Any] | None = None,
    reference: Reference | Mapping[str, Any] | None = None,
    n: int = 20_000,
    tests: str | Sequence[str] = "default",
    design: Mapping[str, Any] | None = None,
) -> Report:
    """Are the joint ratio r(x, z | theta, reference) and the joint score t(x, z | theta) of a simulator what they say they are?

    - ratio, inverse ratio, score: E_reference[r] = 1, E_theta[1 / r] = 1, E_theta[t] = 0;
    - ratio closure: E_reference[phi r] = E_theta[phi] for test functions phi of x (`Witnesses`);
    - score closure: E_theta[phi t] = d E_theta[phi] / d theta, the right side by finite differences of the simulator itself;
    - reweighting: no classifier tells weighted reference events from events at theta.

    `n` simulations serve each average, and 4 n for each parameter the finite differences. The right sides come from calls of the simulator,
    the left ones from its gold, so that outcomes which depend on theta past the draws, supports that move and labels with
    the wrong conditional mean are found, though the first three may hold. `theta` is by default the prior's median, `reference` a
    point towards its upper quartile, as far as r has a good variance; a mixture of points is welcome. Averages that too few effective terms
    carry (heavy tails of r or t) decide nothing: their p is NaN and the report says so.

    Raises:
        NoGold: if the simulator tells nothing of its inside.
        NonFiniteGold: if a log-probability or a score is NaN or infinite.
        OutsideReference: if something happens at theta that cannot under the reference, or theta is outside the prior's support.
        UsageError: for an unknown test, too small an n, or a reference without points.
        NameMismatch, ShapeMismatch: if theta or the reference are no parameters of the simulator.

    Source: 1805.00020; 1805.12244.

    >>> import jax.numpy as jnp, numpyro.distributions as dist
    >>> def coins(theta, *, key, at):
    ...     heads = jax.random.uniform(key, (5,)) < theta["p"]
    ...     return jnp.sum(heads)[None], jnp.sum(jnp.where(heads, jnp.log(at["p"]), jnp.log1p(-at["p"])))
    >>> from quincunx.model import Prior
    >>> coins = Simulator(coins, Prior(p=dist.Beta(2.0, 2.0)))
    >>> check_gold(coins, key=0, n=2000, tests=("ratio", "score closure")).status
    'pass'
    """
    chosen = GOLD_TESTS if tests == "default" else (tests,) if isinstance(tests, str) else tuple(tests)
    unknown = [name for name in chosen if name not in GOLD_TESTS]
    if unknown or not chosen:
        raise UsageError(f"got tests {unknown or chosen}; expected some of {', '.join(GOLD_TESTS)}")
    if n < _LEAST:
        raise UsageError(f"got n = {n}; expected at least {_LEAST} simulations for an average; leave it out for 20,000")
    gold_of(simulator)
    key, prior = as_key(key), simulator.prior
    k_prior, k_try, k_theta, k_reference, k_fresh, k_pilot, k_steps, k_train = jax.random.split(key, 8)
    point = quantile_point(prior, 0.5, k_prior) if theta is None else one_point(prior, theta)
    simulated = 0
    if reference is None:
        against, tried = _reachable(simulator, point, quantile_point(prior, 0.75, k_prior), n, design, k_try)
        simulated += tried
    else:
        against = reference_points(prior, reference)

    here, there = np.tile(point, (n, 1)), against[np.arange(n) % len(against)]
    at_theta = mine(simulator, here, point, against, key=k_theta, design=design).at_theta(simulator.name)
    at_reference = mine(simulator, there, point, against, key=k_reference, design=design).at_reference(simulator.name)
    fresh = outcomes(simulator, here, keys=jax.random.split(k_fresh, n), design=design)
    # What is tested must not choose the test functions: they come from simulations of their own, at both ends.
    between = np.where(np.arange(n)[:, None] % 2 == 0, here, there)
    pilot = outcomes(simulator, between, keys=jax.random.split(k_pilot, n), design=design)
    witnesses = Witnesses.fit(pilot, seed=int(np.asarray(jax.random.key_data(k_pilot)).ravel()[-1]))
    simulated += 4 * n

    columns = prior.columns
    results: list[TestResult] = []
    if "ratio" in chosen:
        results.append(ratio_mean(at_reference))
    if "inverse ratio" in chosen:
        results.append(inverse_ratio_mean(at_theta))
    if "score" in chosen:
        results.append(score_mean(at_theta, columns))
    if "ratio closure" in chosen:
        results.append(ratio_closure(at_reference, fresh, witnesses))
    if "score closure" in chosen:
        lengths = step_lengths(prior, point, at_theta.score)
        steps = stepped(simulator, here, lengths, design, k_steps)
        simulated += steps.shape[0] * 4 * n
        results.append(score_closure(at_theta, steps, lengths, witnesses, columns))
    if "reweighting" in chosen:
        results.append(reweighting(at_reference, fresh, key=k_train))
    failed = sum(int((~np.isfinite(x).all(axis=1)).sum()) for x in (at_theta.x, at_reference.x, fresh, pilot))
    return Report(
        tuple(results),
        simulated,
        failed,
        seed=tuple(int(word) for word in np.asarray(jax.random.key_data(key)).ravel()),
        warnings=tuple(_sentences(at_theta, at_reference)),
    )


def _reachable(
    simulator: Simulator,
    point: Float[np.ndarray, " dim"],
    towards: Float[np.ndarray, " dim"],
    n: int,
    design: Mapping[str, Any] | None,
    key: PRNGKeyArray,
) -> tuple[Float[np.ndarray, "1 dim"], int]:
    """From theta towards another point, half as far each time, until a quarter of all weights count and none rules."""
    prior = simulator.prior
    free = [np.asarray(prior.to_unconstrained(at), float) for at in (point, towards)]
    for attempt in range(_TRIES):
        against = np.asarray(prior.to_constrained(free[0] + 0.5**attempt * (free[1] - free[0])), np.float32)[None]
        against = against.astype(float)
        keys = jax.random.split(jax.random.fold_in(key, attempt))
        here, there = np.tile(point, (n, 1)), np.tile(against, (n, 1))
        at_theta = mine(simulator, here, point, against, key=keys[0], design=design).at_theta(simulator.name)
        at_reference = mine(simulator, there, point, against, key=keys[1], design=design).at_reference(simulator.name)
        weights = [weights_of(log_weight) for log_weight in (-at_theta.log_ratio, at_reference.log_ratio)]
        carried = min(float(effective_terms(weight[:, None])[0]) for weight, _ in weights)
        if min(ess for _, ess in weights) >= n / 4 and carried >= min(5 * LEAST_TERMS, n / 10):
            break
    return against, 2 * n * (attempt + 1)


def _sentences(at_theta: Mined, at_reference: Mined) -> list[str]:
    said = []
    for where, log_weight in (("r", at_reference.log_ratio), ("1 / r", -at_theta.log_ratio)):
        ess = weights_of(log_weight)[1]
        if ess < LEAST_TERMS:
            said.append(
                f"{ess:.0f} effective simulations of {len(log_weight)} stand behind averages of {where}: theta and reference are too far "
                "apart to judge; bring them closer, or take a mixture that includes theta"
            )
    return said
