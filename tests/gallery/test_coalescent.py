"""The coalescent: exact numbers by convolution, by the textbook's sum, by rejection, and msprime beside our own draws."""

import importlib.util
import math
import sys
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from quincunx import gallery
from quincunx.errors import MissingExtra, NoTruth, UsageError
from quincunx.gallery import coalescent, genealogy
from quincunx.run import simulate

# n, theta, S: P(S), mean and standard deviation of the age of the common ancestor given S.
TRUTHS = [
    (2, 1.0, 3, 0.062500, 2.0, 1.0),
    (5, 2.0, 3, 0.148970, 1.281994, 0.605684),
    (10, 5.0, 5, 0.031338, 0.840892, 0.330032),
    (10, 5.0, 14, 0.056241, 1.702632, 0.575509),
    (38, 2.5, 0, 0.000356, 0.856204, 0.347988),
]

needs_msprime = pytest.mark.skipif(
    importlib.util.find_spec("msprime") is None, reason="the extra msprime is not installed"
)


def alternating(n, theta, k):
    """P(S = k) = ((n-1)/theta) sum_i (-1)^(i-1) C(n-2, i-1) (theta/(i+theta))^(k+1), in rationals."""
    theta = Fraction(theta)
    terms = ((-1) ** (i - 1) * math.comb(n - 2, i - 1) * (theta / (i + theta)) ** (k + 1) for i in range(1, n))
    return float((n - 1) / theta * sum(terms))


@pytest.mark.parametrize(("n", "theta", "k", "probability", "mean", "sd"), TRUTHS)
def test_known_numbers(n, theta, k, probability, mean, sd):
    assert genealogy.sites_probabilities(n, theta, k)[k] == pytest.approx(probability, abs=6e-7)
    assert genealogy.sites_probabilities(n, theta, k)[k] == pytest.approx(alternating(n, theta, k), rel=1e-12)
    assert genealogy.ancestor_moments(n, theta, k) == pytest.approx((mean, sd), abs=6e-7)


def test_the_number_of_sites_has_its_mean_and_variance():
    found = genealogy.sites_probabilities(10, 5.0, 600)
    sites = np.arange(601)
    first, second = (sum(1 / i**power for i in range(1, 10)) for power in (1, 2))
    mean = found @ sites
    assert found.sum() == pytest.approx(1.0, abs=1e-12)
    assert mean == pytest.approx(14.1448, abs=6e-5) and mean == pytest.approx(5 * first, rel=1e-10)
    assert found @ sites**2 - mean**2 == pytest.approx(5 * first + 25 * second, rel=1e-9)


def test_the_age_without_mutations_to_look_at():
    """Averaged over S: E = 2 (1 - 1/n) and Var = 4 sum 1/(j^2 (j-1)^2)."""
    weights = genealogy.sites_probabilities(10, 1.0, 120)
    moments = np.array([genealogy.ancestor_moments(10, 1.0, k) for k in range(121)])
    mean = weights @ moments[:, 0]
    assert mean == pytest.approx(1.8, abs=1e-8)
    assert weights @ (moments[:, 1] ** 2 + moments[:, 0] ** 2) - mean**2 == pytest.approx(1.158142, abs=6e-7)


def test_the_age_of_two_is_a_gamma():
    times = np.linspace(0, 8, 33)
    exact = stats.gamma(4, scale=1 / 2)
    np.testing.assert_allclose(genealogy.ancestor_density(times, 2, 1.0, 3), exact.pdf(times), atol=1e-12)
    np.testing.assert_allclose(genealogy.ancestor_cdf(times, 2, 1.0, 3), exact.cdf(times), atol=1e-12)


def test_the_density_has_the_moments_of_the_convolution():
    times = np.linspace(0, 12, 1201)
    density = genealogy.ancestor_density(times, 10, 5.0, 5)
    moments = [integrate.simpson(density * times**power, x=times) for power in (0, 1, 2)]
    assert moments[0] == pytest.approx(1.0, abs=1e-9)
    assert moments[1] == pytest.approx(0.840892, abs=6e-7)
    assert math.sqrt(moments[2] - moments[1] ** 2) == pytest.approx(0.330032, abs=6e-7)


