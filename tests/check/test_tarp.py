"""Random points that look at the data."""

import jax
import numpy as np
import pytest

from quincunx.check import Trials, tarp
from quincunx.check.tarp import data_references


def test_false_alarms_are_nominal(make_trials, nominal):
    p = np.array([tarp(make_trials("exact", seed, n=150, draws=49), key=seed).p_value for seed in range(100)])
    assert nominal(int(np.sum(p < 0.05)), 100, 0.05)
    assert nominal(int(np.sum(p < 0.3)), 100, 0.3)


@pytest.mark.parametrize("kind", ["overconfident", "underconfident", "prior only"])
def test_errors_are_caught(make_trials, kind):
    for seed in range(10):
        assert tarp(make_trials(kind, seed), key=seed).status == "fail"


def test_the_prior_is_caught_where_the_mean_says_nothing():
    # x = |theta| + noise: E[theta | x] = 0, yet the distance from the reference does not pass
    caught = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        theta = rng.normal(size=(300, 2))
        x = np.stack([np.abs(theta[:, 0]), theta[:, 1]], axis=1) + 0.3 * rng.normal(size=(300, 2))
        caught += tarp(Trials.of(theta, rng.normal(size=(300, 99, 2)), x), key=seed).status == "fail"
    assert caught == 10


def test_references_depend_on_the_data_and_on_the_past_only():
    rng = np.random.default_rng(0)
    theta, x = rng.normal(size=(100, 2)), rng.normal(size=(100, 3))
    first = data_references(theta, x, key=jax.random.key(0))
    later = theta.copy()
    later[60:] += 5.0
    # references up to the block of the changed pairs do not move: the truth never helps to choose its own
    np.testing.assert_array_equal(first[:66], data_references(later, x, key=jax.random.key(0))[:66])
    assert not np.allclose(first, data_references(theta, x[::-1].copy(), key=jax.random.key(0)))


def test_one_dimension_and_many_columns():
    rng = np.random.default_rng(0)
    theta = rng.normal(size=(200, 1))
    x = np.concatenate([theta + 0.1 * rng.normal(size=(200, 1)), rng.standard_t(2, size=(200, 99))], axis=1)
    assert tarp(Trials.of(theta, theta[:, None] + rng.normal(size=(200, 99, 1)), x), key=0).n == 200
