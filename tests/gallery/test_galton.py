"""The generalised Galton board against the numbers computed for it with a second method."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from quincunx import gallery
from quincunx.gallery.galton_generalised import outcome_probabilities
from quincunx.gallery.precision import in_float64

probabilities = in_float64(outcome_probabilities)
X = np.arange(32)

TABLE = {
    -1.0: (15.704633, 24.529365, (0.04679, 0.04322, 0.04320, 0.04715, 0.05519)),
    -0.8: (15.583061, 20.416816, (0.05937, 0.05828, 0.05927, 0.06279, 0.06862)),
    -0.6: (15.435786, 15.812778, (0.07460, 0.07796, 0.08072, 0.08312, 0.08462)),
    -0.4: (15.273194, 11.250175, (0.09151, 0.10245, 0.10815, 0.10792, 0.10145)),
    0.4: (14.862219, 2.706553, (0.12862, 0.21097, 0.24032, 0.19064, 0.10497)),
}


@pytest.mark.parametrize("theta", TABLE)
def test_moments_and_probabilities(theta):
    mean, variance, middle = TABLE[theta]
    p = probabilities(theta)
    assert p.sum() == pytest.approx(1.0, abs=1e-14)
    assert (p @ X) == pytest.approx(mean, abs=6e-7)
    assert (p @ X**2 - (p @ X) ** 2) == pytest.approx(variance, abs=6e-7)
    np.testing.assert_allclose(p[13:18], middle, atol=6e-6)


def test_the_fair_board_is_binomial_to_machine_precision():
    p = probabilities(0.0)
    np.testing.assert_allclose(p[5:26], stats.binom.pmf(np.arange(21), 20, 0.5), rtol=1e-13)
    assert p[:5].sum() == p[26:].sum() == 0
    assert p @ X == pytest.approx(15, abs=1e-13)
    assert p @ X**2 - 225 == pytest.approx(5, abs=1e-12)


def test_log_ratio_score_and_fisher_information():
    truth = gallery.load("galton_generalised").truth.in_float64()
    columns = (5, 10, 15, 20, 25)
    ratio = [truth.log_ratio({"theta": -0.8}, {"theta": -0.6}, np.array([float(x)])) for x in columns]
    np.testing.assert_allclose(ratio, [0.7436, 0.1362, -0.3090, 0.1586, 0.7214], atol=6e-5)
    score = [truth.score({"theta": -0.7}, np.array([float(x)]))["theta"] for x in columns]
    np.testing.assert_allclose(score, [-3.6768, -0.6722, 1.5469, -0.7818, -3.5607], atol=6e-5)
    fisher = truth.fisher({"theta": -0.7})
    assert fisher.item() == pytest.approx(1.695387, abs=6e-7)
    assert 1 / np.sqrt(1000 * fisher.item()) == pytest.approx(0.02429, abs=6e-6)


def test_impossible_outcomes_have_no_likelihood_and_no_slope():
    truth = gallery.load("galton_generalised").truth
    for x in (4.0, 40.0, 15.5):
        assert truth.log_likelihood({"theta": -0.7}, jnp.array([x])) == -jnp.inf
        assert truth.score({"theta": -0.7}, jnp.array([x]))["theta"] == 0


def test_joint_scores_of_paths():
    """Complete-data information 2.686991, of which the end point keeps 0.631; mean joint score given the end point."""
    board = gallery.load("galton_generalised")
    theta = {"theta": jnp.asarray(-0.7)}
    n = 100_000

    @jax.jit
    def fall(keys):
        x, z = jax.vmap(lambda key: board.gold.trace(theta, key=key))(keys)
        return x[:, 0], jax.vmap(board.gold.joint_score, in_axes=(None, 0, 0))(theta, x, z)["theta"]

    x, score = (np.asarray(value, float) for value in fall(jax.random.split(jax.random.key(0), n)))
    square = score**2
    # Bounds are four standard errors.
    assert abs(square.mean() - 2.686991) < 4 * square.std() / np.sqrt(n)
    for end, expected in ((15, 1.5469), (10, -0.6722), (20, -0.7818)):
        found = score[x == end]
        assert abs(found.mean() - expected) < 4 * found.std() / np.sqrt(len(found))
    assert pytest.approx(0.631, abs=5e-4) == 1.695387 / 2.686991


def test_odd_rows_and_walls():
    """A narrow board, on which balls meet both walls, keeps all of its probability, and traces stay on it."""
    board = gallery.load("galton_generalised", rows=12, nails=3)
    p = np.asarray(outcome_probabilities(jnp.asarray(-0.5), 12, 3))
    assert p.sum() == pytest.approx(1.0, abs=1e-6)
    x = board.simulator.batch({"theta": jnp.full(4000, -0.5)}, keys=jax.random.split(jax.random.key(0), 4000))
    counts = np.bincount(np.asarray(x[:, 0], int), minlength=4)
    assert counts.sum() == 4000 and len(counts) == 4
    possible = p > 1e-6
    assert counts[~possible].sum() == 0
    share = p[possible].astype(float)
    assert stats.chisquare(counts[possible], 4000 * share / share.sum()).pvalue > 1e-4


def test_the_binomial_board_is_conjugate():
    truth = gallery.load("galton_uniform", rows=10).truth.in_float64()
    x = np.array([3.0])
    assert truth.log_likelihood({"theta": 0.3}, x) == pytest.approx(stats.binom.logpmf(3, 10, 0.3), abs=1e-12)
    assert truth.score({"theta": 0.4}, x)["theta"] == pytest.approx((3 - 10 * 0.4) / (0.4 * 0.6))
    assert truth.fisher({"theta": 0.4}).item() == pytest.approx(10 / 0.24)
    assert truth.log_posterior({"theta": 0.4}, x) == pytest.approx(stats.beta.logpdf(0.4, 4, 8), abs=1e-10)
    draws = gallery.load("galton_tilted").truth.posterior_sample(20_000, jnp.array([15.0]), key=jax.random.key(0))
    assert stats.kstest(np.asarray(draws["theta"], float), stats.beta(21, 7).cdf).pvalue > 1e-4
