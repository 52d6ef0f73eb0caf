"""Laws of priors: exact maps between support and unconstrained space, for every kind of support."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import quincunx as qx

PRIORS = {
    "line": qx.Prior(a=dist.Normal(1.0, 2.0)),
    "interval": qx.Prior(a=dist.Beta(2.0, 5.0)),
    "half-line": qx.Prior(a=dist.TruncatedNormal(2.0, 1.0, low=0.5)),
    "box": qx.Prior(v=dist.Uniform(-jnp.ones(3), 2 * jnp.ones(3)).to_event(1)),
    "correlated": qx.Prior(v=dist.MultivariateNormal(jnp.zeros(2), jnp.array([[1.0, 0.8], [0.8, 1.0]]))),
    "simplex": qx.Prior(p=dist.Dirichlet(jnp.array([2.0, 3.0, 4.0]))),
    "mixed": qx.Prior(
        rate=dist.LogNormal(0.0, 1.0), angle=dist.Uniform(0.0, 3.0), v=dist.Normal(jnp.zeros(2), 1.0).to_event(1)
    ),
}
MEMBERS = pytest.mark.parametrize("name", PRIORS)


@MEMBERS
def test_round_trips_return_the_point(name):
    prior = PRIORS[name]
    draws = prior.sample(5, key=0)
    flat = prior.flatten(draws)
    for parameter, values in prior.unflatten(flat).items():
        np.testing.assert_array_equal(values, draws[parameter])
    u = prior.to_unconstrained(flat)
    assert u.shape == (5, prior.unconstrained_dim)
    # float32 near the end of an interval keeps about four digits through the normal quantile
    np.testing.assert_allclose(prior.to_constrained(u), flat, rtol=2e-4, atol=2e-5)


@MEMBERS
def test_the_log_determinant_is_the_jacobians(name):
    prior = PRIORS[name]

    # on a simplex the volume is that of all coordinates but the last
    @jax.jit
    @jax.vmap
    def by_the_jacobian(u):
        return jnp.linalg.slogdet(jax.jacobian(lambda v: prior.to_constrained(v)[: prior.unconstrained_dim])(u))[1]

    @jax.jit
    def densities(u):
        return prior.log_prob_unconstrained(u), prior.log_prob_flat(prior.to_constrained(u))

    u = prior.to_unconstrained(prior.sample_flat(5, key=1))
    log_det = prior.log_det(u)
    np.testing.assert_allclose(log_det, by_the_jacobian(u), rtol=1e-3, atol=1e-3)
    unconstrained, constrained = densities(u)
    np.testing.assert_allclose(unconstrained, constrained + log_det, rtol=1e-3, atol=1e-3)


@MEMBERS
def test_no_point_leaves_the_support(name):
    prior = PRIORS[name]
    far = 8.0 * jax.random.normal(jax.random.key(2), (500, prior.unconstrained_dim))
    theta = np.asarray(prior.to_constrained(far))
    assert np.isfinite(theta).all()
    assert (theta >= prior.low).all() and (theta <= prior.high).all()
    assert not np.isnan(prior.log_prob_flat(theta)).any()


@MEMBERS
def test_what_is_written_is_read_back(name, tmp_path):
    from quincunx.values import save

    prior = PRIORS[name]
    again = qx.load(save(prior, tmp_path / "prior.qx"))
    assert again.names == prior.names and again.units == prior.units
    np.testing.assert_array_equal(again.sample_flat(5, key=4), prior.sample_flat(5, key=4))


@MEMBERS
def test_it_works_under_jit_and_vmap(name):
    prior = PRIORS[name]
    flat = prior.sample_flat(5, key=5)
    batched = jax.jit(jax.vmap(prior.log_prob_flat))(flat)
    np.testing.assert_allclose(batched, prior.log_prob_flat(flat), rtol=1e-5, atol=1e-5)
