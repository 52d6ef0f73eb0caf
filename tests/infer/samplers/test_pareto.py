import numpy as np
import pytest

from quincunx.infer.samplers.pareto import fit_pareto, pareto_smooth


@pytest.mark.parametrize("k", [0.2, 0.5, 0.9])
def test_index_of_pareto_weights(k):
    """Weights w = U^-k have the tail index k exactly; the fit's standard error is about (1 + k) / sqrt(tail)."""
    uniform = np.random.default_rng(3).uniform(size=40_000)
    found = pareto_smooth(-k * np.log(uniform))[1]
    assert abs(found - k) < 3 * (1 + k) / np.sqrt(3 * np.sqrt(40_000)) + 0.02


def test_agrees_with_an_independent_implementation():
    log_weight = np.random.default_rng(0).normal(size=5000) * 1.5
    smooth, k = pareto_smooth(log_weight)
    # arviz-stats 0.8.0's psislw on the same weights; it counts the tail by a slightly different rounding.
    assert k == pytest.approx(0.25195, abs=0.005)
    assert np.exp(smooth).sum() == pytest.approx(1)


def test_fit_of_an_exponential_sample_has_shape_zero():
    k, sigma = fit_pareto(np.random.default_rng(0).exponential(2.0, size=20_000))
    assert abs(k) < 0.05 and abs(sigma - 2) < 0.1


def test_degenerate_weights():
    assert pareto_smooth(np.zeros(100))[1] == -np.inf
    one = np.full(1000, -np.inf)
    one[0] = 0.0
    assert pareto_smooth(one)[1] == np.inf
    assert pareto_smooth(np.full(10, -np.inf))[1] == np.inf
