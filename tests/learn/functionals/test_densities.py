"""Density, velocity and denoising functionals on the conjugate problem, over families that (nearly) hold the minimiser."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quincunx.learn.build import build
from quincunx.learn.fit import FitSettings, fit
from quincunx.learn.functionals import DenoisingScore, FlowMatching, NegativeLogDensity
from quincunx.learn.functionals.strata import stratified
from quincunx.learn.networks import Denoiser, VelocityField

N = 8192
SETTINGS = FitSettings(epochs=150, batch_size=1024, learning_rate=0.05, weight_decay=0.0, patience=150)
# E[y | x] = x / 2 has standard errors of the order of 1 / sqrt(N); four of them, for x up to 1.5
WITHIN = 4 * 1.5 / np.sqrt(N)


class LinearField(eqx.Module):
    """sum_k T_k(u(t)) (a_k y + b_k c + d_k): linear in y and c, Chebyshev in a clock u that maps [low, high] to [-1, 1]."""

    weight: jax.Array
    low: float = eqx.field(static=True)
    high: float = eqx.field(static=True)
    dim: int = eqx.field(static=True, default=1)

    def __call__(self, t, y, c):
        u = jnp.clip(2 * (t - self.low) / (self.high - self.low) - 1, -1, 1)
        basis = jnp.cos(jnp.arange(self.weight.shape[0]) * jnp.arccos(0.9999 * u))
        return basis @ self.weight @ jnp.stack([y, c, jnp.ones(1)])


def first(tree):
    return jax.tree.map(lambda leaf: leaf[0] if eqx.is_array(leaf) else leaf, tree)


def fitted(functional, make, data):
    return first(fit(functional, lambda key: make(), data, key=jax.random.key(0), settings=SETTINGS).model)


@pytest.mark.parametrize("direction", ["posterior", "likelihood"])
def test_negative_log_density_gives_posterior_and_likelihood(pairs, direction):
    theta, x = pairs
    y, c, slope, variance = (theta, x, 0.5, 0.5) if direction == "posterior" else (x, theta, 1.0, 1.0)
    spec = {"kind": "gaussian", "dim": 1, "condition_dim": 1, "width": 4, "depth": 1}
    settings = FitSettings(epochs=30, batch_size=256, learning_rate=5e-3, weight_decay=0.0)
    result = fit(
        NegativeLogDensity(), lambda k: build(spec, key=k), {"y": y, "c": c}, key=jax.random.key(0), settings=settings
    )
    model = first(result.model)
    log_prob = jax.jit(lambda y, c: jax.vmap(model.log_prob)(y, c))
    at = np.array([[-1.0], [0.0], [1.0]], np.float32)
    # a density is stationary at its mean: compare it there and one standard deviation away
    mean, sd = slope * at, variance**0.5
    peak = -0.5 * np.log(2 * np.pi * variance)
    for shift in (-1, 0, 1):
        got = np.asarray(log_prob((mean + shift * sd).astype(np.float32), at))
        # the log-density at a fixed point moves by at most about (|z| + z^2) standard errors of mean and log sd
        np.testing.assert_allclose(got, peak - 0.5 * shift**2, atol=8 * np.sqrt(2 / N) + 0.02)
    held_out_entropy = 0.5 * np.log(2 * np.pi * np.e * variance)
    assert abs(float(result.best_loss[0]) - held_out_entropy) < 4 * np.sqrt(0.5 / (0.1 * N))


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_flow_matching_reaches_the_velocity_and_its_flow_the_posterior(pairs, alpha):
    theta, x = pairs
    field = fitted(FlowMatching(alpha=alpha), lambda: LinearField(jnp.zeros((8, 3)), 0.0, 1.0), {"y": theta, "c": x})
    t, y, c = (a.ravel() for a in np.meshgrid([0.2, 0.5, 0.8], [-1.0, 0.5], [-1.0, 1.0], indexing="ij"))
    mean, variance, shrink = c / 2, 0.5, 1 - 1e-4
    start = 1 - shrink * t
    truth = mean + (t * variance - shrink * start) / (start**2 + t**2 * variance) * (y - t * mean)
    got = jax.vmap(lambda t, y, c: field(t, y[None], c[None])[0])(*(jnp.asarray(a, jnp.float32) for a in (t, y, c)))
    np.testing.assert_allclose(got, truth, atol=2 * WITHIN)
    check_posterior(VelocityField(field, 12))


def test_denoising_reaches_the_posterior_mean_and_its_flow_the_posterior(pairs):
    theta, x = pairs

    def make():
        raw = LinearField(jnp.zeros((8, 3)), np.log(0.01) / 4, np.log(50.0) / 4)
        return Denoiser(raw, 16, 1.0, 1e-3, 80.0)

    model = fitted(DenoisingScore(log_mean=-0.5, log_std=1.5), make, {"y": theta, "c": x})
    sigma, y, c = (a.ravel() for a in np.meshgrid([0.2, 0.6, 2.0], [-1.0, 0.5], [-1.0, 1.0], indexing="ij"))
    truth = (sigma**2 * c / 2 + 0.5 * y) / (sigma**2 + 0.5)
    arguments = tuple(jnp.asarray(a, jnp.float32) for a in (sigma, y, c))
    got = jax.vmap(lambda s, y, c: model(s, y[None], c[None])[0])(*arguments)
    np.testing.assert_allclose(got, truth, atol=2 * WITHIN)
    score = jax.vmap(lambda s, y, c: model.score(s, y[None], c[None])[0])(*arguments)
    np.testing.assert_allclose(score, (c / 2 - y) / (0.5 + sigma**2), atol=2 * WITHIN / 0.2**2)
    check_posterior(model)


def check_posterior(model):
    """Draws and log-density at x = 1 against N(1 / 2, 1 / 2)."""
    n = 2000
    c = jnp.ones(1)
    draw = jax.jit(lambda keys: jax.vmap(lambda k: model.sample(c, key=k))(keys))
    draws = np.asarray(draw(jax.random.split(jax.random.key(7), n)))[:, 0]
    sd = np.sqrt(0.5)
    assert abs(draws.mean() - 0.5) < 4 * sd / np.sqrt(n) + 2 * WITHIN
    assert abs(draws.std() / sd - 1) < 4 / np.sqrt(2 * n) + 2 * WITHIN
    y = jnp.array([[0.0], [0.5], [1.0]])
    log_prob = jax.jit(lambda y: jax.vmap(lambda y: model.log_prob(y, c))(y))(y)
    truth = -0.5 * np.log(np.pi) - (np.asarray(y)[:, 0] - 0.5) ** 2
    np.testing.assert_allclose(log_prob, truth, atol=2 * WITHIN)


def test_strata_are_uniform_one_by_one_and_even_together():
    u = np.stack([stratified(5, key=k) for k in jax.random.split(jax.random.key(8), 400)])
    assert (np.sort(u, axis=1) * 5 // 1 == np.arange(5)).all()
    # each place's mean over calls: four standard errors of a uniform's
    assert (np.abs(u.mean(axis=0) - 0.5) < 4 * np.sqrt(1 / 12 / 400)).all()


def test_every_functional_states_its_minimiser():
    import quincunx.learn.functionals as functionals

    for name in functionals.__all__:
        assert (
            "=" in getattr(functionals, name).minimiser and "minimised by" in getattr(functionals, name).__doc__.lower()
        )
