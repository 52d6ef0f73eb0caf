"""The verb on estimators with known errors, from simulator to verdict."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import quincunx as qx
from quincunx.check import holm, lc2st, predictive_check, sbc, tarp
from quincunx.check.averaged import averaged_posterior
from quincunx.check.coverage import hpd_coverage
from quincunx.errors import (
    AllSimulationsFailed,
    CalibrationWarning,
    FailureWarning,
    TooFewSimulations,
    UsageError,
)
from quincunx.model import wrap

X_O = np.array([0.5, -1.0], np.float32)


def quiet_check(*arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CalibrationWarning)
        return qx.check(*arguments, **options)


def test_the_exact_posterior_passes(gaussian):
    simulator, make = gaussian
    report = qx.check(make("exact", X_O), simulator, key=0)
    assert report.status == "pass"
    assert (report.simulated, report.failed, report.draws, report.seed) == (300, 0, 99, (0, 0))
    expected = {"coverage", "tarp", "lc2st", "averaged posterior", "prior predictive", "posterior predictive"}
    assert expected <= {r.name for r in report.results}


@pytest.mark.parametrize("kind", ["overconfident", "underconfident", "biased", "prior only"])
def test_every_wrong_one_fails(gaussian, kind):
    simulator, make = gaussian
    for seed in (1, 2):
        assert quiet_check(make(kind, X_O), simulator, key=seed).status == "fail"


def test_answering_with_the_prior_is_caught_twice(gaussian):
    simulator, make = gaussian
    report = quiet_check(make("prior only", X_O), simulator, key=1)
    assert report.statuses["tarp"] == "fail"
    assert report["lc2st"].p_value < 0.05


def test_a_failing_report_warns(gaussian):
    simulator, make = gaussian
    with pytest.warns(CalibrationWarning, match="coverage"):
        qx.check(make("overconfident"), simulator, key=0, tests=("coverage",))


def test_whole_report_false_alarms(make_trials, nominal):
    # the default set on exact answers, lc2st in every tenth report (it has its own test); 200 whole reports: benchmarks/
    worst = []
    for seed in range(100):
        trials = make_trials("exact", seed, n=100, draws=49)
        results = [*sbc(trials, key=seed), hpd_coverage(trials, key=seed), tarp(trials, key=seed)]
        results += [averaged_posterior(trials, key=seed, permutations=199)]
        rng = np.random.default_rng(10_000 + seed)
        theta = rng.normal(size=2)
        x_o = theta + rng.normal(size=2)
        results.append(predictive_check(trials.x, x_o))
        replicates = x_o / 2 + (0.5 + 1.0) ** 0.5 * rng.normal(size=(100, 2))
        results.append(predictive_check(replicates, x_o))
        if seed % 10 == 0:
            results.append(lc2st(trials, key=seed, nulls=40, epochs=8))
        worst.append(holm([r.p_value for r in results]).min())
    worst = np.array(worst)
    assert nominal(int(np.sum(worst < 0.01)), 100, 0.01, at_most=True)
    assert nominal(int(np.sum(worst < 0.05)), 100, 0.05, at_most=True)


def test_a_likelihood_adds_its_quantity(gaussian):
    simulator, make = gaussian

    def log_likelihood(theta, x):
        return -0.5 * jnp.sum((x - theta["theta"]) ** 2)

    report = quiet_check(make("prior only"), simulator, key=0, tests=("sbc",), log_likelihood=log_likelihood)
    assert report.statuses["sbc: log p(x|theta)"] == "fail"
    assert qx.check(make("exact"), simulator, key=0, tests="sbc", log_likelihood=log_likelihood).status == "pass"


def test_failed_simulations_are_dropped_and_counted(gaussian):
    simulator, make = gaussian

    def sometimes(theta, *, key):
        x = theta["theta"] + jax.random.normal(key, (2,))
        return jnp.where(jax.random.uniform(jax.random.fold_in(key, 1)) < 0.1, jnp.nan, x)

    with pytest.warns(FailureWarning):
        report = qx.check(make("exact"), wrap(sometimes, simulator.prior), key=0, tests=("sbc", "tarp"))
    assert report.simulated == 300 and 10 < report.failed < 60
    assert report["tarp"].n == 300 - report.failed
    assert "left out" in report.warnings[0]


def test_simulations_may_be_handed_over(gaussian):
    simulator, make = gaussian
    sims = qx.simulate(simulator, 120, key=3)
    report = qx.check(make("exact", X_O), sims=sims, key=0, tests=("sbc", "prior predictive", "posterior predictive"))
    assert report.simulated == 120
    assert "posterior predictive" not in report.adjusted


def test_an_unlikely_observation_fails_the_predictive_checks(gaussian):
    simulator, make = gaussian
    report = quiet_check(make("exact", np.array([40.0, 0.0])), simulator, key=0, tests=("prior predictive",))
    assert report.status == "fail"


def test_bad_input_is_refused(gaussian):
    simulator, make = gaussian
    with pytest.raises(UsageError, match="sbc"):
        qx.check(make("exact"), simulator, key=0, tests=("sbk",))
    with pytest.raises(UsageError, match="neither"):
        qx.check(make("exact"), key=0)
    with pytest.raises(TooFewSimulations, match="raise n"):
        qx.check(make("exact"), simulator, key=0, n=10)
    sims = qx.simulate(simulator, 30, key=0)
    nothing = qx.Simulations.of(sims.theta, np.full((30, 2), np.nan), prior=simulator.prior)
    with pytest.raises(AllSimulationsFailed):
        qx.check(make("exact"), sims=nothing, key=0)


def test_draws_that_are_not_finite_fail(gaussian):
    simulator, make = gaussian

    class Broken(type(make("exact"))):
        def sample_many(self, n, x, *, key):
            drawn = super().sample_many(n, x, key=key)
            return {"theta": drawn["theta"].at[0, 0].set(jnp.nan)}

    report = quiet_check(Broken(simulator.prior, None, "exact"), simulator, key=0, tests=("sbc",))
    assert report["usable draws"].p_value == 0.0


def test_sets_of_events(gaussian):
    # one parameter, k events: the exact posterior of a mean, checked with sets of the observed size
    prior = qx.Prior(mu=dist.Normal(0.0, 1.0))
    simulator = wrap(lambda theta, *, key: theta["mu"] + jax.random.normal(key, (1,)), prior)

    class OfASet:
        prior = simulator.prior
        x_o = np.array([[0.1], [0.4], [-0.3], [0.2]], np.float32)

        def sample_many(self, n, x, *, key):
            k = x.shape[1]
            mean = x[..., 0].sum(axis=1) / (k + 1)
            return {"mu": mean[:, None] + (k + 1) ** -0.5 * jax.random.normal(key, (len(x), n))}

    report = qx.check(OfASet(), simulator, key=0, tests=("sbc", "tarp", "prior predictive", "posterior predictive"))
    assert report.status == "pass"
    assert report["prior predictive"].detail["observed"].shape == (5,)
