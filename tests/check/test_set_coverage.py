"""Do confidence sets cover as often as they say, by their exact likelihoods, on a Gaussian and on a board of discrete outcomes?"""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.stats import binomtest

import quincunx as qx
from quincunx import gallery
from quincunx.check import coverage_of_sets
from quincunx.check.set_coverage import _judged
from quincunx.infer import Likelihood
from quincunx.infer.maximum import maxima
from quincunx.infer.toys import simulated_sets

TOYS = 300
THETA = {"gaussian_in_gaussian": {"theta": 1.0}, "galton_generalised": {"theta": -0.7}}
MANY = {"gaussian_in_gaussian": 200, "galton_generalised": 1000}
GRID = {"gaussian_in_gaussian": np.linspace(-7.0, 9.0, 33), "galton_generalised": np.linspace(-1.0, -0.4, 25)}


@pytest.fixture(scope="module")
def problems():
    loaded = {name: gallery.load(name) for name in THETA}
    return {name: (one.simulator, Likelihood.of(one.truth.log_likelihood, one.prior)) for name, one in loaded.items()}


@pytest.mark.parametrize("name", list(THETA))
def test_asymptotic_sets_of_many_events_cover(problems, name):
    simulator, exact = problems[name]
    results = coverage_of_sets(exact, simulator, theta=THETA[name], n_events=MANY[name], toys=TOYS, key=0)
    for result, level in zip(results, (0.6827, 0.95), strict=True):
        assert result.n == TOYS
        assert abs(result.statistic - level) < 3 * (level * (1 - level) / TOYS) ** 0.5


@pytest.mark.parametrize("name", list(THETA))
def test_neyman_sets_of_five_events_cover(problems, name):
    simulator, exact = problems[name]
    given = {"theta": THETA[name], "n_events": 5, "method": "neyman", "grid": {"theta": GRID[name]}}
    for result, level in zip(
        coverage_of_sets(exact, simulator, toys=TOYS, key=0, **given), (0.6827, 0.95), strict=True
    ):
        assert abs(result.statistic - level) < 3 * (level * (1 - level) / TOYS) ** 0.5


def test_the_maximum_of_a_thousand_balls_spreads_by_the_inverse_information(problems):
    """1 / sqrt(1000 * 1.695387) = 0.02429 (1805.12244)."""
    simulator, exact = problems["galton_generalised"]
    sets = simulated_sets(exact, simulator, np.array([-0.7]), TOYS, 1000, key=jax.random.key(0))
    theta = maxima(exact, sets, key=1).theta[:, 0]
    assert abs(np.std(theta, ddof=1) / 0.02429 - 1) < 3 * (2 * (TOYS - 1)) ** -0.5
    assert abs(theta.mean() + 0.7) < 3 * 0.02429 / TOYS**0.5


def test_p_values_allow_for_the_number_of_toys_of_a_belt():
    """The coverage of an order statistic is itself random: over many belts and many toys, p-values below 5 % are 5 %."""
    rng = np.random.default_rng(0)
    belt, n, repeats = 400, 2000, 1000
    p_values = []
    for _ in range(repeats):
        critical = np.sort(rng.chisquare(1, belt))[int(np.ceil(0.95 * (belt + 1))) - 1]
        held = rng.chisquare(1, n) <= critical
        p_values.append(_judged("neyman", 0.95, held, np.zeros(n), "", belt).p_value)
    assert abs(np.mean(np.array(p_values) < 0.05) - 0.05) < 3 * (0.05 * 0.95 / repeats) ** 0.5
    # without a belt it is the binomial test
    held = np.arange(300) < 270
    assert _judged("asymptotic", 0.95, held, np.zeros(300), "", None).p_value == pytest.approx(
        binomtest(270, 300, 0.95).pvalue
    )


def test_sets_of_a_wrong_likelihood_fail(problems):
    """A likelihood that takes the noise for half of what it is gives sets that are too small."""
    simulator, _ = problems["gaussian_in_gaussian"]
    wrong = Likelihood.of(lambda theta, x: -0.5 * (x[0] - theta["theta"]) ** 2 / 1.25, simulator.prior)
    results = coverage_of_sets(wrong, simulator, theta={"theta": 1.0}, n_events=20, toys=TOYS, key=0)
    assert all(result.status == "fail" and result.note == "too small" for result in results)


@pytest.mark.slow
def test_the_coverage_of_one_of_two_parameters_profiles_the_other():
    prior = qx.Prior(mean=dist.Normal(0.0, 5.0), offset=dist.Normal(0.0, 5.0))

    @qx.simulator(prior)
    def pairs(theta, *, key):
        return jnp.stack([theta["mean"] + theta["offset"], theta["offset"]]) + jax.random.normal(key, (2,))

    exact = Likelihood.of(
        lambda t, x: -0.5 * (x[0] - t["mean"] - t["offset"]) ** 2 - 0.5 * (x[1] - t["offset"]) ** 2, prior
    )
    given = {"theta": {"mean": 1.0, "offset": -1.0}, "n_events": 10, "toys": TOYS, "key": 0}
    for of in (["mean"], None):
        for result, level in zip(coverage_of_sets(exact, pairs, of=of, **given), (0.6827, 0.95), strict=True):
            assert abs(result.statistic - level) < 3 * (level * (1 - level) / TOYS) ** 0.5


def test_what_cannot_be_checked_is_refused(problems):
    simulator, exact = problems["gaussian_in_gaussian"]
    with pytest.raises(qx.errors.NameMismatch, match="phi"):
        coverage_of_sets(exact, simulator, theta={"theta": 0.0}, n_events=5, of=["phi"], key=0)
    with pytest.raises(qx.errors.UsageError, match="n_events"):
        coverage_of_sets(exact, simulator, theta={"theta": 0.0}, key=0)
    with pytest.raises(qx.errors.UsageError, match="grid"):
        coverage_of_sets(exact, simulator, theta={"theta": 0.0}, n_events=5, method="neyman", key=0)
