"""Laws of conditional densities: inverse undoes forward, log-determinants are Jacobians, densities integrate to one, draws follow them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from quincunx.learn import build

CONDITION = 2
SMALL = {"layers": 2, "width": 8}
MEMBERS = {
    "autoregressive, affine": {"kind": "autoregressive", "transform": "affine", **SMALL},
    "autoregressive, spline": {"kind": "autoregressive", "transform": "spline", **SMALL},
    "coupling, affine": {"kind": "coupling", "transform": "affine", **SMALL},
    "coupling, spline": {"kind": "coupling", "transform": "spline", **SMALL},
    "gaussian": {"kind": "gaussian", "width": 12, "depth": 1},
    "mixture": {"kind": "mixture", "width": 12, "depth": 1},
    "mixed": {"kind": "mixed", "width": 12, "depth": 1},
}


def shaken(name: str, dim: int):
    """A member away from its start, where many flows are the identity: every number moved at random."""
    model = build({**MEMBERS[name], "dim": dim, "condition_dim": CONDITION}, key=jax.random.key(0))
    numbers, rest = eqx.partition(model, eqx.is_inexact_array)
    leaves, structure = jax.tree.flatten(numbers)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    moved = [leaf + 0.1 * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys)]
    return eqx.combine(jax.tree.unflatten(structure, moved), rest)


@pytest.fixture(scope="module", params=MEMBERS)
def three(request):
    """A member in three dimensions."""
    return shaken(request.param, 3)


@pytest.fixture(scope="module", params=MEMBERS)
def one(request):
    """A member in one dimension."""
    return shaken(request.param, 1)


def test_inverse_undoes_forward_and_the_log_determinant_is_the_jacobians(three):
    if not getattr(three, "invertible", hasattr(three, "to_base")):
        assert not hasattr(three, "from_base")
        return

    @jax.jit
    @jax.vmap
    def both_ways(y, condition):
        z, log_det = three.to_base(y, condition)
        jacobian = jax.jacfwd(lambda y: three.to_base(y, condition)[0])(y)
        # an error in z of some roundings is stretched by the inverse map on the way back
        stretch = jnp.linalg.norm(jnp.linalg.inv(jacobian)) * (1 + jnp.linalg.norm(z))
        log_prob = jnp.sum(jax.scipy.stats.norm.logpdf(z)) + log_det
        by_jacobian = jnp.linalg.slogdet(jacobian)[1]
        return three.from_base(z, condition), stretch, log_det, by_jacobian, log_prob, three.log_prob(y, condition)

    y = 1.5 * jax.random.normal(jax.random.key(2), (64, 3))
    condition = jax.random.normal(jax.random.key(3), (64, CONDITION))
    back, stretch, log_det, by_jacobian, expected, log_prob = both_ways(y, condition)
    roundings = np.abs(back - y).max(axis=1) / (np.finfo(np.float32).eps * np.maximum(stretch, 1.0))
    assert roundings.max() < 100
    np.testing.assert_allclose(log_det, by_jacobian, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(log_prob, expected, rtol=1e-4, atol=1e-4)


def test_the_density_integrates_to_one_and_draws_follow_it(one):
    condition = jnp.array([0.5, -1.0])
    n = 2000
    draws = np.asarray(
        jax.jit(jax.vmap(lambda k: one.sample(condition, key=k)))(jax.random.split(jax.random.key(4), n))
    )[:, 0]
    centre, spread = np.median(draws), np.subtract(*np.percentile(draws, [97.5, 2.5]))
    grid = np.linspace(centre - 15 * spread, centre + 15 * spread, 60_001)
    density = np.exp(
        np.asarray(jax.jit(jax.vmap(lambda y: one.log_prob(y[None], condition)))(jnp.asarray(grid)), np.float64)
    )
    steps = 0.5 * (density[1:] + density[:-1]) * np.diff(grid)
    assert steps.sum() == pytest.approx(1.0, abs=2e-3)
    cumulative = np.concatenate([[0.0], np.cumsum(steps)])
    assert stats.kstest(draws, lambda y: np.interp(y, grid, cumulative)).pvalue > 1e-4
