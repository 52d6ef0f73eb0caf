"""p-values beyond the replicates."""

import numpy as np
import pytest
from scipy.stats import expon, norm, t

from quincunx.check.tail import tail_probability


@pytest.mark.parametrize("name", ["normal", "student", "bounded"])
def test_false_alarms_are_nominal_far_out(name, nominal):
    rng = np.random.default_rng(0)
    draw = {
        "normal": lambda size: rng.normal(size=size),
        "student": lambda size: rng.standard_t(3, size=size),
        "bounded": lambda size: rng.uniform(size=size),
    }[name]
    p = np.array([tail_probability(float(draw(())), draw(100)) for _ in range(3000)])
    # a fit to the tail of a hundred replicates is allowed to err by a factor of two at one in a thousand
    assert nominal(int(np.sum(p <= 0.05)), 3000, 0.06, at_most=True)
    assert nominal(int(np.sum(p <= 0.001)), 3000, 0.003, at_most=True)


@pytest.mark.parametrize(("law", "point"), [(expon, 9.0), (t(4), 12.0)])
def test_extrapolation_is_right_in_order_of_magnitude(law, point):
    ratios = []
    for seed in range(20):
        null = law.rvs(size=2000, random_state=np.random.default_rng(seed))
        ratios.append(tail_probability(point, null) / law.sf(point))
    # both tails are of the Pareto family, so only the fit to 250 points errs
    assert 0.3 < np.median(ratios) < 3


def test_a_light_tail_is_extrapolated_from_above():
    # a normal tail falls faster than the exponential one that is fitted at the least: conservative, never optimistic
    ratios = []
    for seed in range(20):
        null = np.random.default_rng(seed).normal(size=2000)
        ratios.append(tail_probability(4.0, null) / norm.sf(4.0))
    assert np.median(ratios) > 1


def test_counts_where_there_is_something_to_count():
    null = np.arange(100.0)
    assert tail_probability(49.5, null) == pytest.approx(51 / 101)
    assert tail_probability(-1.0, null) == 1.0


def test_never_zero_and_never_above_the_count():
    null = np.random.default_rng(0).normal(size=100)
    p = [tail_probability(s, null) for s in (3.0, 5.0, 50.0, 1e6)]
    assert all(value > 0 for value in p)
    assert sorted(p, reverse=True) == p
