"""Reference draws: the Monte Carlo on a known posterior, its refusals, its cache, and the tools of exact samplers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from quincunx import gallery
from quincunx.errors import NoTruth, UnknownProblem, UsageError
from quincunx.gallery import cache
from quincunx.gallery.monte_carlo import MonteCarlo, diagnose
from quincunx.gallery.problem import ReferenceDraws
from quincunx.gallery.rejection import accepted_draws
from quincunx.gallery.truncated import truncated_normal


@pytest.fixture(scope="module")
def chains():
    """theta ~ N(0, I), x ~ N(theta, 0.1^2 I) with the second coordinate's square seen only: two modes, x = (0.5, 1)."""

    def log_likelihood(theta, x):
        seen = jnp.stack([theta["theta"][0], theta["theta"][1] ** 2])
        return -0.5 * jnp.sum((seen - x) ** 2) / 0.1**2

    return MonteCarlo(lambda z: {"theta": z}, log_likelihood, dim=2, chains=300, snapshots=40, thin=10)


@pytest.fixture(scope="module")
def found(chains):
    return chains(np.array([0.5, 1.0]), 4000, key=jax.random.key(0))


def test_the_monte_carlo_is_right_in_moments_and_weights_of_modes(found):
    found.checked("toy")
    first, second = found.draws["theta"].T
    sd = np.sqrt(0.01 / 1.01)
    error = 4 * sd / np.sqrt(min(found.ess, 4000))
    assert abs(first.mean() - 0.5 / 1.01) < error
    assert abs(first.std() - sd) < error
    # By symmetry half of the mass is in each mode; four standard errors at the effective size found.
    assert abs((second > 0).mean() - 0.5) < 4 * 0.5 / np.sqrt(min(found.ess, 4000))
    grid = np.linspace(0, 2, 4001)
    weight = np.exp(-0.5 * grid**2 - 0.5 * (grid**2 - 1) ** 2 / 0.01)
    assert abs(np.abs(second).mean() - weight @ grid / weight.sum()) < error


def test_an_impossible_observation_is_refused():
    never = MonteCarlo(
        lambda z: {"theta": z}, lambda theta, x: jnp.log(0.0 * x[0]) + 0 * theta["theta"][0], dim=1, chains=20
    )
    with pytest.raises(NoTruth, match="none of 20 prior draws"):
        never(np.ones(1), 10, key=jax.random.key(0))


def test_draws_that_do_not_mix_are_refused():
    states = np.random.default_rng(0).normal(size=(200, 20, 1)) + np.repeat([[0.0], [3.0]], 100, axis=0)[:, None]
    r_hat, ess = diagnose(states)
    assert r_hat > 1.1
    with pytest.raises(NoTruth, match="R-hat"):
        ReferenceDraws({}, r_hat, ess).checked("toy")


def test_references_are_cached_and_a_damaged_cache_is_made_anew(tmp_path, monkeypatch, found):
    import dataclasses

    monkeypatch.setenv("QUINCUNX_CACHE", str(tmp_path))
    calls = []

    def sampler(x, n, *, key):
        calls.append(n)
        return ReferenceDraws({"theta": found.draws["theta"][:n, :1].repeat(5, axis=1)}, found.r_hat, found.ess)

    problem = dataclasses.replace(gallery.load("slcp"), sampler=sampler)
    first = problem.reference(1, n=50)
    np.testing.assert_array_equal(first["theta"], problem.reference(1, n=50)["theta"])
    assert calls == [50]
    (file,) = (tmp_path / "references").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    np.testing.assert_array_equal(first["theta"], problem.reference(1, n=50)["theta"])
    assert calls == [50, 50]
    problem.reference(1, n=50, key=1)
    problem.reference(2, n=50)
    assert len(calls) == 4


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("QUINCUNX_CACHE", str(blocked))
    cache.write_arrays("name", {"a": np.zeros(1)})
    assert cache.read_arrays("name") is None


@pytest.mark.parametrize("mean", [-30.0, -5.0, 0.2, 30.0])
def test_truncated_normal_draws(mean):
    rng = np.random.default_rng(1)
    draws = truncated_normal(mean, 0.7, -1.0, 1.0, rng=rng, shape=(5000,))
    assert draws.min() >= -1 and draws.max() <= 1
    low, high = (-1 - mean) / 0.7, (1 - mean) / 0.7
    assert stats.kstest(draws, stats.truncnorm(low, high, loc=mean, scale=0.7).cdf).pvalue > 1e-4


def test_rejection_gives_up_on_the_impossible():
    with pytest.raises(NoTruth, match="0 of 5"):
        accepted_draws(lambda rng, m: (np.zeros(m), np.zeros(m, bool)), 5, rng=np.random.default_rng(0), what="toy")


def test_unknown_problems_and_options_are_refused():
    with pytest.raises(UnknownProblem, match="two_moons"):
        gallery.load("three_moons")
    with pytest.raises(UsageError, match="dimension"):
        gallery.load("gaussian_linear", dimension=3)


def test_loading_twice_gives_the_same_object():
    assert gallery.load("gaussian_linear") is gallery.load("gaussian_linear")
    assert gallery.load("gaussian_linear", dim=2) is not gallery.load("gaussian_linear")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["slcp", "bernoulli_glm", "sir", "lotka_volterra"])
def test_benchmark_references_pass_their_own_check(name, tmp_path, monkeypatch):
    """The reference exists, and the true parameters are no outlier in it."""
    monkeypatch.setenv("QUINCUNX_CACHE", str(tmp_path))
    problem = gallery.load(name)
    draws = np.asarray(problem.prior.flatten(problem.reference(1, n=4000)))
    theta = np.asarray(problem.prior.flatten(problem.true_theta(1)))
    rank = (draws < theta).mean(axis=0)
    assert (np.minimum(rank, 1 - rank) > 1e-3).all()
    if name == "slcp":
        quadrant = 2 * (draws[:, 2] > 0) + (draws[:, 3] > 0)
        assert stats.chisquare(np.bincount(quadrant, minlength=4)).pvalue > 1e-4
