"""Confidence sets of exact likelihoods cover as stated: large samples by the chi-squared law, small ones by simulated experiments."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import quincunx as qx
from quincunx.check import coverage_of_sets
from quincunx.infer import Likelihood
from quincunx.infer.likelihood import flat_double
from quincunx.infer.maximum import maxima
from quincunx.infer.toys import simulated_sets

VARIANCE = 5.0


@qx.simulator(qx.Prior(theta=dist.Uniform(-20.0, 20.0)))
def gaussian(theta, *, key):
    """The latent is N(theta, 4), the outcome N(latent, 1)."""
    return theta["theta"] + jnp.sum(jnp.array([2.0, 1.0]) * jax.random.normal(key, (2,)))[None]


@pytest.fixture(scope="module")
def bell():
    return Likelihood.of(lambda theta, x: jnp.sum(-0.5 * (x - theta["theta"]) ** 2 / VARIANCE), gaussian.prior)


@pytest.fixture(scope="module")
def board():
    return qx.gallery.load("galton_generalised")


@pytest.fixture(scope="module")
def paths(board):
    return Likelihood.of(board.truth.log_likelihood, board.prior)


def within_three_errors(results):
    for result in results:
        level = float(result.name.split()[-2]) / 100
        assert abs(result.statistic - level) < 3 * (level * (1 - level) / result.n) ** 0.5, result
    return True


def test_asymptotic_sets_of_a_gaussian_cover(bell):
    assert within_three_errors(coverage_of_sets(bell, gaussian, theta={"theta": 1.0}, n_events=20, key=0))


def test_asymptotic_sets_of_the_board_cover_with_a_thousand_balls(board, paths):
    found = coverage_of_sets(paths, board.simulator, theta={"theta": -0.7}, n_events=1000, key=1)
    assert within_three_errors(found) and [result.n for result in found] == [300, 300]


def test_the_spread_of_maxima_on_the_board_is_that_of_its_fisher_information(board, paths):
    """1000 balls at -0.7: standard deviation (1000 x 1.695387)^-1/2 = .02429."""
    point = flat_double(board.prior, {"theta": -0.7})
    sets = simulated_sets(paths, board.simulator, point, 300, 1000, key=jax.random.key(2))
    peaks = maxima(paths, sets, key=0)
    assert peaks.converged.all()
    assert abs(peaks.theta.std() - 0.02429) < 3 * 0.02429 / 600**0.5
    assert abs(peaks.theta.mean() + 0.7) < 3 * 0.02429 / 300**0.5


@pytest.mark.parametrize("truth", [-0.98, -0.7, -0.45])
def test_neyman_sets_of_the_board_cover_with_five_balls_near_bounds_too(board, paths, truth):
    """The standard error of five balls, .34, is as large as half the prior: nothing asymptotic holds."""
    grid = {"theta": np.linspace(-1.0, -0.4, 25)}
    options = {"theta": {"theta": truth}, "n_events": 5, "method": "neyman", "grid": grid}
    assert within_three_errors(coverage_of_sets(paths, board.simulator, key=3, **options))


def test_neyman_sets_of_a_gaussian_cover_with_three_events(bell):
    options = {"n_events": 3, "method": "neyman", "grid": {"theta": np.linspace(-7.0, 9.0, 65)}}
    assert within_three_errors(coverage_of_sets(bell, gaussian, theta={"theta": 1.03}, key=4, **options))


def test_asymptotic_sets_on_a_bound_do_not_cover_as_stated_and_that_is_seen(board, paths):
    """Half of all maxima are on the bound, so that q is smaller than the law says: sets are too large."""
    wide = coverage_of_sets(paths, board.simulator, theta={"theta": -1.0}, n_events=1000, levels=[0.6827], key=5)[0]
    assert wide.status == "fail" and wide.note == "too large"


def test_profiled_sets_cover_and_wrong_likelihoods_do_not():
    prior = qx.Prior(a=dist.Normal(0.0, 5.0), b=dist.Normal(0.0, 5.0))

    @qx.simulator(prior)
    def line(theta, *, key):
        return jnp.stack([theta["a"] + theta["b"], theta["b"]]) + jax.random.normal(key, (2,))

    def log_p(t, x, precision=1.0):
        return -0.5 * precision * ((x[0] - t["a"] - t["b"]) ** 2 + (x[1] - t["b"]) ** 2)

    truth = {"theta": {"a": 1.0, "b": -0.5}, "n_events": 8, "of": ["a"]}
    assert within_three_errors(coverage_of_sets(Likelihood.of(log_p, prior), line, key=6, **truth))
    sharp = Likelihood.of(lambda t, x: log_p(t, x, 4.0), prior)
    assert [r.note for r in coverage_of_sets(sharp, line, key=6, **truth)] == ["too small", "too small"]
