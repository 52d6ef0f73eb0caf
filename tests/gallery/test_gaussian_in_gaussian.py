"""A Gaussian in a Gaussian: evidence and posterior of sets, and information with the hidden step seen and unseen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from quincunx import gallery


def test_sets_of_events():
    pair = gallery.load("gaussian_in_gaussian")
    truth, x = pair.truth.in_float64(), np.asarray(pair.observation(1), float)
    assert x.shape == (5, 1)
    covariance = 5 * np.eye(5) + 9 * np.ones((5, 5))
    exact = stats.multivariate_normal(np.zeros(5), covariance).logpdf(x[:, 0])
    assert truth.log_evidence(x) == pytest.approx(exact, abs=1e-10)
    posterior = stats.norm(9 / 10 * x.mean(), np.sqrt(9 / 10))
    assert truth.log_posterior({"theta": 1.3}, x) == pytest.approx(posterior.logpdf(1.3), abs=1e-10)
    alone = stats.norm(9 / 14 * x[0, 0], np.sqrt(9 * 5 / 14))
    assert truth.log_posterior({"theta": 1.3}, x[0]) == pytest.approx(alone.logpdf(1.3), abs=1e-10)


def test_log_ratio_and_information():
    pair = gallery.load("gaussian_in_gaussian")
    x = jnp.array([3.0])
    assert pair.truth.log_ratio({"theta": 2.0}, {"theta": 0.0}, x) == pytest.approx((2 * 3 * 2 - 4) / 10, abs=1e-6)
    assert pair.truth.fisher({"theta": 1.0}).item() == pytest.approx(0.2)
    theta, n = {"theta": jnp.asarray(1.0)}, 20_000
    xs, zs = jax.jit(jax.vmap(lambda key: pair.gold.trace(theta, key=key)))(jax.random.split(jax.random.key(0), n))
    joint_score = jax.jit(jax.vmap(pair.gold.joint_score, in_axes=(None, 0, 0)))
    joint = np.asarray(joint_score(theta, xs, zs)["theta"], float)
    np.testing.assert_allclose(joint, (np.asarray(zs) - 1) / 4, atol=1e-6)
    # The variance of a squared normal is twice its mean squared.
    assert abs(np.mean(joint**2) - 0.25) < 4 * np.sqrt(2 / n) * 0.25
