"""Truncation: the conditional distribution, exactly."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import integrate, stats

from quincunx.errors import UnsupportedPrior
from quincunx.model.prior import Prior
from quincunx.values import load, save

CASES = {
    "uniform": (dist.Uniform(0.0, 4.0), (1.0, 3.0), stats.uniform(0, 4)),
    "normal": (dist.Normal(0.0, 1.0), (-0.5, 2.0), stats.norm),
    "normal above": (dist.Normal(0.0, 1.0), (1.0, None), stats.norm),
    "lognormal": (dist.LogNormal(0.0, 1.0), (0.5, 2.0), stats.lognorm(1.0)),
    "gamma": (dist.Gamma(2.0, 1.0), (1.0, 4.0), stats.gamma(2)),
    "gamma above": (dist.Gamma(2.0, 1.0), (1.0, None), stats.gamma(2)),
    "beta below": (dist.Beta(2.0, 3.0), (None, 0.4), stats.beta(2, 3)),
    "exponential": (dist.Exponential(2.0), (0.1, 0.5), stats.expon(scale=0.5)),
    "student": (dist.StudentT(4.0, 0.0, 1.0), (-1.0, 2.0), stats.t(4)),
}
MEMBERS = pytest.mark.parametrize("name", CASES)


@MEMBERS
def test_it_is_the_conditional_distribution(name, tmp_path):
    distribution, bounds, truth = CASES[name]
    prior = Prior(a=distribution).truncate(a=bounds)
    low = bounds[0] if bounds[0] is not None else truth.support()[0]
    high = bounds[1] if bounds[1] is not None else truth.support()[1]
    mass = truth.cdf(high) - truth.cdf(low)

    draws = np.asarray(prior.sample(1000, key=0)["a"])
    assert draws.min() >= low and draws.max() <= high
    assert stats.kstest(draws, lambda a: (truth.cdf(a) - truth.cdf(low)) / mass).pvalue > 1e-3

    density = np.asarray(prior.log_prob({"a": draws[:10]}))
    np.testing.assert_allclose(density, truth.logpdf(draws[:10]) - np.log(mass), rtol=1e-3, atol=1e-3)
    outside = jnp.array([low - 0.1 if np.isfinite(low) else high + 0.1])
    assert np.array_equal(prior.log_prob({"a": outside}), [-np.inf])

    u = prior.to_unconstrained(draws[:, None])
    assert np.isfinite(u).all()
    again = load(save(prior, tmp_path / "prior.qx"))
    np.testing.assert_array_equal(again.sample(5, key=1)["a"], prior.sample(5, key=1)["a"])


def test_it_can_be_truncated_again_and_compiled():
    prior = Prior(a=dist.Gamma(2.0, 1.0)).truncate(a=(1.0, 4.0)).truncate(a=(2.0, None))
    assert (prior.low[0], prior.high[0]) == (2.0, 4.0)
    draws = jax.jit(lambda k: prior.sample(200, key=k)["a"])(jax.random.key(0))
    assert float(draws.min()) >= 2.0 and float(draws.max()) <= 4.0
    grid = jnp.linspace(2.0, 4.0, 201)
    total = integrate.simpson(np.exp(jax.vmap(lambda a: prior.log_prob({"a": a}))(grid)), x=np.asarray(grid))
    assert abs(total - 1) < 1e-3


def test_vectors_truncate_number_by_number():
    prior = Prior(v=dist.Uniform(jnp.zeros(2), jnp.ones(2))).truncate(v=(jnp.array([0.2, 0.0]), 0.5))
    np.testing.assert_allclose(prior.low, [0.2, 0.0], rtol=1e-6)
    np.testing.assert_allclose(prior.high, [0.5, 0.5])


def test_units_stay():
    assert Prior(a=dist.Normal(0.0, 1.0), units={"a": "m"}).truncate(a=(0, 1)).units == {"a": "m"}


@pytest.mark.parametrize(
    ("distribution", "bounds", "said"),
    [
        (dist.Uniform(0.0, 1.0), (2.0, 3.0), "nothing"),
        (dist.Normal(0.0, 1.0), (1.0, 1.0), "nothing"),
        (dist.Gamma(2.0, 1.0), (500.0, 600.0), "float32"),
        (dist.Dirichlet(jnp.ones(3)), (0.0, 0.5), "tied"),
        (dist.MultivariateNormal(jnp.zeros(2), jnp.eye(2)), (0.0, 0.5), "correlated"),
    ],
)
def test_impossible_truncations_are_refused(distribution, bounds, said):
    with pytest.raises(UnsupportedPrior, match=said):
        Prior(a=distribution).truncate(a=bounds)
