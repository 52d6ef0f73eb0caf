"""The likelihood and its maximum: closed forms, many events, bounds, rates, and learned likelihoods behind the same door."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.stats import norm

import quincunx as qx
from quincunx.infer import Likelihood, Maximum, maximum_likelihood
from quincunx.infer.ascent import climb_all

VARIANCE = 5.0
BELL = qx.Prior(theta=dist.Uniform(-10.0, 10.0))


def log_bell(theta, x):
    return jnp.sum(-0.5 * (x - theta["theta"]) ** 2 / VARIANCE - 0.5 * jnp.log(2 * jnp.pi * VARIANCE))


@pytest.fixture(scope="module")
def bell():
    return Likelihood.of(log_bell, BELL)


@pytest.mark.parametrize("n", [0, 1, 7, 1500, 100_000])
def test_sums_over_any_number_of_events_are_those_of_numpy(bell, n):
    x = np.random.default_rng(n).normal(1.0, VARIANCE**0.5, (n, 1))
    theta = np.array([-1.0, 0.5, 2.0])
    expected = [norm.logpdf(x, t, VARIANCE**0.5).sum() for t in theta]
    np.testing.assert_allclose(bell.log_likelihood({"theta": theta}, x), expected, rtol=1e-10, atol=1e-10)


def test_scores_are_gradients_and_events_keep_their_order(bell):
    x = np.random.default_rng(0).normal(0.0, 2.0, (1500, 1))
    np.testing.assert_allclose(bell.score({"theta": 0.7}, x), (x - 0.7) / VARIANCE, rtol=1e-9)
    np.testing.assert_allclose(bell.log_each({"theta": 0.7}, x), norm.logpdf(x[:, 0], 0.7, VARIANCE**0.5), rtol=1e-9)


def test_the_maximum_of_a_gaussian_is_the_mean_with_its_standard_error(bell):
    x = np.random.default_rng(1).normal(1.0, VARIANCE**0.5, (60, 1))
    best = maximum_likelihood(bell, x, key=0)
    assert best.converged and not best.at_bound and not best.notes
    assert best.theta["theta"] == pytest.approx(x.mean(), abs=1e-5)
    assert best.standard_errors["theta"] == pytest.approx((VARIANCE / 60) ** 0.5, rel=1e-5)
    assert best.log_likelihood == pytest.approx(norm.logpdf(x, x.mean(), VARIANCE**0.5).sum(), abs=1e-7)


def test_another_observation_of_the_same_size_is_not_compiled_anew(bell):
    x = np.random.default_rng(2).normal(1.0, 2.0, (60, 1))
    maximum_likelihood(bell, x, key=0)
    before = climb_all._cached._cache_size()
    maximum_likelihood(bell, x + 1.0, key=0)
    assert climb_all._cached._cache_size() == before


def test_a_maximum_on_a_bound_is_on_it_and_says_so(bell):
    x = np.full((20, 1), 14.0)
    best = maximum_likelihood(bell, x, key=0)
    assert best.at_bound == ("theta",) and best.theta["theta"] == 10.0 and best.converged
    assert np.isnan(best.standard_errors["theta"]) and "bound" in best.notes[0]
    assert best.log_likelihood == pytest.approx(norm.logpdf(x, 10.0, VARIANCE**0.5).sum(), abs=1e-7)


def test_the_highest_of_two_peaks_is_found():
    prior = qx.Prior(a=dist.Uniform(-5.0, 5.0))
    peaks = Likelihood.of(lambda t, x: x - 8.0 * (t["a"] ** 2 - 4.0) ** 2 / 16.0 + 0.2 * t["a"], prior)
    best = maximum_likelihood(peaks, np.zeros(1), key=0)
    roots = np.roots([-2.0, 0.0, 8.0, 0.2])
    assert best.theta["a"] == pytest.approx(roots.real.max(), abs=1e-5)


def test_fixing_profiles_and_covariances_are_conditional():
    prior = qx.Prior(a=dist.Normal(0.0, 5.0), b=dist.LogNormal(0.0, 1.0))
    precision = np.array([[2.0, 1.0], [1.0, 3.0]])

    def log_p(theta, x):
        away = x - jnp.stack([theta["a"], theta["b"]])
        return -0.5 * away @ precision @ away

    both = Likelihood.of(log_p, prior)
    x = np.random.default_rng(0).normal(size=(30, 2)) * 0.3 + [0.5, 2.0]
    best = maximum_likelihood(both, x, key=0)
    np.testing.assert_allclose([best.theta["a"], best.theta["b"]], x.mean(0), atol=1e-5)
    np.testing.assert_allclose(best.covariance, np.linalg.inv(30 * precision), rtol=1e-4)
    held = maximum_likelihood(both, x, key=0, fixed={"a": 0.0})
    assert held.theta["b"] == pytest.approx(x.mean(0)[1] + x.mean(0)[0] * precision[0, 1] / precision[1, 1], abs=1e-5)
    assert held.standard_errors["a"] == 0.0
    assert held.standard_errors["b"] == pytest.approx((30 * precision[1, 1]) ** -0.5, rel=1e-4)
    with pytest.raises(qx.errors.UsageError, match="everything"):
        maximum_likelihood(both, x, key=0, fixed={"a": 0.0, "b": 1.0})
    with pytest.raises(qx.errors.NameMismatch, match="c"):
        maximum_likelihood(both, x, key=0, fixed={"c": 0.0})


def test_what_the_data_do_not_constrain_has_no_covariance():
    prior = qx.Prior(a=dist.Normal(0.0, 1.0), b=dist.Normal(0.0, 1.0))
    best = maximum_likelihood(Likelihood.of(lambda t, x: -0.5 * (x - t["a"]) ** 2, prior), np.zeros(4), key=0)
    assert np.isnan(best.standard_errors["b"]) and "not curved" in " ".join(best.notes)


def test_a_counting_experiment_is_a_likelihood_with_a_rate_and_nothing_else():
    prior = qx.Prior(mu=dist.Uniform(0.0, 20.0))
    counting = Likelihood.of(None, prior, rate=lambda theta: 3.0 * theta["mu"] + 2.0)
    best = maximum_likelihood(counting, np.zeros(11), key=0)
    assert best.theta["mu"] == pytest.approx((11 - 2) / 3, abs=1e-5)
    assert best.standard_errors["mu"] == pytest.approx(11**0.5 / 3, rel=1e-5)
    none = maximum_likelihood(counting, np.zeros(0), key=0)
    assert none.theta["mu"] == 0.0 and none.at_bound == ("mu",) and none.log_likelihood == pytest.approx(-2.0)


def test_rate_and_shape_together_are_the_extended_likelihood():
    """Signal N(0, 1) over a background U(-5, 5): -nu + sum log (s f_s + b f_b)."""
    prior = qx.Prior(mu=dist.Uniform(0.0, 5.0))

    def log_p(theta, x):
        share = 10.0 * theta["mu"] / (10.0 * theta["mu"] + 20.0)
        return jnp.log(share * jnp.exp(-0.5 * x**2) / (2 * jnp.pi) ** 0.5 + (1 - share) * 0.1)

    extended = Likelihood.of(log_p, prior, rate=lambda theta: 10.0 * theta["mu"] + 20.0)
    x = np.random.default_rng(0).uniform(-5, 5, 25)
    mu = np.array([0.2, 1.0, 2.0])
    densities = 10 * mu[:, None] * norm.pdf(x) + 2.0
    expected = np.log(densities).sum(1) - 10 * mu - 20
    np.testing.assert_allclose(extended.log_likelihood({"mu": mu}, x), expected, rtol=1e-10)


def test_a_maximum_survives_a_file(bell, tmp_path):
    best = maximum_likelihood(bell, np.zeros((5, 1)), key=0)
    back = qx.load(best.save(tmp_path / "best.qx"))
    assert isinstance(back, Maximum) and repr(back) == repr(best)


@pytest.mark.parametrize("method", ["nle", "ratio"])
def test_learned_likelihoods_and_ratios_stand_behind_the_same_door(problem, method):
    estimator = problem.fit(method)
    learned = Likelihood.of(estimator)
    assert learned.learned and learned.members == estimator.surrogate.members
    rng = np.random.default_rng(0)
    x = (np.array([0.4, -0.2]) + 0.5 * rng.normal(size=(20, 2))).astype(np.float32)
    theta = {"a": rng.normal(size=6).astype(np.float32), "b": rng.normal(size=6).astype(np.float32)}
    expected = estimator.log_likelihood({n: v[None] for n, v in theta.items()}, x[None])[0]
    np.testing.assert_allclose(learned.log_likelihood(theta, x), expected, rtol=1e-4, atol=1e-3)


def test_the_maximum_of_a_learned_likelihood_and_its_score(problem):
    learned = Likelihood.of(problem.fit("nle"))
    x = (np.array([0.4, -0.2]) + 0.5 * np.random.default_rng(0).normal(size=(20, 2))).astype(np.float32)
    best = maximum_likelihood(learned, x, key=0)
    assert best.converged
    # a Gaussian density with weights from training: right to a fraction of its standard error
    error = 0.5 / 20**0.5
    assert best.theta["a"] == pytest.approx(x.mean(0)[0], abs=error)
    assert best.standard_errors["a"] == pytest.approx(error, rel=0.2)
    step = 1e-2
    score = learned.score({"a": 0.1, "b": 0.2}, x)
    around = [learned.log_each({"a": 0.1 + s, "b": 0.2}, x) for s in (step, -step)]
    np.testing.assert_allclose(score[:, 0], (around[0] - around[1]) / (2 * step), rtol=0.02, atol=0.02)


def test_sources_that_have_no_likelihood_are_refused(problem):
    with pytest.raises(qx.errors.UsageError, match="NLE"):
        Likelihood.of(problem.fit("npe"))
    with pytest.raises(qx.errors.UsageError, match="prior"):
        Likelihood.of(log_bell)
    with pytest.raises(qx.errors.UsageError, match="rate"):
        Likelihood.of(None, BELL)
    with pytest.raises(qx.errors.NonFiniteObservation):
        Likelihood.of(log_bell, BELL).log_likelihood({"theta": 0.0}, np.array([[np.nan]]))
