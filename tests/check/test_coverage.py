"""Coverage of highest-density regions."""

import numpy as np
import pytest

from quincunx.check import Trials, hpd_coverage, wilson_interval
from quincunx.errors import UsageError


def test_false_alarms_are_nominal(make_trials, nominal):
    p = np.array([hpd_coverage(make_trials("exact", seed), key=seed).p_value for seed in range(200)])
    assert nominal(int(np.sum(p < 0.05)), 200, 0.05)
    assert nominal(int(np.sum(p < 0.3)), 200, 0.3)


@pytest.mark.parametrize(("kind", "note"), [("overconfident", "overconfident"), ("underconfident", "underconfident")])
def test_wrong_widths_are_caught_and_named(make_trials, kind, note):
    for seed in range(10):
        result = hpd_coverage(make_trials(kind, seed), key=seed)
        assert result.status == "fail"
        assert result.note == note


@pytest.mark.parametrize("dim", [1, 2, 5])
@pytest.mark.parametrize(("kind", "scale"), [("exact", 1.0), ("overconfident", 0.5**0.5), ("underconfident", 2**0.5)])
def test_equivalent_inflation_is_the_factor(make_trials, kind, scale, dim):
    result = hpd_coverage(make_trials(kind, 3, n=3000, dim=dim), key=3)
    # E c has standard error 1 / sqrt(12 n); its slope in log s is at least 0.3 up to this dimension
    assert np.log(result.effects["sd inflation"]) == pytest.approx(np.log(scale), abs=4 / (12 * 3000) ** 0.5 / 0.3)


def test_intervals_cover(nominal):
    rng = np.random.default_rng(0)
    hits = rng.binomial(100, 0.9, size=2000).astype(float)
    low, high = wilson_interval(hits, 100)
    missed = int(np.sum((low > 0.9) | (high < 0.9)))
    # Wilson's interval is not exact: its coverage at this point is 93.6 %
    assert nominal(missed, 2000, 0.064)


def test_needs_a_density():
    with pytest.raises(UsageError, match="tarp"):
        hpd_coverage(Trials.of(np.zeros((30, 1)), np.zeros((30, 9, 1)), np.zeros((30, 1))), key=0)
