"""Every transform through the same laws: inverse undoes forward, log_det is the Jacobian's, no point leaves."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro.distributions import constraints

from quincunx.errors import UnsupportedPrior
from quincunx.model.transforms import Bijection, Identity, Log, Probit, bounds_of, transform_for

TRANSFORMS = {
    "identity": Identity(2),
    "above": Log(np.array([0.0, 3.0])),
    "below": Log(np.array([-1.0, 2.0]), -1),
    "interval": Probit(np.array([0.0, -5.0]), np.array([1.0, 20.0])),
    "simplex": Bijection(constraints.simplex, (3,), 2),
    "ordered": Bijection(constraints.ordered_vector, (2,), 2),
    "cholesky": Bijection(constraints.lower_cholesky, (2, 2), 3),
}
MEMBERS = pytest.mark.parametrize("t", TRANSFORMS.values(), ids=TRANSFORMS)


def points(t, scale=1.0):
    return scale * jax.random.normal(jax.random.key(0), (6, t.unconstrained_size))


@MEMBERS
def test_inverse_undoes_forward(t):
    u = points(t)
    theta = t.inverse(u)
    assert theta.shape == (6, t.size)
    np.testing.assert_allclose(t.forward(theta), u, rtol=1e-3, atol=1e-3)


@MEMBERS
def test_log_det_is_the_jacobians(t):
    free = np.flatnonzero(np.asarray(jax.jacfwd(t.inverse)(points(t)[0])).any(axis=1))[: t.unconstrained_size]
    jacobian = jax.jit(jax.vmap(jax.jacfwd(lambda u: t.inverse(u)[free])))(points(t))
    np.testing.assert_allclose(t.log_det(points(t)), np.linalg.slogdet(jacobian)[1], rtol=1e-3, atol=1e-4)


@MEMBERS
@pytest.mark.parametrize("scale", [1.0, 30.0, 1e6])
def test_no_point_leaves_the_support(t, scale):
    if isinstance(t, Bijection) and scale > 1:
        pytest.skip("NumPyro's own bijections saturate in float32")
    theta = t.inverse(points(t, scale))
    low, high = t.bounds()
    assert np.isfinite(theta).all()
    assert (np.asarray(theta) >= low.astype(np.float32)).all() and (np.asarray(theta) <= high.astype(np.float32)).all()
    assert np.asarray(t.contains(theta)).all()


@pytest.mark.parametrize("t", [TRANSFORMS["above"], TRANSFORMS["below"], TRANSFORMS["interval"]])
def test_edges_are_mapped_to_finite_numbers(t):
    low, high = (np.where(np.isfinite(side), side, 0.0) for side in t.bounds())
    ends = jnp.asarray(np.stack([low, high])[:, None, :], jnp.float32)
    finite = [e for e, side in zip(ends, t.bounds()) if np.isfinite(side).all()]
    assert finite
    for end in finite:
        assert np.isfinite(t.forward(end)).all()


@pytest.mark.parametrize(
    ("distribution", "low", "high"),
    [
        (dist.Normal(0.0, 1.0), -np.inf, np.inf),
        (dist.Gamma(2.0, 1.0), 0, np.inf),
        (dist.LogUniform(1.0, 10.0), 1, 10),
        (dist.Pareto(2.0, 3.0), 2, np.inf),
        (dist.VonMises(0.0, 1.0), -np.pi, np.pi),
        (dist.TransformedDistribution(dist.Uniform(0.0, 1.0), dist.transforms.AffineTransform(5.0, -2.0)), 3, 5),
        (dist.TransformedDistribution(dist.Uniform(0.0, 1.0), dist.transforms.ExpTransform()), 1, np.e),
        (dist.Uniform(0.0, 1.0).expand((2,)).to_event(1), 0, 1),
        (dist.TruncatedNormal(0.0, 1.0, high=2.0), -np.inf, 2),
    ],
)
def test_bounds_are_those_of_the_distribution(distribution, low, high):
    got = bounds_of(distribution)
    np.testing.assert_allclose(got[0], low, rtol=1e-6)
    np.testing.assert_allclose(got[1], high, rtol=1e-6)
    draws = np.asarray(distribution.sample(jax.random.key(0), (100,)))
    assert (draws >= got[0] - 1e-6).all() and (draws <= got[1] + 1e-6).all()


def test_tied_numbers_have_no_bounds():
    assert bounds_of(dist.Dirichlet(jnp.ones(3))) is None


def test_supports_without_a_map_are_refused():
    class Odd(dist.Normal):
        support = constraints.sphere

    with pytest.raises(UnsupportedPrior, match="'odd'"):
        transform_for("odd", Odd(0.0, 1.0))
