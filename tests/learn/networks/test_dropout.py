"""Dropout acts in training only."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quincunx.errors import UsageError
from quincunx.learn.build import build


@pytest.mark.parametrize("kind", ["mlp", "resmlp"])
def test_dropout_needs_a_key_and_respects_inference(kind):
    network = build({"kind": kind, "in_size": 3, "out_size": 2, "width": 16, "dropout": 0.5}, key=jax.random.key(0))
    x, key = jnp.ones(3), jax.random.key(1)
    assert float(jnp.max(jnp.abs(network(x, key=key) - network(x)))) > 1e-4
    np.testing.assert_array_equal(eqx.nn.inference_mode(network)(x, key=key), network(x))


def test_a_zero_last_layer_starts_at_zero_and_an_unknown_activation_is_refused():
    spec = {"kind": "mlp", "in_size": 3, "out_size": 2, "zero_last": True}
    assert build(spec, key=jax.random.key(0))(jnp.ones(3)).tolist() == [0.0, 0.0]
    with pytest.raises(UsageError, match="expected one of"):
        build(spec | {"activation": "sillu"}, key=jax.random.key(0))(jnp.ones(3))
