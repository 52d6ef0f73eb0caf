"""Likelihoods of counts: the mixed density against exact posteriors."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

import quincunx as qx
from quincunx.infer import NLE


@pytest.fixture(scope="module")
def posterior():
    """rate ~ Gamma(2, 1/2) seen through four small Poisson counts, a coin that lands heads with rate / (1 + rate), and one Gaussian."""

    @qx.simulator(qx.Prior(rate=dist.Gamma(2.0, 0.5)))
    def counters(theta, *, key, design=None):
        a, b, c = jax.random.split(key, 3)
        rate = theta["rate"]
        return jnp.concatenate(
            [
                jax.random.poisson(a, rate, (4,)).astype(float),
                jax.random.bernoulli(b, rate / (1 + rate), (1,)).astype(float),
                (rate + 2.0 * jax.random.normal(c))[None],
            ]
        )

    return qx.infer(counters, OBSERVED[0], method=NLE(density="mixed", members=3), budget=BUDGET, key=0)


BUDGET = 6000
OBSERVED = (
    np.array([0.0, 0, 1, 0, 0, 1.0]),
    np.array([3.0, 5, 2, 4, 1, 2.5]),
    np.array([9.0, 12, 7, 10, 1, 11.0]),
)


def exact(x):
    rate = np.linspace(1e-4, 40, 40_001)
    log_p = stats.gamma.logpdf(rate, 2, scale=2.0) + stats.poisson.logpmf(x[:4, None], rate).sum(0)
    log_p += stats.bernoulli.logpmf(int(x[4]), rate / (1 + rate)) + stats.norm.logpdf(x[5], rate, 2.0)
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    mean = (rate * p).sum()
    return mean, ((rate - mean) ** 2 * p).sum() ** 0.5


@pytest.mark.parametrize("x", OBSERVED)
def test_posteriors_are_the_exact_ones(posterior, x):
    n = 4000
    draws = np.asarray(posterior.given(x).sample(n, key=1)["rate"])
    mean, sd = exact(x)
    # what the simulations teach a network of some forty effective coefficients, in units of the posterior's width
    learned = (40 / BUDGET) ** 0.5
    assert abs(draws.mean() - mean) / sd < 3 * (learned + n**-0.5)
    assert abs(draws.std() / sd - 1) < 3 * (learned + (2 * n) ** -0.5)


def test_it_is_said_and_survives_a_file(posterior, tmp_path):
    assert any("probabilities, not densities" in note for note in posterior.notes)
    again = qx.load(posterior.save(tmp_path / "counters.qx"))
    theta = {"rate": jnp.array([0.5, 2.0, 8.0])}
    np.testing.assert_array_equal(again.log_prob(theta), posterior.log_prob(theta))


def test_columns_that_are_screened_away_are_left_out(posterior):
    sims = qx.simulate(noisy, 2000, key=2)
    answer = qx.infer(noisy, np.ones(3), method=NLE(density="mixed", screen=True), sims=sims, key=3)
    assert answer.estimator.surrogate.scales["x"].size == 1
    assert len(answer.estimator.surrogate.spec["density"]["columns"]) == 1


@qx.simulator(qx.Prior(rate=dist.Gamma(2.0, 0.5)))
def noisy(theta, *, key, design=None):
    a, b = jax.random.split(key)
    return jnp.concatenate([jax.random.poisson(a, theta["rate"], (1,)), jax.random.poisson(b, 3.0, (2,))]).astype(float)
