"""Benchmark tasks: frozen numbers, closed forms, and the differential equations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from quincunx import gallery
from quincunx.gallery import bernoulli_glm, lotka_volterra, ode, sir, slcp
from quincunx.gallery.precision import double_scope
from quincunx.gallery.sensitivity import forward_sensitivities


def test_the_distractors_are_the_published_ones():
    """Numbers read from the benchmark's stored file."""
    noise = slcp.distractor_mixture()
    assert noise["permutation"][:10].tolist() == [87, 47, 39, 9, 25, 21, 26, 94, 41, 30]
    np.testing.assert_allclose(noise["loc"][0, :3], [7.4507123, -2.07396452, 9.71532807], rtol=1e-8)
    assert noise["scale_tril"].shape == (20, 92, 92)


def test_the_informative_columns_are_found_again():
    plain, hidden = gallery.load("slcp"), gallery.load("slcp_distractors")
    for i in (1, 10):
        theta = plain.true_theta(i)
        expected = plain.truth.log_likelihood(theta, plain.observation(i))
        np.testing.assert_allclose(hidden.truth.log_likelihood(theta, hidden.observation(i)), expected, rtol=1e-5)


def test_slcp_likelihood_is_symmetric_and_gaussian():
    truth = gallery.load("slcp").truth.in_float64()
    x = np.asarray(gallery.load("slcp").observation(2), float)
    theta = np.array([0.7, -2.9, -1.1, -0.9, 0.6])
    s1, s2, rho = theta[2] ** 2, theta[3] ** 2, np.tanh(theta[4])
    covariance = np.array([[s1**2, rho * s1 * s2], [rho * s1 * s2, s2**2]]) + 1e-6 * np.eye(2)
    expected = stats.multivariate_normal(theta[:2], covariance).logpdf(x.reshape(4, 2)).sum()
    for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        flipped = theta * np.array([1, 1, *signs, 1])
        assert truth.log_likelihood({"theta": flipped}, x) == pytest.approx(expected, rel=1e-9)


def test_the_spike_trains_give_the_stored_summaries():
    summary, raw = gallery.load("bernoulli_glm"), gallery.load("bernoulli_glm_raw")
    for i in range(1, 11):
        np.testing.assert_allclose(
            raw.observation(i) @ bernoulli_glm.design_matrix(), summary.observation(i), atol=2e-4
        )
    np.testing.assert_allclose(
        summary.prior.distributions["theta"].precision_matrix, bernoulli_glm.prior_precision(), atol=1e-5
    )


def test_a_mixture_component_is_shared_by_both_coordinates():
    problem = gallery.load("gaussian_mixture")
    keys = jax.random.split(jax.random.key(0), 4000)
    x = problem.simulator.batch({"theta": jnp.zeros((4000, 2))}, keys=keys)
    both = jnp.abs(x) < 0.1
    # P(|x_i| < 0.1) is 0.683 in the narrow component and 0.080 in the wide one.
    expected = 0.5 * 0.6827**2 + 0.5 * 0.0797**2
    assert abs(float(both.all(axis=1).mean()) - expected) < 4 * np.sqrt(expected * (1 - expected) / 4000)


def test_gaussian_linear_information():
    """The mutual information is the mean of log p(x | theta) - log p(x): 5 log 2 = 3.4657 nats."""
    problem = gallery.load("gaussian_linear")
    n = 4000
    theta = problem.prior.sample(n, key=0)
    x = problem.simulator.batch(theta, keys=jax.random.split(jax.random.key(1), n))
    gain = jax.vmap(problem.truth.log_likelihood)(theta, x) - jax.vmap(problem.truth.log_evidence)(x)
    assert abs(float(gain.mean()) - 3.4657) < 4 * float(gain.std()) / np.sqrt(n)


@pytest.mark.parametrize(
    ("solution", "mean", "sd", "bound"),
    [(sir._log_infected, sir._MEAN, sir._SD, 1e-3), (lotka_volterra._log_populations, lotka_volterra._MEAN, 0.5, 5e-3)],
)
def test_single_precision_solutions(solution, mean, sd, bound):
    """Against float64, at 50 prior draws: the worst error of the log is far below the noise of an observation."""
    rates = np.exp(mean + sd * np.random.default_rng(0).normal(size=(50, len(mean))))
    single = jax.jit(jax.vmap(solution))(jnp.asarray(rates, jnp.float32))
    with double_scope():
        double = np.asarray(jax.jit(jax.vmap(solution))(jnp.asarray(rates, jnp.float64)))
    assert np.abs(np.asarray(single, float) - double).max() < bound


def test_a_solver_that_gives_up_makes_nan_and_raises_nothing():
    (y,) = ode.solve(lambda t, y, _: (y[0] ** 2,), (jnp.asarray(1.0),), np.array([0.0, 0.5, 2.0]))
    assert bool(jnp.isnan(y).all())


def test_forward_sensitivities_work_both_ways():
    def curve(theta):
        return jnp.stack([theta[0] * theta[1], jnp.sin(theta[1])])

    wrapped, theta = forward_sensitivities(curve), jnp.array([0.3, 0.7])
    np.testing.assert_allclose(jax.jacrev(wrapped)(theta), jax.jacrev(curve)(theta), rtol=1e-6)
    np.testing.assert_allclose(jax.jacfwd(wrapped)(theta), jax.jacfwd(curve)(theta), rtol=1e-6)
