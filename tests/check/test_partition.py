"""Ratios must average to one."""

import numpy as np
import pytest

from quincunx.check import balance, partition, ratio_checks


def exact_log_ratio(theta, x):
    """log p(x | theta) / p(x) for theta ~ N(0, 1), x ~ N(theta, 1)."""
    x = x[:, None]
    return np.sum(-0.5 * (x - theta) ** 2 + 0.25 * x**2 + 0.5 * np.log(2), axis=-1)


def pairs(seed, n=200, m=300):
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=(n, 1))
    return theta, theta + rng.normal(size=(n, 1)), rng.normal(size=(n, m, 1))


def test_false_alarms_are_nominal(nominal):
    p = np.array([[r.p_value for r in ratio_checks(exact_log_ratio, *pairs(seed))] for seed in range(200)])
    for column in range(3):
        assert nominal(int(np.sum(p[:, column] < 0.05)), 200, 0.05)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("a constant factor", lambda t, x: exact_log_ratio(t, x) + 0.3),
        ("a factor of x, as NRE-B leaves", lambda t, x: exact_log_ratio(t, x) + 0.5 * np.abs(x[:, None, 0])),
        ("overconfident", lambda t, x: 1.5 * exact_log_ratio(t, x)),
    ],
)
def test_wrong_ratios_are_caught(name, wrong):
    for seed in range(5):
        results = ratio_checks(wrong, *pairs(seed))
        assert min(r.p_value for r in results) < 0.001, name


def test_means_and_errors_are_those_of_each_row():
    log_ratio = np.log(np.random.default_rng(0).uniform(0.5, 1.5, size=(50, 400)))
    result = partition(log_ratio)
    ratio = np.exp(log_ratio)
    np.testing.assert_allclose(result.detail["mean"], ratio.mean(axis=1))
    np.testing.assert_allclose(result.detail["standard_error"], ratio.std(axis=1, ddof=1) / 20)
    assert result.effects["standard error"] == pytest.approx(ratio.mean(axis=1).std(ddof=1) / 50**0.5)


def test_undecided_where_few_terms_carry_the_average():
    # a ratio of fifteen nats: no Monte Carlo average of this size means anything
    z = np.random.default_rng(0).normal(size=(100, 200))
    result = partition(5.5 * z - 15.0)
    assert np.isnan(result.p_value) and result.status == "warn" and "too few" in result.note


def test_balance_sees_a_factor_and_its_sign():
    z = np.random.default_rng(0).normal(size=(4000, 2))
    joint, marginal = z[:, 0] + 0.5, z[:, 1:] - 0.5
    assert balance(joint, marginal).status == "pass"
    for shift in (0.5, -0.5):
        result = balance(joint + shift, marginal + shift)
        assert result.status == "fail"
        assert np.sign(result.effects["gap"]) == -np.sign(shift)
