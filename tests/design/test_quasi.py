"""Sobol draws: rows of the prior, evenly spread, and estimates without bias, with less variance and the error that they state."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

import quincunx as qx
from quincunx.design.quasi import SCRAMBLINGS, quasi_draws
from quincunx.errors import UsageError

from .toys import answer

TIMES = 60


@pytest.fixture(scope="module")
def repeated():
    """Sixty estimates of one information, with draws of either kind."""
    line = qx.gallery.load("linear_gaussian_design").simulator

    def once(draws, key):
        return qx.eig(line, {"slopes": 2.0}, method="nested", n=512, inner=512, draws=draws, key=key)

    return {draws: [once(draws, key) for key in range(TIMES)] for draws in ("random", "sobol")}


def test_on_a_line_there_is_no_bias_and_less_variance(repeated):
    """About four times less: of the variance of x^2, x = 2 theta + eps, that of theta is gone; eps and the inner draws stay random."""
    truth = qx.gallery.load("linear_gaussian_design").truth.eig({"slopes": 2.0})
    values = {draws: np.array([one.value for one in found]) for draws, found in repeated.items()}
    assert abs(values["sobol"].mean() - truth) < 4 * values["sobol"].std(ddof=1) / np.sqrt(TIMES)
    ratio = values["random"].var(ddof=1) / values["sobol"].var(ddof=1)
    # equal variances would give as much once in ten thousand times
    assert ratio > stats.f.ppf(1 - 1e-4, TIMES - 1, TIMES - 1), ratio


def test_the_error_between_scramblings_is_the_error(repeated):
    values, stated = (np.array([getattr(one, name) for one in repeated["sobol"]]) for name in ("value", "se"))
    low, high = stats.chi2.ppf([5e-4, 1 - 5e-4], TIMES - 1) / (TIMES - 1)
    assert low < values.var(ddof=1) / np.mean(stated**2) < high
    for one in repeated["sobol"]:
        assert one.is_bracketed and one.n_outer == 512


PRIOR = qx.Prior(
    a=dist.Gamma(2.0, 3.0),
    b=dist.Beta(2.0, 0.5),
    c=dist.StudentT(4.0, 1.0, 2.0),
    d=dist.LogNormal(0.5, 0.3),
    e=dist.Normal(jnp.zeros(2), jnp.array([1.0, 2.0])).to_event(1),
)
CDFS = (
    stats.gamma(2.0, scale=1 / 3.0).cdf,
    stats.beta(2.0, 0.5).cdf,
    stats.t(4.0, 1.0, 2.0).cdf,
    stats.lognorm(0.3, scale=np.exp(0.5)).cdf,
    stats.norm(0.0, 1.0).cdf,
    stats.norm(0.0, 2.0).cdf,
)


def test_every_scrambling_has_one_point_in_each_part_of_equal_probability():
    draws = quasi_draws(PRIOR, 1500, jax.random.key(2)).reshape(SCRAMBLINGS, -1, 6)
    assert draws.shape[1] == 64, "the largest power of two that fits"
    for column, cdf in enumerate(CDFS):
        parts = np.floor(64 * cdf(draws[:, :, column])).astype(int)
        assert all(np.array_equal(np.sort(row), np.arange(64)) for row in parts), column
    # independent scramblings do not share points
    assert len(np.unique(draws[:, :, 4])) == 64 * SCRAMBLINGS


def test_a_correlated_prior_keeps_its_covariance():
    covariance = np.array([[2.0, 1.2], [1.2, 1.0]])
    prior = qx.Prior(v=dist.MultivariateNormal(jnp.array([1.0, -1.0]), jnp.asarray(covariance)))
    draws = quasi_draws(prior, 4096, jax.random.key(3))
    whitened = np.linalg.solve(np.linalg.cholesky(covariance), (draws - [1.0, -1.0]).T)
    # independent draws would have these errors, and these have less
    assert np.all(np.abs(whitened @ whitened.T / 4096 - np.eye(2)) < 4 * np.sqrt(2 / 4096))
    assert np.all(np.abs(whitened.mean(axis=1)) < 4 / np.sqrt(4096))


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"draws": "halton"}, "'random' or 'sobol'"),
        ({"draws": "sobol", "n": 20}, "at least 32"),
        ({"draws": "sobol", "method": "fisher"}, "expected one of nested"),
        ({"draws": "sobol", "belief": {"a": np.zeros(4000)}}, "expected the prior"),
    ],
)
def test_what_it_cannot_do_is_refused(asked, says):
    with pytest.raises(UsageError, match=says):
        qx.eig(answer, {"d": 0.0}, **{"method": "nested", "key": 0, **asked})
    with pytest.raises(UsageError, match="quantiles are known"):
        quasi_draws(qx.Prior(p=dist.Dirichlet(jnp.ones(3))), 64, jax.random.key(0))
