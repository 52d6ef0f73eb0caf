"""What every network owes: shapes, one example at a time, JSON, finite gradients, ensembles by vmap."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from quincunx.learn.build import build, kinds, skeleton
from quincunx.learn.compiler import quick_jit


def _two_members(spec):
    """Two networks away from their start, where layers of zeros would hide everything, stacked along a leading axis."""
    rng = np.random.default_rng(0)
    both = [build(spec, key=jax.random.key(seed)) for seed in (0, 1)]
    floats, rest = zip(*(eqx.partition(network, eqx.is_inexact_array) for network in both), strict=True)
    stacked = jax.tree.map(lambda a, b: np.stack([a, b]) + rng.normal(0, 0.1, (2, *a.shape)).astype(a.dtype), *floats)
    return stacked, rest[0]


@quick_jit
def _examine(stacked, rest, arguments):
    """Each member's output for one example and for a batch, and a gradient."""

    def member(floats):
        network = eqx.combine(floats, rest)
        batch = jax.vmap(network)(*jax.tree.map(lambda a: jnp.stack([a, a]), arguments))
        gradient, one = eqx.filter_grad(
            lambda f: (jnp.sum((y := eqx.combine(f, rest)(*arguments)) ** 2), y), has_aux=True
        )(floats)
        return one, batch, gradient

    return jax.vmap(member)(stacked)


def test_shapes_batches_gradients_and_members(member):
    spec, arguments, shape = member
    one, batch, gradient = _examine(*_two_members(json.loads(json.dumps(spec))), arguments)
    assert one.shape == (2, *shape) and bool(jnp.isfinite(one).all())
    np.testing.assert_allclose(batch, jnp.stack([one, one], axis=1), rtol=2e-4, atol=2e-5)
    assert float(jnp.max(jnp.abs(one[0] - one[1]))) > 0
    for leaf in jax.tree.leaves(gradient):
        assert bool(jnp.isfinite(leaf).all()) and bool(jnp.any(leaf != 0))


def test_the_skeleton_has_the_networks_structure(member):
    spec, _, _ = member
    made = eqx.filter_eval_shape(lambda key: build(spec, key=key), jax.random.key(0))
    assert jax.tree.structure(made) == jax.tree.structure(skeleton(spec))


def test_all_are_registered():
    expected = {
        "adaln", "against", "antisymmetric_ratio", "attention", "conv1d", "conv2d", "deepset", "denoiser", "gram_ratio", "gru", "mlp",
        "projected_ratio", "ratio", "resmlp", "velocity"
    }  # fmt: skip
    assert expected <= set(kinds())
