"""Rank calibration: alarms at the nominal rate for exact answers, catches each wrong one, and ties."""

import jax
import numpy as np
import pytest

from quincunx.check import Trials, sbc
from quincunx.check.ranks import random_ranks
from quincunx.check.sbc import bins_for, chi2_p_value


def test_false_alarms_are_nominal(make_trials, nominal):
    results = [sbc(make_trials("exact", seed, n=200), key=seed) for seed in range(100)]
    p = np.array([[r.p_value for r in row] for row in results])
    single = np.array([[(r.detail["p_ecdf"], r.detail["p_chi2"]) for r in row] for row in results])
    assert [r.name for r in results[0]] == ["sbc: theta[0]", "sbc: theta[1]", "sbc: log q", "sbc: log p(x|theta)"]
    for column in range(4):
        # twice the smaller of two is at most nominal; each alone is
        assert nominal(int(np.sum(p[:, column] < 0.05)), 100, 0.05, at_most=True)
        assert nominal(int(np.sum(single[:, column, 0] < 0.2)), 100, 0.2)
        assert nominal(int(np.sum(single[:, column, 1] < 0.2)), 100, 0.2)


@pytest.mark.parametrize(
    ("kind", "caught"),
    [
        ("overconfident", {"sbc: theta[0]", "sbc: log q", "sbc: log p(x|theta)"}),
        ("underconfident", {"sbc: theta[0]", "sbc: log q", "sbc: log p(x|theta)"}),
        ("biased", {"sbc: theta[0]", "sbc: theta[1]"}),
        ("prior only", {"sbc: log p(x|theta)"}),
    ],
)
def test_each_error_is_caught(make_trials, kind, caught):
    for seed in range(5):
        found = {r.name for r in sbc(make_trials(kind, seed), key=seed) if r.p_value < 0.01}
        assert caught <= found


def test_answering_with_the_prior_passes_where_theory_says_it_must(make_trials, nominal):
    p = [[r.p_value for r in sbc(make_trials("prior only", seed), key=seed)[:3]] for seed in range(20)]
    assert nominal(int(np.sum(np.array(p) < 0.05)), 60, 0.05, at_most=True)


@pytest.mark.parametrize(
    ("kind", "scale", "shift"), [("overconfident", 0.5**0.5, 0), ("underconfident", 2**0.5, 0), ("biased", 1, 0.45)]
)
def test_effects_are_the_errors_that_were_made(make_trials, kind, scale, shift):
    n = 2000
    effects = sbc(make_trials(kind, 0, n=n), key=0)[0].effects
    # the sd of n normal scores has relative error 1 / sqrt(2 n); few draws and clipped tails add a few per cent
    assert effects["sd inflation"] == pytest.approx(scale, rel=3 / (2 * n) ** 0.5 + 0.08)
    assert effects["bias in sd"] == pytest.approx(shift, abs=3 / n**0.5 + 0.03)


def test_ties_are_broken_at_random(nominal):
    # theta in {0, 1, 2} and an answer that is exact: nearly every draw ties with the truth
    alarms = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        theta, draws = (
            rng.integers(0, 3, size=(200, 1)).astype(float),
            rng.integers(0, 3, size=(200, 49, 1)).astype(float),
        )
        result = sbc(Trials.of(theta, draws, theta), key=seed)[0]
        alarms += int(result.detail["p_chi2"] < 0.1)
    assert nominal(alarms, 100, 0.1)


def test_all_tied_ranks_are_uniform():
    ranks = random_ranks(np.zeros(10_000), np.zeros((10_000, 9)), key=jax.random.key(0))
    assert set(ranks) == set(range(10))
    assert chi2_p_value(ranks, 9, 10) > 0.001


def test_nan_ranks_below_everything():
    ranks = random_ranks(np.array([0.0]), np.array([[np.nan, np.nan, 1.0]]), key=jax.random.key(0))
    assert ranks.tolist() == [2]


@pytest.mark.parametrize(("n", "draws"), [(300, 99), (150, 199), (40, 63)])
def test_bins_divide_the_ranks(n, draws):
    bins = bins_for(n, draws)
    assert (draws + 1) % bins == 0
    assert n / bins >= 10