def test_the_distribution_function_is_the_integral_of_the_density():
    times = np.linspace(0, 4, 1601)
    summed = integrate.cumulative_simpson(genealogy.ancestor_density(times, 10, 5.0, 5), x=times, initial=0)
    # Simpson's rule is of fourth order where intervals come in pairs.
    np.testing.assert_allclose(summed[::2], genealogy.ancestor_cdf(times, 10, 5.0, 5)[::2], atol=1e-9)


def test_without_sites_every_level_is_exponential():
    """T_j ~ Exp(j (j - 1 + theta) / 2) given S = 0."""
    rates = np.array([j * (j - 1 + 2.0) / 2 for j in range(2, 7)])
    assert genealogy.ancestor_moments(6, 2.0, 0) == pytest.approx(
        (np.sum(1 / rates), math.sqrt(np.sum(1 / rates**2))), rel=1e-12
    )


def test_draws_have_the_exact_distribution():
    draws = genealogy.draw_ancestor(2000, 10, 5.0, 14, np.random.default_rng(0))
    few = np.sort(draws)[::40]
    grid = np.unique(np.round(few, 3))
    cdf = genealogy.ancestor_cdf(grid, 10, 5.0, 14)
    assert stats.kstest(draws, lambda t: np.interp(t, grid, cdf)).pvalue > 1e-4


def test_rejection_agrees():
    """The first approximate Bayesian computation: a tree, kept with probability Poisson(k; theta L / 2) / Poisson(k; k)."""
    n, theta, k = 5, 2.0, 3
    rng = np.random.default_rng(1)
    levels = np.arange(n, 1, -1)
    times = rng.exponential(1 / (levels * (levels - 1) / 2), (40_000, n - 1))
    mean = theta * (levels * times).sum(axis=1) / 2
    kept = times[rng.random(len(times)) < stats.poisson.pmf(k, mean) / stats.poisson.pmf(k, k)].sum(axis=1)
    exact, sd = genealogy.ancestor_moments(n, theta, k)
    assert abs(kept.mean() - exact) < 4 * sd / math.sqrt(len(kept))


def test_the_likelihood_in_jax_is_the_convolution():
    log_likelihood = gallery.load("coalescent").truth.in_float64().log_likelihood
    for theta in (0.3, 5.0, 40.0):
        exact = genealogy.sites_probabilities(10, theta, 300)
        for k in (0, 1, 14, 200, 300):
            assert log_likelihood({"theta": theta}, np.array([float(k)])) == pytest.approx(math.log(exact[k]), rel=1e-9)
    assert log_likelihood({"theta": 5.0}, np.array([1.5])) == -np.inf
    assert log_likelihood({"theta": 5.0}, np.array([301.0])) == -np.inf


def test_the_evidence_is_the_integral_over_the_prior():
    truth = gallery.load("coalescent").truth.in_float64()

    def integrand(theta):
        return stats.gamma(4, scale=1 / 0.8).pdf(theta) * genealogy.sites_probabilities(10, theta, 14)[14]

    exact = integrate.quad(integrand, 0, 60)[0]
    assert truth.log_evidence(np.array([14.0])) == pytest.approx(math.log(exact), abs=1e-5)


def test_impossible_observations_and_options_are_refused():
    with pytest.raises(NoTruth, match="never happen"):
        genealogy.ancestor_density(np.array([1.0]), 2, 0.0, 1)
    with pytest.raises((UsageError, TypeError), match="msprime"):
        gallery.load("coalescent", engine="fortran")


def test_without_msprime_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "msprime", None)
    with pytest.raises(MissingExtra, match=r"quincunx\[msprime\]"):
        coalescent.problem(engine="msprime")


