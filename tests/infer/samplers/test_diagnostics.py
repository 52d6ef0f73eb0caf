import numpy as np
import pytest

from quincunx.infer.samplers.diagnostics import ess_bulk, ess_genealogy, ess_tail, family_rhat, rhat


def autoregressive(rho, shape=(4, 600, 3), seed=0):
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=shape)
    chains = noise.copy()
    for t in range(1, shape[1]):
        chains[:, t] = rho * chains[:, t - 1] + np.sqrt(1 - rho**2) * noise[:, t]
    return chains


# Computed by arviz-stats 0.8.0 on the same chains: rhat(), ess(method="bulk") and ess(method="tail", prob=(0.05, 0.95)).
PEER = {
    0.0: (
        [1.00037139, 1.00093232, 0.9999925],
        [2399.40880672, 2460.22517749, 2209.71584804],
        [2333.21328591, 2135.00669054, 2218.62055764],
    ),
    0.7: (
        [1.00975073, 1.01396345, 1.0070368],
        [374.58985082, 403.63139745, 361.25132939],
        [659.22730476, 744.39212085, 866.94527966],
    ),
    -0.4: (
        [0.99993038, 0.99946859, 0.99980001],
        [5485.47242965, 6684.53679802, 5248.3409393],
        [2575.58167365, 2283.92643763, 2392.58411134],
    ),
}


@pytest.mark.parametrize("rho", PEER)
def test_agrees_with_an_independent_implementation(rho):
    chains = autoregressive(rho)
    for own, values in zip((rhat, ess_bulk, ess_tail), PEER[rho], strict=True):
        np.testing.assert_allclose(own(chains), values, rtol=1e-6)


def test_ess_of_an_autoregressive_chain_is_the_closed_form():
    rho, n = 0.8, 20_000
    chains = autoregressive(rho, (4, n, 1))
    truth = 4 * n * (1 - rho) / (1 + rho)
    assert abs(ess_bulk(chains)[0] / truth - 1) < 0.1


def test_rhat_sees_a_shift_and_a_difference_of_scale():
    chains = autoregressive(0.0)
    shifted = chains + np.arange(4)[:, None, None]
    assert rhat(shifted).min() > 1.3
    assert rhat(chains * np.array([1, 1, 1, 5.0])[:, None, None]).min() > 1.05


def test_constant_and_infinite_columns_are_not_called_converged():
    chains = autoregressive(0.0)
    chains[..., 0] = 1.0
    chains[0, 0, 1] = np.inf
    assert ess_bulk(chains)[0] == 0
    assert np.isnan(rhat(chains)[1]) and np.isnan(ess_bulk(chains)[1])


def test_genealogy_counts_founders_of_clones_and_draws_of_strangers():
    rng = np.random.default_rng(0)
    eve = np.repeat(np.arange(200), 5)
    clones = np.repeat(rng.normal(size=(200, 1)), 5, 0)
    strangers = rng.normal(size=(1000, 1))
    assert ess_genealogy(clones, eve)[0] == pytest.approx(200)
    assert ess_genealogy(strangers, eve)[0] > 1000 * (1 - 4 * np.sqrt(2 / 200))


def test_families_that_disagree_are_seen():
    rng = np.random.default_rng(0)
    eve = np.arange(2000) % 100
    rows = rng.normal(size=(2000, 2))
    assert family_rhat(rows, eve).max() < 1.02
    rows[eve % 4 == 0, 0] += 1
    assert family_rhat(rows, eve)[0] > 1.05
    assert np.isnan(family_rhat(rows, np.zeros(2000, int))).all()
