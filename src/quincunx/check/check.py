"""The verb: send fresh simulations through an answer and say pass, warn or fail."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from quincunx.check.averaged import averaged_posterior
from quincunx.check.coverage import hpd_coverage
from quincunx.check.features import data_columns
from quincunx.check.lc2st import lc2st
from quincunx.check.partition import ratio_checks
from quincunx.check.predictive import predictive_check
from quincunx.check.report import Report
from quincunx.check.result import TestResult
from quincunx.check.sbc import sbc
from quincunx.check.tarp import tarp
from quincunx.check.trials import Estimator, Trials, run_trials
from quincunx.errors import CalibrationWarning, UsageError
from quincunx.run import Simulations, simulate
from quincunx.values import as_key

DEFAULT = (
    "sbc",
    "coverage",
    "tarp",
    "lc2st",
    "averaged",
    "partition",
    "misspecification",
    "prior predictive",
    "posterior predictive",
)
"""The default set. tarp and lc2st catch the answer q(theta | x) = p(theta), and sbc does where p(x | theta) is known."""


def check(
    posterior: Estimator,
    simulator: Any = None,
    *,
    key: int | PRNGKeyArray,
    n: int = 300,
    draws: int = 99,
    tests: str | Sequence[str] = "default",
    sims: Simulations | None = None,
    design: Any = None,
    log_likelihood: Callable[..., Any] | None = None,
) -> Report:
    """Is the posterior right? Fresh simulations go through the same estimator, and the observation through the model.

    `n` simulations from the prior with `draws` draws of q(theta | x) each serve all calibration tests (or `sims`, which
    must not have been trained on); as many more, from the posterior, are compared with the observation if there is one.
    An observation that is a set of k events is checked with sets of k events. `tests` is "default" or names out of
    `DEFAULT`; those that need what the answer does not have (a density, a ratio, an observation, a simulator) are left
    out. `log_likelihood` is explained at `run_trials`. draws + 1 should have many divisors: 99, 199, 999.

    The whole report is corrected for the number of its tests (`Report.adjusted`): an exact posterior fails in at most
    one report of a hundred.

    Raises:
        UsageError: for an unknown test, or with neither a simulator nor simulations.
        AllSimulationsFailed, TooFewSimulations: if too few simulations are usable.

    Warns with `CalibrationWarning` if the report fails.
    """
    chosen = DEFAULT if tests == "default" else (tests,) if isinstance(tests, str) else tuple(tests)
    unknown = [name for name in chosen if name not in DEFAULT]
    if unknown:
        raise UsageError(f"got tests {unknown}; expected some of {', '.join(DEFAULT)}")
    key = as_key(key)
    k_trials, k_sbc, k_coverage, k_tarp, k_average, k_local, k_at, k_predict, k_ratio = jax.random.split(key, 9)
    x_o, events = observation_of(posterior, simulator, sims)
    design = getattr(posterior, "design", None) if design is None else design
    trials = run_trials(
        posterior, simulator, key=k_trials, n=n, draws=draws, sims=sims, design=design, events=events,
        log_likelihood=log_likelihood,
    )  # fmt: skip
    results: list[TestResult] = list(unusable_draws(trials))
    if "sbc" in chosen:
        results += sbc(trials, key=k_sbc)
    if "coverage" in chosen and trials.log_q_truth is not None:
        results.append(hpd_coverage(trials, key=k_coverage))
    if "tarp" in chosen:
        results.append(tarp(trials, key=k_tarp))
    if "averaged" in chosen:
        results.append(averaged_posterior(trials, key=k_average))
    observed = None if x_o is None else data_columns(x_o, sets=events is not None, single=True)[0]
    if "lc2st" in chosen:
        at = None if x_o is None else positions_at(posterior, x_o, key=k_at)
        results.append(lc2st(trials, key=k_local, x_o=observed, draws_o=at))
    if "partition" in chosen:
        results += ratio_results(posterior, trials, key=k_ratio)
    suspect = getattr(posterior, "misspecification", None)
    if "misspecification" in chosen and suspect is not None:
        results.append(misspecification(suspect))
    if observed is not None and "prior predictive" in chosen:
        results.append(predictive_check(trials.x, observed, name="prior predictive"))
    if observed is not None and simulator is not None and "posterior predictive" in chosen:
        replicates = posterior_replicates(posterior, simulator, x_o, n, design=design, events=events, key=k_predict)
        results.append(predictive_check(replicates, observed))
    report = Report(
        tuple(results),
        trials.simulated,
        trials.failed,
        trials.draws_each,
        tuple(int(word) for word in np.asarray(jax.random.key_data(key)).ravel()),
        tuple(_sentences(posterior, trials)),
    )
    if report.status == "fail":
        failed = ", ".join(name for name, status in report.statuses.items() if status == "fail")
        warnings.warn(
            f"the answer failed its checks ({failed}); expected draws whose stated probabilities match frequencies; "
            "simulate more, use an ensemble, or repair its regions with check.conformal",
            CalibrationWarning,
            stacklevel=3,
        )
    return report


def observation_of(posterior: Any, simulator: Any, sims: Simulations | None) -> tuple[Any, int | None]:
    """The observation as arrays of the simulator's shapes (or None), and its number of events if it is a set."""
    x_o = getattr(posterior, "x_o", None)
    if x_o is None or (simulator is None and sims is None):
        return x_o, None
    outcome = simulator.outcome_at(getattr(posterior, "design", None)) if sims is None else sims.outcome
    arrays, is_set = outcome.check(x_o)
    if sims is not None and sims.events != is_set:
        kinds = {True: "sets of events", False: "single outcomes"}
        raise UsageError(
            f"got simulations of {kinds[sims.events]} for an observation of {kinds[is_set]}; expected the same; "
            "simulate with events= as many as were observed, or leave sims out"
        )
    return arrays, len(jax.tree.leaves(arrays)[0]) if is_set else None


