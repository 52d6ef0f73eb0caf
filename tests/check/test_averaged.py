"""The data-averaged posterior."""

import numpy as np

from quincunx.check import averaged_posterior


def test_false_alarms_are_nominal(make_trials, nominal):
    p = np.array(
        [
            averaged_posterior(make_trials("exact", s, n=100, draws=9), key=s, permutations=199).p_value
            for s in range(100)
        ]
    )
    assert nominal(int(np.sum(p <= 0.05)), 100, 0.05)
    assert nominal(int(np.sum(p <= 0.3)), 100, 0.3)


def test_a_bias_is_caught_and_measured(make_trials):
    for seed in range(5):
        result = averaged_posterior(make_trials("biased", seed), key=seed)
        assert result.status == "fail"
        # a shift of 0.45 of the posterior's sd, sqrt(1/2) of the prior's
        assert abs(result.effects["largest shift in prior sd"] - 0.45 * 0.5**0.5) < 0.2


def test_the_prior_itself_passes(make_trials, nominal):
    p = np.array(
        [
            averaged_posterior(make_trials("prior only", s, n=100, draws=9), key=s, permutations=99).p_value
            for s in range(100)
        ]
    )
    assert nominal(int(np.sum(p <= 0.05)), 100, 0.05)
