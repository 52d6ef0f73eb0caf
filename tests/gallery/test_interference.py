"""Two amplitudes: rates, densities, information and draws against quadrature, and what a local summary loses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from quincunx import gallery
from quincunx.check import check_gold
from quincunx.gallery.interference import GRAM, amplitudes, complete_fisher, couplings, kept_by_local_score

NODES, WEIGHTS = np.polynomial.legendre.leggauss(60)
POINTS = np.stack(np.meshgrid(NODES, NODES, indexing="ij"), axis=-1).reshape(-1, 2)
VOLUME = np.outer(WEIGHTS, WEIGHTS).ravel()
THETA = {"theta_1": jnp.asarray(0.4), "theta_2": jnp.asarray(-0.3)}


def by_hand(theta, x):
    u, v = x[..., 0], x[..., 1]
    first = 1 + theta[0] * u + theta[1] * v / 2
    return np.stack([first, 0.7 + theta[0] * (v**2 - 0.3 * u) + theta[1] * u * v], axis=-1)


@pytest.fixture(scope="module")
def drawn():
    """20,000 events at THETA with their channels."""
    pair = gallery.load("interference")
    keys = jax.random.split(jax.random.key(0), 20_000)
    x, channel = jax.jit(jax.vmap(lambda key: pair.gold.trace(THETA, key=key)))(keys)
    return np.asarray(x, float), np.asarray(channel)


def test_amplitudes_and_rates_are_those_of_the_formula():
    m = couplings(THETA)
    np.testing.assert_allclose(amplitudes(m, jnp.asarray(POINTS, jnp.float32)), by_hand((0.4, -0.3), POINTS), atol=1e-6)
    rates = [m @ GRAM[h] @ m for h in (0, 1)]
    np.testing.assert_allclose(rates, VOLUME @ by_hand((0.4, -0.3), POINTS) ** 2, rtol=1e-6)


def test_the_density_is_normalised_and_its_information_is_that_of_its_score():
    truth = gallery.load("interference").truth
    log_likelihood, slope = (jax.jit(jax.vmap(f, in_axes=(None, 0))) for f in (truth.log_likelihood, truth.score))
    log_p = np.asarray(log_likelihood(THETA, POINTS.astype(np.float32)), float)
    assert VOLUME @ np.exp(log_p) == pytest.approx(1.0, abs=1e-5)
    score = slope(THETA, POINTS.astype(np.float32))
    t = np.stack([np.asarray(score[name], float) for name in THETA], axis=1)
    np.testing.assert_allclose(truth.fisher(THETA), (t * (VOLUME * np.exp(log_p))[:, None]).T @ t, atol=2e-5)
    assert log_likelihood(THETA, np.full((len(POINTS), 2), 1.5, np.float32))[0] == -jnp.inf


def test_seeing_the_channel_tells_more():
    seen = np.asarray(complete_fisher(couplings(THETA)), float)
    unseen = np.asarray(gallery.load("interference").truth.fisher(THETA), float)
    f, slopes = by_hand((0.4, -0.3), POINTS), [by_hand(at, POINTS) for at in ((1.4, -0.3), (0.4, 0.7))]
    sigma = VOLUME @ np.sum(f**2, axis=1)
    d = [slope - f for slope in slopes]
    mean = np.array([2 * VOLUME @ np.sum(f * part, axis=1) / sigma for part in d])
    square = np.array([[4 * VOLUME @ np.sum(a * b, axis=1) / sigma for a in d] for b in d])
    np.testing.assert_allclose(seen, square - np.outer(mean, mean), rtol=1e-5)
    assert np.linalg.eigvalsh(seen - unseen).min() > 0


def test_draws_have_the_exact_distribution(drawn):
    """Channels by their rates, and in each the probabilities of 6 x 6 boxes."""
    x, channel = drawn
    edges = np.linspace(-1, 1, 7)
    inner = 0.5 * (edges[1:] + edges[:-1])[:, None] + NODES[None] / 6
    u, v = inner.ravel()[:, None], inner.ravel()[None, :]
    grid = np.stack(np.broadcast_arrays(u, v), axis=-1)
    w = np.tile(WEIGHTS / 6, 6)
    density = by_hand((0.4, -0.3), grid) ** 2 * (w[:, None] * w[None, :])[..., None]
    boxes = density.reshape(6, 60, 6, 60, 2).sum(axis=(1, 3))
    counts = [np.histogram2d(*x[channel == h].T, bins=(edges, edges))[0] for h in (0, 1)]
    expected = boxes / boxes.sum() * len(x)
    assert stats.chisquare(np.stack(counts, axis=-1).ravel(), expected.ravel()).pvalue > 1e-4


def test_draws_are_continuous_within_a_box(drawn):
    """The margin of u against its distribution function, an integral of the polynomial."""
    x, _ = drawn
    grid = np.linspace(-1, 1, 2001)
    v = by_hand((0.4, -0.3), np.stack(np.broadcast_arrays(grid[:, None], NODES[None]), axis=-1)) ** 2
    margin = (v.sum(axis=-1) * WEIGHTS).sum(axis=1)
    cdf = np.concatenate([[0.0], np.cumsum(0.5 * (margin[1:] + margin[:-1]))])
    assert stats.kstest(x[:, 0], lambda u: np.interp(u, grid, cdf / cdf[-1])).pvalue > 1e-4


def test_the_local_score_loses_information_away_from_its_point():
    kept = [kept_by_local_score(theta) for theta in (0.0, 0.25, 0.5, 1.0)]
    np.testing.assert_allclose(kept, [1.0, 0.95, 0.78, 0.285], atol=0.01)
    # Finer bins lose less: what is missing is lost, not binned away.
    assert kept_by_local_score(0.5, bins=1600) == pytest.approx(kept[2], abs=0.005)


def test_ratios_to_a_theta_whose_amplitudes_vanish_are_not_judged():
    """Under (1, 0) P(r > t) falls as t^(-3/2): r has a mean of one, which no number of simulations shows."""
    far, near = {"theta_1": 1.0, "theta_2": 0.0}, {"theta_1": 0.3, "theta_2": -0.2}
    simulator = gallery.load("interference").simulator
    report = check_gold(simulator, key=0, theta=near, reference=far, n=10_000, tests=("ratio", "score"))
    assert np.isnan(report["ratio"].p_value) and "too few" in report["ratio"].note
    assert report["score"].p_value > 1e-4


def test_one_parameter_is_the_other_at_zero():
    one, two = gallery.load("interference", parameters=1), gallery.load("interference")
    assert one.prior.names == ("theta_1",)
    x = two.observation(1)
    both = {"theta_1": jnp.asarray(0.4), "theta_2": jnp.asarray(0.0)}
    value = one.truth.log_likelihood({"theta_1": jnp.asarray(0.4)}, x)
    assert value == pytest.approx(float(two.truth.log_likelihood(both, x)), rel=1e-6)
    assert one.truth.fisher({"theta_1": jnp.asarray(0.4)}).shape == (1, 1)
    draws = np.asarray(one.truth.posterior_sample(4000, x, key=jax.random.key(0))["theta_1"], float)
    grid = np.linspace(-1, 1, 401)
    levels = jax.jit(jax.vmap(lambda t: one.truth.log_likelihood({"theta_1": t}, x)))(jnp.asarray(grid, jnp.float32))
    p = np.exp(np.asarray(levels, float))
    mean = (p @ grid) / p.sum()
    assert abs(draws.mean() - mean) < 4 * draws.std() / np.sqrt(4000)