@needs_msprime
def test_msprime_draws_from_the_same_distribution():
    rngs = [np.random.default_rng([7, i]) for i in range(1000)]
    sites, age = coalescent.sites_and_age(np.full(1000, 5.0), 10, rngs).T
    exact = genealogy.sites_probabilities(10, 5.0, 400)
    edges = np.searchsorted(np.cumsum(exact), np.linspace(0.1, 0.9, 9)) + 1
    expected = np.diff(np.concatenate([[0.0], np.cumsum(exact)[edges - 1], [1.0]]))
    counts = np.bincount(np.searchsorted(edges, sites, side="right"), minlength=10)
    assert stats.chisquare(counts, 1000 * expected).pvalue > 1e-4
    assert abs(age.mean() - 1.8) < 4 * math.sqrt(1.158142 / 1000)
    # Given the sites, the age: standardised by its exact mean and deviation for each S it has mean 0 and variance 1.
    moments = {k: genealogy.ancestor_moments(10, 5.0, int(k)) for k in np.unique(sites)}
    z = np.array([(t - moments[k][0]) / moments[k][1] for k, t in zip(sites, age)])
    assert abs(z.mean()) < 4 / math.sqrt(1000)


@needs_msprime
def test_msprime_and_jax_agree_over_the_prior():
    ours, theirs = (gallery.load("coalescent", engine=engine).simulator for engine in ("jax", "msprime"))
    assert theirs.kind == "host" and theirs.batched
    theta = {"theta": np.asarray(ours.prior.sample(400, key=3)["theta"])}
    one, other = simulate(ours, theta=theta, key=4).x[:, 0], simulate(theirs, theta=theta, key=4, workers=0).x[:, 0]
    # Counts have ties, under which the test of the two-sample statistic is conservative.
    assert stats.ks_2samp(one, other).pvalue > 1e-4
    spread = np.sqrt(np.var(one - other, ddof=1) / 400)
    assert abs(np.mean(one - other)) < 4 * spread


@needs_msprime
def test_the_same_generator_gives_the_same_tree():
    runs = [
        coalescent.sites_and_age(np.full(3, 5.0), 10, [np.random.default_rng(i) for i in range(3)]) for _ in range(2)
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert len(set(runs[0][:, 1])) == 3


def test_traces_add_up():
    family = gallery.load("coalescent")
    theta = {"theta": jnp.asarray(5.0)}
    _, times = jax.vmap(lambda key: family.gold.trace(theta, key=key))(jax.random.split(jax.random.key(0), 4000))
    age = np.asarray(times, float).sum(axis=1)
    assert abs(age.mean() - 1.8) < 4 * math.sqrt(1.158142 / 4000)


def test_conditioned_traces_have_the_exact_age():
    """The problem's own traces at theta = 5, those with 14 sites kept: mean and deviation of the age within three standard errors."""
    family, n = gallery.load("coalescent"), 100_000
    theta = {"theta": jnp.asarray(5.0)}
    x, times = jax.jit(jax.vmap(lambda key: family.gold.trace(theta, key=key)))(jax.random.split(jax.random.key(2), n))
    age = np.asarray(times, float)[np.asarray(x)[:, 0] == 14].sum(axis=1)
    exact = family.truth.latents(theta, jnp.array([14.0]))["age"]
    assert (exact.mean, exact.sd) == pytest.approx((1.702632, 0.575509), abs=6e-7)
    kept, expected = len(age), 0.056241 * n
    assert abs(kept - expected) < 3 * math.sqrt(expected)
    assert abs(age.mean() - exact.mean) < 3 * exact.sd / math.sqrt(kept)
    square = (age - exact.mean) ** 2
    assert abs(square.mean() - exact.sd**2) < 3 * square.std() / math.sqrt(kept)
    draws = exact.sample(2000, key=0)
    assert abs(draws.mean() - exact.mean) < 3 * exact.sd / math.sqrt(2000)
    quartiles = exact.cdf(np.array([1.3, 1.62, 2.0]))
    expected = kept * np.diff(np.concatenate([[0.0], quartiles, [1.0]]))
    assert stats.chisquare(np.histogram(age, [0, 1.3, 1.62, 2.0, np.inf])[0], expected).pvalue > 1e-4
