"""Screening keeps informative columns, whatever their tails, and drops the rest at the stated error."""

import numpy as np
import pytest

from quincunx.errors import InvalidSimulations, ShapeMismatch, TooFewSimulations
from quincunx.learn.screen import relevant_columns


def distracted(n, seed):
    """SLCP's eight columns (2101.04653) and ninety-two Student-t ones with two degrees of freedom, shuffled."""
    rng = np.random.default_rng(seed)
    theta = rng.uniform(-3, 3, (n, 5))
    rho = np.tanh(theta[:, 4:])
    a, b = rng.normal(size=(2, n, 4))
    first = theta[:, :1] + theta[:, 2:3] ** 2 * a
    second = theta[:, 1:2] + theta[:, 3:4] ** 2 * (rho * a + np.sqrt(1 - rho**2) * b)
    x = np.concatenate([first, second, rng.standard_t(2, (n, 92))], axis=1)
    order = rng.permutation(100)
    return x[:, order], theta, order < 8


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_eight_informative_columns_among_ninety_two_heavy_tailed(seed):
    x, theta, informative = distracted(2000, seed)
    np.testing.assert_array_equal(relevant_columns(x, theta), informative)


def test_the_family_wise_error_is_the_stated_one():
    rng = np.random.default_rng(3)
    runs, level = 200, 0.1
    wrong = sum(
        relevant_columns(rng.standard_t(2, (400, 10)), rng.normal(size=(400, 2)), level=level).any()
        for _ in range(runs)
    )
    # Bonferroni's bound, plus three binomial standard errors
    assert wrong / runs < level + 3 * np.sqrt(level * (1 - level) / runs)


@pytest.mark.parametrize(
    "column",
    [
        lambda theta, e: theta + e,
        lambda theta, e: np.exp(theta) * e,
        lambda theta, e: theta**2 + e,
        lambda theta, e: np.where(np.abs(theta) > 1, 3, 1) * e,
        lambda theta, e: np.random.default_rng(9).poisson(np.exp(theta)).astype(float),
    ],
    ids=["location", "scale", "location-even", "scale-even", "counts"],
)
def test_each_kind_of_dependence_is_seen(column):
    rng = np.random.default_rng(4)
    theta, noise = rng.normal(size=(2, 2000))
    assert relevant_columns(column(theta, noise)[:, None], theta[:, None])[0]


def test_tails_alone_are_seen():
    rng = np.random.default_rng(5)
    theta = rng.uniform(-1, 1, 5000)
    # variance one either way; only the weight of the tails follows theta
    x = np.where(theta > 0, rng.standard_t(3, 5000) / np.sqrt(3), rng.uniform(-np.sqrt(3), np.sqrt(3), 5000))
    assert relevant_columns(x[:, None], theta[:, None])[0]


def test_ranks_make_it_invariant_under_monotone_maps():
    x, theta, _ = distracted(500, 6)
    np.testing.assert_array_equal(relevant_columns(x, theta), relevant_columns(np.arctan(x), theta**3))


def test_a_constant_column_is_not_relevant_and_bad_input_is_refused():
    x, theta = np.ones((60, 1)), np.random.default_rng(0).normal(size=(60, 1))
    assert not relevant_columns(x, theta).any()
    with pytest.raises(ShapeMismatch, match="60 rows"):
        relevant_columns(x, theta[:59])
    with pytest.raises(TooFewSimulations):
        relevant_columns(x[:10], theta[:10])
    with pytest.raises(InvalidSimulations):
        relevant_columns(x * np.nan, theta)
