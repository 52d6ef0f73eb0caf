"""Epidemics: exact final sizes against rationals, complete paths, the school, and draws of counts."""

import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from quincunx import gallery
from quincunx.gallery import boarding_school, final_size
from quincunx.gallery.discrete import draw_binomial, draw_poisson
from quincunx.gallery.precision import in_float64

exact = in_float64(lambda r0: final_size.final_size_probabilities(r0, 20, 1))
exact_50 = in_float64(lambda r0: final_size.final_size_probabilities(r0, 50, 1))


def triangular(n, m, r0):
    """sum_{k<=j} C(n-k, j-k) P_k (1 + R0 (n-j)/n)^(k+m) = C(n, j), in rationals."""
    p = []
    for j in range(n + 1):
        base = 1 + Fraction(r0) * (n - j) / n
        rest = sum(math.comb(n - k, j - k) * p[k] * base ** (k + m) for k in range(j))
        p.append((math.comb(n, j) - rest) / base ** (j + m))
    return np.array([float(value) for value in p])


def test_final_sizes_of_twenty():
    p = exact(2.0)
    np.testing.assert_allclose(p, triangular(20, 1, 2), rtol=1e-12)
    assert p @ np.arange(21) == pytest.approx(7.969677, abs=6e-7)
    assert p[0] == pytest.approx(1 / 3, abs=1e-14)
    assert p[20] == pytest.approx(0.0472751, abs=6e-8)
    assert p[:6].sum() == pytest.approx(0.510153, abs=6e-7)


def test_final_sizes_of_fifty():
    p = exact_50(1.5)
    np.testing.assert_allclose(p, triangular(50, 1, Fraction(3, 2)), rtol=1e-12)
    mean = p @ np.arange(51)
    assert mean == pytest.approx(10.758163, abs=6e-7)
    assert p @ np.arange(51) ** 2 - mean**2 == pytest.approx(212.558, abs=6e-4)
    assert p[0] == pytest.approx(0.4, abs=1e-14)


def test_several_first_infectives():
    p = final_size.final_size_probabilities(jnp.asarray(1.2), 6, 3)
    np.testing.assert_allclose(p, triangular(6, 3, Fraction(6, 5)), rtol=1e-5)


def test_gillespie_has_the_exact_distribution():
    n = 4000
    outbreak = gallery.load("final_size")
    theta = {"beta": jnp.full(n, 2.0), "gamma": jnp.ones(n)}
    x = np.asarray(outbreak.simulator.batch(theta, keys=jax.random.split(jax.random.key(0), n)))[:, 0].astype(int)
    assert stats.chisquare(np.bincount(x, minlength=21), n * exact(2.0)).pvalue > 1e-4


def test_the_complete_path_is_conjugate():
    """Its posterior is proportional to prior times path likelihood, whatever the parameters."""
    _, path = final_size.trace_epidemic({"beta": 2.0, "gamma": 1.0}, 20, 1, key=jax.random.key(8))
    posterior = final_size.complete_path_posterior(path, 20, 1)
    prior = gallery.load("final_size").prior
    differences = []
    for beta, gamma in ((0.5, 0.5), (2.0, 1.0), (4.0, 0.3)):
        theta = {"beta": jnp.asarray(beta), "gamma": jnp.asarray(gamma)}
        joint = prior.log_prob(theta) + final_size.complete_path_log_prob(theta, path, 20, 1)
        conditional = sum(posterior[name].log_prob(theta[name]) for name in theta)
        differences.append(float(joint - conditional))
    np.testing.assert_allclose(differences, differences[0], atol=1e-3)


def test_the_school_is_the_published_one():
    school = gallery.load("boarding_school")
    assert np.asarray(school.observation()).tolist() == list(boarding_school.IN_BED)
    assert len(boarding_school.IN_BED) == len(boarding_school.CONVALESCENT) == 14
    assert school.derived({"beta": 1.5, "gamma": 0.5}) == {"R0": 3.0, "recovery time": 2.0}


