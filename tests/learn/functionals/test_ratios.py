"""Ratio functionals over a family that contains their minimiser: the fitted coefficients are the true ones."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quincunx.learn.compiler import quick_jit
from quincunx.learn.fit import FitSettings, fit
from quincunx.learn.functionals import (
    RatioBalanced,
    RatioBinary,
    RatioContrastive,
    RatioMulticlass,
    ReferenceCrossEntropy,
)
from quincunx.learn.functionals.contrast import other_rows

# log N(x; theta, 1) - log N(x; 0, 2) in the features 1, theta, x, theta^2, theta x, x^2
LOG_RATIO = np.array([0.5 * np.log(2), 0, 0, -0.5, 1, -0.25])
SETTINGS = FitSettings(epochs=80, batch_size=2048, learning_rate=0.05, weight_decay=0.0, patience=80)


class Quadratic(eqx.Module):
    """A logit that is a quadratic polynomial of theta and x."""

    weight: jax.Array

    def __call__(self, theta, x):
        return jnp.dot(self.weight, features(theta[0], x[0]))


def features(theta, x):
    return jnp.stack([jnp.ones_like(x), theta, x, theta**2, theta * x, x**2])


@quick_jit
def value(functional, weight, batch, key):
    return functional(Quadratic(weight), batch, key=key)


def fitted(functional, data, members=1):
    result = fit(
        functional, lambda key: Quadratic(jnp.zeros(6)), data, key=jax.random.key(0), settings=SETTINGS, members=members
    )
    return np.asarray(result.model.weight[0], np.float64)


def standard_errors(theta, x, log_ratio, rows):
    """Of a logistic regression at the truth: the inverse Fisher information of `rows` of the pairs given."""
    phi = np.asarray(features(theta, x), np.float64)
    s = 1 / (1 + np.exp(-log_ratio @ phi))
    return np.sqrt(np.diag(np.linalg.inv((phi * s * (1 - s)) @ phi.T / phi.shape[1])) / rows)


@pytest.fixture(scope="module")
def errors(pairs):
    theta, x = (a[:, 0] for a in pairs)
    both = np.concatenate([theta, np.roll(theta, 1)]), np.concatenate([x, x])
    return standard_errors(*both, LOG_RATIO, 2 * len(x) * 0.9)


@pytest.mark.parametrize("functional", [RatioBinary(), RatioContrastive(), RatioContrastive(contrasts=1, gamma=3.0)])
def test_the_minimiser_is_the_log_ratio(pairs, errors, functional):
    theta, x = pairs
    np.testing.assert_array_less(np.abs(fitted(functional, {"theta": theta, "x": x}) - LOG_RATIO), 4 * errors)


def test_balance_keeps_the_minimiser_up_to_the_noise_of_a_batch(pairs, errors):
    theta, x = pairs
    weight = fitted(RatioBalanced(strength=1.0), {"theta": theta, "x": x})
    np.testing.assert_array_less(np.abs(weight - LOG_RATIO), 4 * errors)


def test_balance_vanishes_at_the_log_ratio_and_not_away_from_it(pairs):
    theta, x = pairs
    batch, key = {"theta": jnp.asarray(theta), "x": jnp.asarray(x)}, jax.random.key(1)

    def penalty(weight):
        weight = jnp.asarray(weight, jnp.float32)
        return float(value(RatioBalanced(), weight, batch, key) - value(RatioBinary(), weight, batch, key))

    # 100 times the square of a mean of N pairs of numbers in (0, 1), whose variance is at most 1/2: nine times its mean
    assert 0 <= penalty(LOG_RATIO) < 9 * 100 * 0.5 / len(x)
    assert penalty(LOG_RATIO + np.array([1.0, 0, 0, 0, 0, 0])) > 1.0


def test_the_multiclass_minimiser_is_the_log_ratio_up_to_a_function_of_x(pairs, errors):
    theta, x = pairs
    weight = fitted(RatioMulticlass(), {"theta": theta, "x": x})
    depends_on_theta = [1, 3, 4]
    np.testing.assert_array_less(np.abs(weight - LOG_RATIO)[depends_on_theta], 4 * errors[depends_on_theta])


def test_the_multiclass_loss_ignores_any_function_of_x_and_the_contrastive_does_not(pairs):
    theta, x = (jnp.asarray(a[:500]) for a in pairs)
    batch, key = {"theta": theta, "x": x}, jax.random.key(2)
    true, shifted = (jnp.asarray(LOG_RATIO + c, jnp.float32) for c in (0, np.array([1, 0, 0.5, 0, 0, 0.3])))
    multiclass, contrastive = RatioMulticlass(), RatioContrastive()
    assert float(value(multiclass, shifted, batch, key)) == pytest.approx(
        float(value(multiclass, true, batch, key)), abs=1e-4
    )
    assert float(value(contrastive, shifted, batch, key)) > float(value(contrastive, true, batch, key)) + 0.05


def test_contrastive_with_one_contrast_is_half_the_binary_loss(pairs):
    theta, x = (jnp.asarray(a[:100]) for a in pairs)
    batch, key, weight = {"theta": theta, "x": x}, jax.random.key(3), jnp.asarray(LOG_RATIO, jnp.float32)
    half = value(RatioContrastive(contrasts=1), weight, batch, key)
    assert float(half) == pytest.approx(float(value(RatioBinary(), weight, batch, key)) / 2, rel=1e-5)


def test_the_multiclass_loss_bounds_the_mutual_information(pairs):
    theta, x = (jnp.asarray(a) for a in pairs)
    loss = RatioMulticlass(classes=50)(
        Quadratic(jnp.asarray(LOG_RATIO, jnp.float32)), {"theta": theta, "x": x}, key=jax.random.key(4)
    )
    # log K - loss is below the mutual information by a bias of order 1 / K and a standard error below 1 / sqrt(N)
    assert 0 < 0.5 * np.log(2) - (np.log(50) - float(loss)) + 3 / np.sqrt(len(x)) < 1 / 50 + 6 / np.sqrt(len(x))


@pytest.mark.parametrize("odds", [1.0, 3.0])
def test_the_reference_ratio_has_the_right_sign_for_any_odds(odds):
    """x ~ N(theta, 1) against x ~ N(0, 1): log r = theta x - theta^2 / 2, and s / (1 - s) = odds * r."""
    n = 12_000
    rng = np.random.default_rng(5)
    label = (np.arange(n) < n * odds / (1 + odds)).astype(np.float32)
    theta = rng.normal(size=(n, 1)).astype(np.float32)
    x = (theta * label[:, None] + rng.normal(size=(n, 1))).astype(np.float32)
    truth = np.array([0, 0, 0, -0.5, 1, 0])
    weight = fitted(ReferenceCrossEntropy(odds=odds), {"theta": theta, "x": x, "label": label})
    errors = standard_errors(theta[:, 0], x[:, 0], truth + np.array([np.log(odds), 0, 0, 0, 0, 0]), 0.9 * n)
    np.testing.assert_array_less(np.abs(weight - truth), 4 * errors)


@pytest.mark.parametrize(("n", "count"), [(2, 1), (7, 6), (50, 9)])
def test_other_rows_never_repeat_and_never_return_the_row_itself(n, count):
    rows = np.asarray(other_rows(n, count, key=jax.random.key(6)))
    assert all(len({i, *row}) == count + 1 for i, row in enumerate(rows.tolist()))
    # each column is a permutation: every theta is used equally often
    assert all(sorted(column) == list(range(n)) for column in rows.T.tolist())
