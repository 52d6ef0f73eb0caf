"""The verb for learned ratios: does a learned likelihood ratio obey the identities that the true one does?"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from quincunx.check.averages import LEAST_TERMS
from quincunx.check.check_gold import check_gold
from quincunx.check.gold_identities import (
    inverse_ratio_mean,
    ratio_closure,
    ratio_mean,
    score_closure,
    score_mean,
    weights_of,
)
from quincunx.check.learned import Learned
from quincunx.check.learned_identities import calibration_curve, joint_closure, quantile_edges, with_bias
from quincunx.check.mined import gold_of, mine, outcomes
from quincunx.check.points import one_point, quantile_point
from quincunx.check.report import Report
from quincunx.check.result import FAIL_BELOW, TestResult
from quincunx.check.reweighted import reweighting
from quincunx.check.steps import step_lengths, stepped
from quincunx.check.witnesses import Witnesses
from quincunx.errors import UsageError
from quincunx.infer.calibrated import CalibratedRatio
from quincunx.infer.ratio_to import RatioTo
from quincunx.model import Reference, Simulator
from quincunx.values import as_key

__all__ = ["RATIO_TESTS", "check_ratio"]

RATIO_TESTS = (
    "ratio",
    "inverse ratio",
    "ratio closure",
    "reweighting",
    "calibration",
    "score",
    "score closure",
    "joint score closure",
    "gold",
)
"""All tests of learned ratios; by default those that can be made, "score closure" only where there is no joint score."""

_SCORES = ("score", "score closure", "joint score closure")
_LEAST = 1000


def check_ratio(
    estimator: Any,
    simulator: Simulator,
    *,
    key: int | PRNGKeyArray,
    reference: Reference | Mapping[str, Any] | None = None,
    theta: Mapping[str, Any] | None = None,
    n: int = 5000,
    tests: str | Sequence[str] = "default",
    design: Mapping[str, Any] | None = None,
) -> Report:
    """Is a learned r^(x | theta) the likelihood ratio to a reference, on fresh simulations, and its gradient the score?

    - ratio, inverse ratio: E_reference[r^] = 1, E_theta[1 / r^] = 1;
    - ratio closure: E_reference[phi r^] = E_theta[phi], for bins of every marginal, moments and random cosines of x (`Witnesses`);
    - reweighting: no classifier tells reference events weighted with r^ from events at theta (area under the curve 1/2);
    - calibration: in bins of r^ it is the ratio of the histograms at theta and at the reference (a chi-square);
    - score: E_theta[grad log r^] = 0;
    - joint score closure: E_theta[phi (t(x, z) - grad log r^(x))] = 0 with the joint score t of a simulator with gold: a gradient learned from a
      wrong label, or badly, leaves something somewhere;
    - score closure: E_theta[phi grad log r^] = d E_theta[phi] / d theta, by finite differences of the simulator, where there is no gold;
    - gold: the identities of `check_gold`, with "gold: " before their names.

    `estimator` is anything that `RatioTo` takes: an estimator, a `CalibratedRatio` (whose reference may be left out), a function f(theta, x).
    Gradients are finite differences of it, which a step function (calibration by histogram) has not: tests of the score are left out there. `theta`
    is by default the prior's median.

    No surrogate is exact, and with events enough any of them fails. So `n` is moderate, and the effects say how wrong it is: the bias of log r per
    event, with its error, and the number of events, 1 / bias, whose sum it moves by one nat. It is good enough for observations with far fewer.
    Averages that fewer than 100 effective simulations carry decide nothing: their p is NaN. Outcomes that are not finite are left out.

    Raises:
        UsageError: for an unknown test, too small an n, no reference, or something that is no ratio.
        NoGold: if "joint score closure" or "gold" is asked for and the simulator tells nothing of its inside.
        InvalidSimulations: if log r^ is NaN or infinite.
        NameMismatch, ShapeMismatch, OutsideReference: if theta or the reference are no parameters of the simulator. Others as `check_gold`.

    Source: 1506.02169; 1805.00020; 1805.12244.

    >>> import numpyro.distributions as dist
    >>> from quincunx.model import Prior, wrap
    >>> bell = wrap(lambda theta, *, key: theta["mu"] + jax.random.normal(key, (1,)), Prior(mu=dist.Normal(0.0, 1.0)))
    >>> exact = lambda theta, x: theta["mu"] * x[:, 0] - theta["mu"] ** 2 / 2
    >>> pair = {"theta": {"mu": 0.5}, "reference": {"mu": 0.0}}
    >>> check_ratio(exact, bell, key=0, n=2000, tests=("ratio", "calibration", "score"), **pair).status
    'pass'
    >>> wrong = check_ratio(lambda theta, x: 1.5 * exact(theta, x), bell, key=0, n=2000, tests="calibration", **pair)
    >>> wrong.status, round(wrong["calibration"].effects["slope of log r"], 1)
    ('fail', 0.7)
    """
    chosen = _chosen(tests, simulator, estimator)
    if n < _LEAST:
        raise UsageError(f"got n = {n}; expected at least {_LEAST} simulations for an average; leave it out for 5000")
    key, prior = as_key(key), simulator.prior
    ratio = RatioTo.of(estimator, prior, reference)
    k_prior, k_theta, k_reference, k_pilot, k_joint, k_steps, k_train, k_gold = jax.random.split(key, 8)
    point = _point(estimator, simulator, theta, k_prior)
    learned = Learned(ratio, point, simulator.outcome_at(design), design)

    here, there = np.tile(point, (n, 1)), ratio.points[np.arange(n) % len(ratio.points)]
    count = {"simulated": 0, "failed": 0}

    def drawn(at: Float[np.ndarray, "n dim"], key: PRNGKeyArray) -> Float[np.ndarray, "m F"]:
        return _finite(outcomes(simulator, at, keys=jax.random.split(key, n), design=design), count)

    scored = bool({"score", "score closure"} & set(chosen))
    x_theta, x_reference = drawn(here, k_theta), drawn(there, k_reference)
    at_theta, at_reference = learned.told(x_theta, gradient=scored), learned.told(x_reference)
    # What is tested must not choose the bins and test functions: they come from simulations of their own, at both ends.
    pilots = [drawn(at, jax.random.fold_in(k_pilot, i))[: n // 2] for i, at in enumerate((here, there))]
    witnesses = Witnesses.fit(np.concatenate(pilots), seed=int(np.asarray(jax.random.key_data(k_pilot)).ravel()[-1]))

    columns = prior.columns
    results: list[TestResult] = []
    if "ratio" in chosen:
        results.append(_with_mean_bias(ratio_mean(at_reference), at_reference.log_ratio, 1.0))
    if "inverse ratio" in chosen:
        results.append(_with_mean_bias(inverse_ratio_mean(at_theta), -at_theta.log_ratio, -1.0))
    if "ratio closure" in chosen:
        results.append(ratio_closure(at_reference, x_theta, witnesses))
    if "reweighting" in chosen:
        results.append(reweighting(at_reference, x_theta, key=k_train))
    if "calibration" in chosen:
        edges = quantile_edges(*(learned.told(x).log_ratio for x in pilots))
        results.append(calibration_curve(at_theta.log_ratio, at_reference.log_ratio, edges))
    if "score" in chosen:
        question = "Does the gradient of log r^ average to zero at theta?"
        results.append(replace(score_mean(at_theta, columns), question=question))
    if "score closure" in chosen:
        lengths = step_lengths(prior, point, at_theta.score)
        steps = stepped(simulator, here, lengths, design, k_steps)
        count["simulated"] += steps.shape[0] * 4 * n
        question = "Is E[phi(x) grad log r^] the slope of E[phi(x)]?"
        results.append(replace(score_closure(at_theta, steps, lengths, witnesses, columns), question=question))
    if "joint score closure" in chosen:
        mined = mine(simulator, here, point, ratio.points, key=k_joint, design=design).at_theta(simulator.name)
        kept = np.isfinite(mined.x).all(axis=1)
        x = _finite(mined.x, count)
        slope = learned.told(x, gradient=True).score
        results.append(joint_closure(mined.score[kept], slope, x, witnesses, columns))
    if "gold" in chosen:
        at = prior.unflatten(point)
        inside = check_gold(simulator, key=k_gold, theta=at, reference=ratio.reference, n=n, design=design)
        results += [replace(result, name=f"gold: {result.name}") for result in inside.results]
        count["simulated"] += inside.simulated
        count["failed"] += inside.failed
    return Report(
        tuple(results),
        count["simulated"],
        count["failed"],
        seed=tuple(int(word) for word in np.asarray(jax.random.key_data(key)).ravel()),
        warnings=tuple(_sentences(results, at_theta.log_ratio, at_reference.log_ratio)),
    )


def _chosen(tests: str | Sequence[str], simulator: Simulator, estimator: Any) -> tuple[str, ...]:
    if tests == "default":
        golden = simulator.gold is not None
        left_out = {"score closure"} if golden else {"joint score closure", "gold"}
        if _stepwise(estimator):
            left_out |= set(_SCORES)
        return tuple(name for name in RATIO_TESTS if name not in left_out)
    chosen = (tests,) if isinstance(tests, str) else tuple(tests)
    unknown = [name for name in chosen if name not in RATIO_TESTS]
    if unknown or not chosen:
        raise UsageError(f"got tests {unknown or chosen}; expected some of {', '.join(RATIO_TESTS)}")
    if _stepwise(estimator) and set(_SCORES) & set(chosen):
        raise UsageError(
            f"got tests {chosen} of a ratio that is a step function at one theta; expected none of {', '.join(_SCORES)}; leave them out, or "
            "calibrate by method='normalisation'"
        )
    if {"joint score closure", "gold"} & set(chosen):
        gold_of(simulator)
    return chosen


def _stepwise(estimator: Any) -> bool:
    return isinstance(estimator, CalibratedRatio) and estimator.calibration is not None


def _point(
    estimator: Any, simulator: Simulator, theta: Mapping[str, Any] | None, key: PRNGKeyArray
) -> Float[np.ndarray, " dim"]:
    if theta is not None:
        return one_point(simulator.prior, theta)
    if isinstance(estimator, CalibratedRatio) and estimator.theta is not None:
        return np.asarray(estimator.theta, float)
    return quantile_point(simulator.prior, 0.5, key)


def _finite(x: Float[np.ndarray, "n F"], count: dict[str, int]) -> Float[np.ndarray, "m F"]:
    kept = np.isfinite(x).all(axis=1)
    count["simulated"] += len(x)
    count["failed"] += int((~kept).sum())
    return x[kept]


def _with_mean_bias(result: TestResult, log_weight: Float[np.ndarray, " n"], sign: float) -> TestResult:
    """A factor common to all events is the simplest bias of log r^: the logarithm of the mean that should be one."""
    weight, _ = weights_of(log_weight)
    mean = max(float(weight.mean()), 1e-300)
    return with_bias(result, sign * float(np.log(mean)), float(weight.std(ddof=1)) / len(weight) ** 0.5 / mean)


def _sentences(
    results: Sequence[TestResult], at_theta: Float[np.ndarray, " n"], at_reference: Float[np.ndarray, " m"]
) -> list[str]:
    said = []
    for where, log_weight in (("r^", at_reference), ("1 / r^", -at_theta)):
        ess = weights_of(log_weight)[1]
        if ess < LEAST_TERMS:
            said.append(
                f"{ess:.0f} effective simulations of {len(log_weight)} stand behind averages of {where}: theta and reference are too far apart "
                "to judge; bring them closer, or take a mixture that includes theta"
            )
    for result in results:
        if result.name == "calibration" and result.p_value < FAIL_BELOW:
            bias, doubt, events = (
                result.effects[name] for name in ("bias of log r per event", "its error", "events for which it matters")
            )
            said.append(
                f"log r^ is off by {bias:.2g} +- {doubt:.1g} per event on average, which matters for about {events:.0f} events or more; "
                "calibrate it (quincunx.infer.calibrate_ratio), or train longer, on more simulations"
            )
    return said