def ratio_results(posterior: Any, trials: Trials, *, key: PRNGKeyArray, m: int = 500) -> tuple[TestResult, ...]:
    """The partition checks and the balance of an answer that rests on p(x | theta) / p(x); nothing for any other.

    Ratios known up to a factor of x, and those that include the chance of a failed simulation, are not normalised to
    one. A partition check that too few effective terms carry is left out; the balance always decides.
    """
    estimator: Any = getattr(posterior, "estimator", None)
    if getattr(estimator, "term", "") != "ratio" or estimator.failures is not None:
        return ()
    prior, settings = posterior.prior, {} if trials.design is None else {"design": trials.design}
    fresh = prior.sample_flat(len(trials) * m, key=key).reshape(len(trials), m, -1)

    def log_ratio(theta, x):
        return np.asarray(
            estimator.log_likelihood(prior.unflatten(jnp.asarray(theta, jnp.float32)), x, **settings), float
        )

    results = ratio_checks(log_ratio, trials.truth, trials.outcomes, np.asarray(fresh, float))
    return tuple(result for result in results if not np.isnan(result.p_value))


def misspecification(found: Any) -> TestResult:
    """The estimator's own test of its observation against its training simulations, as a result of the report."""
    return TestResult(
        name="misspecification",
        question="Is the observation like what was simulated for training?",
        p_value=min(float(found.p_value), 0.0 if found.beyond else 1.0),
        statistic=float(found.deviations),
        n=1,
        effects={"farthest column in robust sd": float(found.deviations)},
        note=f"farthest: {found.worst}",
    )


def unusable_draws(trials: Trials) -> tuple[TestResult, ...]:
    """A failing result if some draws are not finite or lie outside the prior's support; nothing if all are usable."""
    bad = ~np.isfinite(trials.draws).all(axis=2)
    if trials.log_q_draws is not None:
        bad |= np.isnan(trials.log_q_draws)
    share = float(bad.mean())
    if share == 0.0:
        return ()
    return (
        TestResult(
            name="usable draws",
            question="Are all draws finite, with a density?",
            p_value=0.0,
            statistic=share,
            n=len(trials),
            effects={"share of unusable draws": share},
        ),
    )


def positions_at(posterior: Any, x_o: Any, *, key: PRNGKeyArray, n: int = 500) -> np.ndarray:
    """Draws of q(. | x_o) in unconstrained space, (n, U)."""
    one = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], x_o)
    flat = posterior.prior.flatten(posterior.sample_many(n, one, key=key))
    return np.asarray(posterior.prior.to_unconstrained(flat)[0], float)


def posterior_replicates(
    posterior: Any, simulator: Any, x_o: Any, n: int, *, design: Any, events: int | None, key: PRNGKeyArray
) -> np.ndarray:
    """Data simulated at draws of q(. | x_o), as columns (n, F); failed simulations are left out."""
    k_draw, k_simulate = jax.random.split(key)
    one = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], x_o)
    theta = {name: np.asarray(v)[0] for name, v in posterior.sample_many(n, one, key=k_draw).items()}
    sims = simulate(simulator, n, key=k_simulate, theta=theta, design=design, events=events).valid()
    return data_columns(sims.x, sets=sims.events)


def _sentences(posterior: Any, trials: Trials) -> list[str]:
    said = [str(note) for note in getattr(posterior, "warnings", ())]
    if trials.failed:
        said.append(
            f"{trials.failed} of {trials.simulated} simulations of the check gave nothing finite and were left out, as in training: "
            "the verdict is about data that the simulator can produce"
        )
    return said
