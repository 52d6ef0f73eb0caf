"""Replicates beside the observation."""

import numpy as np
import pytest

from quincunx.check import predictive_check, tail_areas


@pytest.mark.parametrize("law", ["normal", "student", "counts"])
def test_false_alarms_are_nominal(law, nominal):
    p = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        draw = {
            "normal": lambda size, rng=rng: rng.normal(size=size),
            "student": lambda size, rng=rng: rng.standard_t(2, size=size),
            "counts": lambda size, rng=rng: rng.poisson(2.0, size=size).astype(float),
        }[law]
        together = draw((201, 4))
        p.append(predictive_check(together[1:], together[0]).p_value)
    p = np.array(p)
    assert nominal(int(np.sum(p <= 0.05)), 300, 0.05, at_most=True)
    assert nominal(int(np.sum(p <= 0.01)), 300, 0.015, at_most=True)


def test_one_far_column_fails_and_is_named():
    rng = np.random.default_rng(0)
    observed = rng.normal(size=10)
    observed[7] = 50.0
    result = predictive_check(rng.normal(size=(300, 10)), observed, columns=tuple("abcdefghij"))
    assert result.status == "fail" and result.p_value < 1e-4
    assert result.note == "farthest: h"
    assert result.effects["farthest column in robust sd"] == pytest.approx(50, rel=0.3)


def test_many_slightly_displaced_columns_fail_together():
    rng = np.random.default_rng(0)
    assert predictive_check(rng.normal(size=(500, 50)), rng.normal(size=50) + 1.5).status == "fail"


def test_wrong_model_fails_under_its_posterior_too():
    # noise of sd 1 believed, sd 6 in truth: no posterior of a mean can explain it
    rng = np.random.default_rng(0)
    observed = 6 * rng.normal(size=20)
    mean = observed.mean() + rng.normal(size=(300, 1)) / 20**0.5
    assert predictive_check(mean + rng.normal(size=(300, 20)), observed).status == "fail"


def test_constant_columns_do_no_harm():
    rep = np.concatenate([np.ones((100, 1)), np.random.default_rng(0).normal(size=(100, 1))], axis=1)
    assert predictive_check(rep, np.array([1.0, 0.1])).status == "pass"
    assert predictive_check(rep, np.array([30.0, 0.1])).p_value < 0.05


def test_tail_areas_count_ties_half():
    replicates = np.array([[0.0], [0.0], [1.0], [1.0]])
    assert tail_areas(replicates, np.array([0.0])).tolist() == [pytest.approx(2 * 1.5 / 5)]
    assert tail_areas(replicates, np.array([9.0])).tolist() == [pytest.approx(2 * 0.5 / 5)]
