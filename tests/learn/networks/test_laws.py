"""What every network owes: shapes, one example at a time, JSON, finite gradients, ensembles by vmap."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from quincunx.learn.build import build, kinds, skeleton


@eqx.filter_jit
def _examine(spec, arguments, key):
    """Two networks away from their start (zero layers hide everything), their output, one by one and batched, and a gradient."""

    def member(key):
        floats, rest = eqx.partition(build(spec, key=key), eqx.is_inexact_array)
        leaves, tree = jax.tree.flatten(floats)
        keys = jax.random.split(key, len(leaves))
        moved = [leaf + 0.1 * jax.random.normal(k, leaf.shape) for leaf, k in zip(leaves, keys, strict=True)]
        network = eqx.combine(tree.unflatten(moved), rest)
        one = network(*arguments)
        batch = jax.vmap(network)(*jax.tree.map(lambda a: jnp.stack([a, a]), arguments))
        gradient = eqx.filter_grad(lambda network: jnp.sum(network(*arguments) ** 2))(network)
        return one, batch, eqx.filter(gradient, eqx.is_array)

    return eqx.filter_vmap(member)(jax.random.split(key, 2))


def test_shapes_batches_gradients_and_members(member):
    spec, arguments, shape = member
    one, batch, gradient = _examine(json.loads(json.dumps(spec)), arguments, jax.random.key(0))
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
        "adaln", "attention", "conv1d", "conv2d", "deepset", "denoiser", "gru", "mlp", "ratio", "resmlp", "velocity"
    }  # fmt: skip
    assert expected <= set(kinds())
