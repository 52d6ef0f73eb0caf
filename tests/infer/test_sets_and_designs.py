"""Sets of events of any number, and settings that vary."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import quincunx as qx
from quincunx.errors import NameMismatch, QuincunxWarning
from quincunx.infer import NLE, NPE
from quincunx.infer.conditioning import plan_embedding
from quincunx.infer.scoring import whole_columns
from quincunx.infer.sets import padded_many, padded_size
from quincunx.learn import FitSettings

GAUSSIAN = {"kind": "gaussian", "width": 16, "depth": 1}


@qx.simulator(qx.Prior(mu=dist.Normal(0.0, 1.0)))
def scaled(theta, *, key, design=None):
    """One number about mu * gain with unit noise."""
    gain = 1.0 if design is None else design["gain"]
    return theta["mu"] * gain + jax.random.normal(key, (1,))


def test_sets_of_any_size_up_to_the_simulated_one():
    sims = qx.simulate(scaled, 2000, key=0, events=8)
    method = NPE(
        density=GAUSSIAN,
        embedding={"kind": "deepset", "width": 16, "depth": 1},
        settings=FitSettings(epochs=30, batch_size=100, patience=1000),
    )
    estimator = method.fit(sims, scaled.prior, key=1)
    for n in (1, 8):
        draws = estimator.posterior(np.full((n, 1), 0.8, np.float32)).sample(1000, key=2)["mu"]
        exact_mean, exact_sd = 0.8 * n / (n + 1), (n + 1) ** -0.5
        # what two thousand sets teach a network of some forty effective coefficients, in units of the posterior's width
        learned = np.sqrt(40 / 2000)
        assert abs(draws.mean() - exact_mean) / exact_sd < 4 * learned
        assert abs(draws.std() / exact_sd - 1) < 3 * learned
    with pytest.warns(QuincunxWarning, match="set of 9 events"):
        estimator.posterior(np.full((9, 1), 0.1, np.float32))


def test_settings_that_varied_are_asked_for_and_used():
    rng = np.random.default_rng(0)
    gains = rng.uniform(0.5, 4.0, 2000).astype(np.float32)
    sims = qx.simulate(scaled, 2000, key=0, design={"gain": gains})
    settings = FitSettings(epochs=30, batch_size=100, patience=1000)
    estimator = NLE(density=GAUSSIAN, settings=settings).fit(sims, scaled.prior, key=1)
    with pytest.raises(NameMismatch, match="gain"):
        estimator.posterior(np.zeros(1))
    with pytest.raises(NameMismatch, match="colour"):
        estimator.posterior(np.zeros(1), design={"gain": 1.0, "colour": 2.0})
    grid = np.linspace(-4, 4, 1001)
    spreads = []
    for gain in (0.6, 3.5):
        log_p = np.asarray(estimator.posterior(np.zeros(1), design={"gain": gain}).log_prob({"mu": grid}), float)
        w = np.exp(log_p - log_p.max())
        spreads.append(np.sqrt(np.average(grid**2, weights=w)))
    exact = [(1 + g**2) ** -0.5 for g in (0.6, 3.5)]
    assert np.allclose(spreads, exact, rtol=4 * np.sqrt(20 / 2000))
    # two events with settings of their own
    both = estimator.posterior(np.zeros((2, 1)), design={"gain": np.array([0.6, 3.5])})
    apart = [estimator.posterior(np.zeros(1), design={"gain": g}).log_likelihood({"mu": 0.3}) for g in (0.6, 3.5)]
    assert float(both.log_likelihood({"mu": 0.3})) == pytest.approx(sum(map(float, apart)), abs=1e-4)


def test_a_setting_that_did_not_vary_must_be_the_same():
    sims = qx.simulate(scaled, 300, key=0, design={"gain": 2.0})
    estimator = NPE(density=GAUSSIAN, settings=FitSettings(epochs=1)).fit(sims, scaled.prior, key=1)
    estimator.posterior(np.zeros(1))
    with pytest.raises(NameMismatch, match="every simulation"):
        estimator.posterior(np.zeros(1), design={"gain": 3.0})


def test_whole_numbers_are_dequantised_and_said_so():
    theta = {"rate": np.random.default_rng(0).gamma(4.0, 1.0, 500)}
    counts = np.random.default_rng(1).poisson(theta["rate"])[:, None].astype(float)
    prior = qx.Prior(rate=dist.Gamma(4.0, 1.0))
    sims = qx.Simulations.of(theta, counts, prior=prior)
    estimator = NLE(density=GAUSSIAN, settings=FitSettings(epochs=1)).fit(sims, prior, key=0)
    assert estimator.integers.tolist() == [True]
    assert any("unit cell" in note for note in estimator.notes)
    assert not whole_columns(np.full((3, 1, 1), 2.0**25)).any()


@pytest.mark.parametrize("n", [1, 2, 3, 17, 100, 1000])
def test_padding_is_short_and_masked(n):
    size = padded_size(n)
    assert n <= size <= max(n + 1, 1.15 * n)
    events, mask, _ = padded_many(np.ones((2, n, 1), np.float32), np.zeros((2, n, 0), np.float32))
    assert events.shape == (2, size, 1) and mask.sum() == 2 * n


def test_embeddings_are_given_their_sizes():
    common = {"x_size": 20, "design_size": 1, "sets": False, "theta_size": 2}
    assert plan_embedding(None, shape=(20,), **common) == ("vector", (), None, 21)
    form, shape, spec, size = plan_embedding("gru", shape=(10, 2), **common)
    assert (form, shape, spec["in_size"], size) == ("array", (10, 2), 3, 8)
    with pytest.raises(qx.errors.ShapeMismatch, match="conv2d"):
        plan_embedding("conv2d", shape=(20,), **common)
    with pytest.raises(qx.errors.UsageError, match="takes sets"):
        plan_embedding("deepset", shape=(20,), **common)
    with pytest.raises(qx.errors.UsageError, match="sets of events"):
        plan_embedding("mlp", shape=(20,), **{**common, "sets": True})


def test_a_series_is_read_by_an_embedding():
    @qx.simulator(qx.Prior(w=dist.Uniform(0.5, 2.0)))
    def wave(theta, *, key):
        t = jnp.linspace(0.0, 6.0, 16)
        return jnp.sin(theta["w"] * t) + 0.1 * jax.random.normal(key, (16,))

    sims = qx.simulate(wave, 300, key=0)
    method = NPE(
        density=GAUSSIAN,
        embedding={"kind": "conv1d", "width": 8, "depth": 1, "out_size": 4},
        settings=FitSettings(epochs=1, batch_size=100),
    )
    draws = method.fit(sims, wave.prior, key=1).posterior(sims.x[0]).sample(10, key=2)
    assert draws["w"].shape == (10,) and np.all((draws["w"] > 0.5) & (draws["w"] < 2.0))