def test_twenty_steps_a_day_suffice(monkeypatch):
    coarse = in_float64(boarding_school.infected)(1.73, 0.54)
    monkeypatch.setattr(boarding_school, "STEPS_PER_DAY", 40)
    fine = in_float64(boarding_school.infected)(1.73, 0.54)
    np.testing.assert_allclose(coarse, fine, rtol=1e-6)


@pytest.mark.parametrize("dispersion", [1e-6, 0.02, 0.14, 2.0])
def test_negative_binomial_log_prob(dispersion):
    count, mean = np.array([0.0, 3.0, 298.0, 900.0]), np.array([0.5, 4.0, 250.0, 700.0])
    c = 1 / dispersion
    found = in_float64(boarding_school.negative_binomial_log_prob)(count, mean, dispersion)
    if dispersion > 1e-5:
        np.testing.assert_allclose(found, stats.nbinom.logpmf(count, c, c / (c + mean)), rtol=1e-8)
    else:
        # Poisson, and the first order in the dispersion.
        expected = stats.poisson.logpmf(count, mean) + dispersion / 2 * ((count - mean) ** 2 - count)
        np.testing.assert_allclose(found, expected, atol=1e-4)
    arguments = (jnp.asarray(value, jnp.float32) for value in (count, mean, dispersion))
    single = boarding_school.negative_binomial_log_prob(*arguments)
    np.testing.assert_allclose(single, found, rtol=1e-4, atol=2e-3)


def test_school_reference_is_the_known_posterior(tmp_path, monkeypatch):
    """Means, standard deviations and 5-95 % ranges of an independent NUTS run, each within its last digit."""
    monkeypatch.setenv("QUINCUNX_CACHE", str(tmp_path))
    school = gallery.load("boarding_school")
    draws = school.reference(n=4000)
    derived = school.derived(draws)
    for values, mean, sd, low, high in (
        (draws["beta"], 1.73, 0.05, 1.65, 1.82),
        (draws["gamma"], 0.54, 0.04, 0.47, 0.62),
        (draws["dispersion"], 0.14, 0.07, None, None),
        (derived["R0"], 3.22, 0.27, 2.77, 3.64),
        (derived["recovery time"], 1.86, 0.15, None, None),
    ):
        # Half a unit of the last digit given, and four standard errors at an effective size of 1000.
        assert abs(values.mean() - mean) < 0.006 + 4 * sd / math.sqrt(1000)
        assert abs(values.std() - sd) < 0.006 + 4 * sd / math.sqrt(2 * 1000)
        if low is not None:
            found = np.quantile(np.asarray(values), [0.05, 0.95])
            np.testing.assert_allclose(found, [low, high], atol=0.006 + 4 * 2.1 * sd / math.sqrt(1000))


@pytest.mark.parametrize("trials", [1, 7, 1000])
def test_binomial_draws(trials):
    p = np.array([0.0, 1e-3, 0.01, 0.3, 0.5, 0.77, 1.0], np.float32)
    n = 20_000
    draws = np.asarray(jax.jit(draw_binomial)(jax.random.key(1), trials, jnp.broadcast_to(p, (n, len(p)))), int)
    assert draws.min() >= 0 and draws.max() <= trials
    for column, chance in zip(draws.T, p.astype(float)):
        agree(np.bincount(column, minlength=trials + 1), stats.binom.pmf(np.arange(trials + 1), trials, chance))


def test_poisson_draws():
    means = np.array([0.0, 0.3, 4.5, 30.0, 760.0], np.float32)
    n = 20_000
    draws = np.asarray(jax.jit(draw_poisson)(jax.random.key(2), jnp.broadcast_to(means, (n, len(means)))), int)
    for column, mean in zip(draws.T, means.astype(float)):
        agree(np.bincount(column, minlength=1500), stats.poisson.pmf(np.arange(1500), mean))


def agree(counts, probabilities):
    """A chi-squared test with all cells of small expectation merged."""
    expected = probabilities * counts.sum()
    common = expected > 10
    observed = np.append(counts[common], counts[~common].sum())
    expected = np.append(expected[common], expected[~common].sum())
    if expected[-1] < 1:
        assert observed[-1] <= stats.poisson.isf(1e-6, expected[-1])
        observed, expected = observed[:-1], expected[:-1]
    if len(observed) > 1:
        assert stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue > 1e-5
