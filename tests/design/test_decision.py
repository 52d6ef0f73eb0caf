"""Decision theory against closed forms of the scalar line: theta ~ N(0, 1), y ~ N(d theta, 0.5)."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm, t

from quincunx.design import (
    Loss,
    bayes_risk,
    evsi,
    expected_loss,
    expected_max_probability,
    expected_variance,
    risk,
)

from .toys import line

D, V = 2.0, 1.0 / (1.0 + 16.0)
SHRINK = 16.0 / 17.0 / D
SD = np.sqrt(1.0 - V)
"""Of the posterior mean, over outcomes."""
DESIGN = {"d": D}
TWO = t.ppf(norm.cdf(2.0), 15)
"""Two standard errors, for errors that are themselves estimated from sixteen groups."""


def holds(found, truth):
    """The truth within the bracket, and the value within its own error of it up to half of that bracket."""
    error = TWO * found.se
    assert found.lower - error <= truth <= found.upper + error, (found, truth)
    assert abs(found.value - truth) <= error + 0.5 * (found.upper - found.lower), (found, truth)


def squared(theta, action):
    return (theta["a"] - action) ** 2


def test_the_posterior_variance_is_that_of_the_formula():
    found = expected_variance(line, DESIGN, key=0)
    holds(found, V)
    assert found.upper - found.lower < 0.05 * V
    assert found.gain == pytest.approx(1.0 - V, abs=0.15)
    assert expected_variance(line, DESIGN, of=["a"], weights=np.array([3.0]), key=0).value == pytest.approx(
        3 * found.value
    )
    events = expected_variance(line, DESIGN, events=4, key=1)
    holds(events, 1.0 / (1.0 + 64.0))


def test_risks_of_rules():
    value, se = bayes_risk(squared, lambda x: SHRINK * x[0, 0], line, DESIGN, key=2)
    assert abs(value - V) < 2 * se
    worse, se = bayes_risk(squared, lambda x: x[0, 0] / D, line, DESIGN, key=3)
    assert abs(worse - 0.25 / D**2) < 2 * se
    at, se = risk(squared, lambda x: SHRINK * x[0, 0], line, {"a": 1.5}, DESIGN, key=4)
    assert abs(at - ((1.5 * (1 - SHRINK * D)) ** 2 + (SHRINK * 0.5) ** 2)) < 2 * se


def test_a_grid_of_actions_comes_near_the_best_rule():
    found = expected_loss(line, Loss(squared, np.linspace(-3.0, 3.0, 61)), DESIGN, key=5)
    # a grid of step 0.1 loses at most 0.1^2 / 12 more
    assert found.lower - 2 * found.se < V + 0.1**2 / 12 and found.upper + 2 * found.se > V
    assert found.lower <= found.value <= found.upper


def test_the_value_of_sample_information_at_a_threshold():
    # act (gain theta) or not (0): with the posterior mean m ~ N(0, 1 - v), E max(m, 0) = sd / sqrt(2 pi)
    found = evsi(line, lambda theta, act: act * theta["a"], np.array([0.0, 1.0]), DESIGN, key=6)
    prior_error = 1.0 / np.sqrt(16 * found.n_inner)
    holds(found, -SD / np.sqrt(2 * np.pi))
    assert abs(found.gain - SD / np.sqrt(2 * np.pi)) < 2 * np.hypot(found.se, prior_error) + found.upper - found.lower
    nothing = evsi(line, lambda theta, act: act * theta["a"], np.array([0.0, 1.0]), {"d": 0.0}, key=7)
    holds(nothing, 0.0)
    assert 0.0 <= nothing.gain < 0.02


def test_the_probability_of_the_more_probable_model():
    # models: a > 0 or not; E max(p, 1 - p) = E Phi(|m| / sqrt v), m ~ N(0, 1 - v)
    m = np.linspace(-8, 8, 4001) * SD
    truth = 1.0 - np.average(norm.cdf(np.abs(m) / np.sqrt(V)), weights=norm.pdf(m / SD))
    found = expected_max_probability(line, lambda theta: jnp.where(theta["a"] > 0, 1, 0), DESIGN, key=8)
    holds(found, truth)
    assert abs(found.without - 0.5) < 0.05
