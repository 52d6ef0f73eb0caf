"""Ratio networks with structure: signs that change, and dependence on theta that is a polynomial."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from quincunx.learn.build import build

G = {"kind": "ratio", "theta_size": 4, "x_size": 2, "width": 8, "depth": 1}


def moved(spec):
    """A network away from its start."""
    rng = np.random.default_rng(1)
    network = build(spec, key=jax.random.key(0))
    return jax.tree.map(
        lambda a: a + rng.normal(0, 0.2, a.shape).astype(a.dtype) if eqx.is_inexact_array(a) else a, network
    )


def test_exchanging_the_points_changes_the_sign():
    network = moved({"kind": "antisymmetric_ratio", "g": G})
    rng = np.random.default_rng(2)
    a, b, x = (jnp.asarray(rng.normal(size=2), jnp.float32) for _ in range(3))
    there, back = network(jnp.concatenate([a, b]), x), network(jnp.concatenate([b, a]), x)
    assert abs(float(there)) > 1e-3
    np.testing.assert_allclose(there, -back, rtol=1e-5)
    assert float(network(jnp.concatenate([a, a]), x)) == 0.0


def test_a_gram_ratio_times_its_norm_is_a_positive_polynomial():
    """Along any line in theta, the fifth difference of a quartic is zero."""
    network = moved({"kind": "gram_ratio", "theta_size": 2, "x_size": 2, "degree": 2, "width": 8, "depth": 1})
    x = jnp.asarray([0.3, -1.0])
    steps = np.linspace(-3, 3, 7)
    points = jnp.asarray(np.outer(steps, [1.0, 0.4]) + np.array([0.2, -0.1]), jnp.float32)
    log_ratio = jax.vmap(lambda theta: network(theta, x))(points)
    flat = eqx.tree_at(lambda n: n.norm, network, jnp.zeros_like(network.norm))
    norm = jax.vmap(lambda theta: flat(theta, x) - network(theta, x))(points)
    monomials = np.stack([np.prod(np.asarray(points) ** np.array(p), axis=1) for p in network.powers])
    values = np.exp(np.asarray(log_ratio + norm, np.float64)) * (monomials**2).sum(axis=0)
    assert (values > 0).all()
    np.testing.assert_allclose(np.diff(values, 5), 0, atol=2e-5 * np.abs(values).max())
