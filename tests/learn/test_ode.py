"""Draws and densities by differential equation, against Gaussians whose fields are known in closed form."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import multivariate_normal, norm

from quincunx.learn import ode

MEAN = jnp.array([0.7, -1.2])
SIGMA_MIN = 1e-3


def velocity(sd):
    """The minimiser of flow matching for N(MEAN, diag sd^2): E[y - z | y_t], the two being jointly Gaussian."""

    def field(t, y):
        return MEAN + (t * sd**2 - (1 - t)) / ((1 - t) ** 2 + t**2 * sd**2) * (y - t * MEAN)

    return field


def denoiser(sd):
    """The minimiser of denoising for N(MEAN, diag sd^2): the posterior mean."""
    return lambda sigma, y: (sigma**2 * MEAN + sd**2 * y) / (sigma**2 + sd**2)


@pytest.fixture(scope="module")
def noise():
    return jax.random.normal(jax.random.key(0), (200, 2))


@pytest.fixture(scope="module")
def flows():
    """Compiled once for all widths: sd is an argument."""

    @jax.jit
    def of_velocity(sd, y, keys):
        draw = jax.vmap(lambda k: ode.sample_velocity(velocity(sd), 2, key=k))(keys)
        return draw, jax.vmap(lambda y: ode.log_prob_of_velocity(velocity(sd), y))(y)

    @jax.jit
    def of_denoiser(sd, y, keys):
        draw = jax.vmap(lambda k: ode.sample_denoiser(denoiser(sd), 2, key=k))(keys)
        return draw, jax.vmap(lambda y: ode.log_prob_of_denoiser(denoiser(sd), y))(y)

    return of_velocity, of_denoiser


@pytest.mark.parametrize("sd", [(1.0, 0.5), (0.1, 0.03), (0.01, 0.01)])
def test_velocity_gives_the_gaussian(flows, noise, sd):
    sd = jnp.array(sd)
    keys = jax.random.split(jax.random.key(1), 200)
    draws, log_prob = flows[0](sd, MEAN + sd * noise, keys)
    z = jax.vmap(lambda k: jax.random.normal(k, (2,)))(keys)
    # a diagonal Gaussian is carried monotonically, so draws are known one by one
    np.testing.assert_allclose((draws - MEAN) / sd, z, atol=0.02)
    np.testing.assert_allclose(log_prob, norm.logpdf(noise).sum(1) - jnp.log(sd).sum(), atol=0.02)


@pytest.mark.parametrize("sd", [(1.0, 0.5), (0.1, 0.03), (0.01, 0.01)])
def test_denoiser_gives_the_blurred_gaussian(flows, noise, sd):
    sd = jnp.array(sd)
    blurred = jnp.hypot(sd, SIGMA_MIN)
    keys = jax.random.split(jax.random.key(1), 200)
    draws, log_prob = flows[1](sd, MEAN + blurred * noise, keys)
    z = jax.vmap(lambda k: jax.random.normal(k, (2,)))(keys)
    # starting at sigma_max = 80 forgets the mean: an offset of |MEAN| / 80 in units of the base
    offset = float(jnp.max(jnp.abs(MEAN))) / 80
    np.testing.assert_allclose((draws - MEAN) / blurred, z, atol=offset + 0.02)
    expected = norm.logpdf(noise).sum(1) - jnp.log(blurred).sum()
    np.testing.assert_allclose(log_prob, expected, atol=2 * offset * float(jnp.max(jnp.abs(noise))) + 0.02)


def test_the_observed_order_is_four():
    def error(steps):
        end = ode.integrate(lambda t, y: -y * jnp.sin(t), jnp.array(1.0), jnp.linspace(0.0, 2.0, steps + 1))
        return abs(float(end) - np.exp(np.cos(2.0) - 1))

    with jax.enable_x64(True):
        assert np.log2(error(8) / error(16)) == pytest.approx(4.0, abs=0.3)


def test_divergence_is_the_trace_of_a_field_that_mixes_coordinates():
    matrix = jnp.array([[0.3, 1.0, 0.0], [-1.0, 0.2, 0.5], [0.1, 0.0, -0.7]])
    y = jnp.array([0.4, -0.2, 1.1])
    carried = jax.scipy.linalg.expm(matrix)
    expected = multivariate_normal.logpdf(y, jnp.zeros(3), carried @ carried.T)
    got = ode.log_prob_of_velocity(lambda t, y: matrix @ y, y)
    assert float(got) == pytest.approx(float(expected), abs=1e-4)


def test_base_is_the_inverse_of_a_draw():
    field = velocity(jnp.array([0.3, 0.1]))
    key = jax.random.key(2)
    z, log_det = ode.base_of_velocity(field, ode.sample_velocity(field, 2, key=key))
    np.testing.assert_allclose(z, jax.random.normal(key, (2,)), atol=1e-3)
    assert float(log_det) == pytest.approx(-np.log(0.3 * 0.1), abs=1e-3)


def test_gradients_pass_through_the_density():
    gradient = eqx.filter_jit(jax.grad(lambda y: ode.log_prob_of_velocity(velocity(jnp.ones(2)), y)))(jnp.zeros(2))
    np.testing.assert_allclose(gradient, MEAN, atol=1e-3)
