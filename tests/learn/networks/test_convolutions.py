"""Convolutions: the windows against the primitive, causality, any size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quincunx.learn.build import build
from quincunx.learn.compiler import quick_jit
from quincunx.learn.networks.windows import pool_to, windows_1d, windows_2d


@pytest.mark.parametrize(("kernel", "dilation", "causal"), [(3, 1, False), (3, 4, False), (2, 2, True), (4, 1, False)])
def test_windows_times_a_matrix_is_a_convolution(kernel, dilation, causal):
    x = jax.random.normal(jax.random.key(0), (9, 2))
    weight = jax.random.normal(jax.random.key(1), (kernel, 2, 5))
    reach = (kernel - 1) * dilation
    before = reach if causal else reach // 2
    expected = jax.lax.conv_general_dilated(
        x[None],
        weight,
        (1,),
        [(before, reach - before)],
        rhs_dilation=(dilation,),
        dimension_numbers=("NWC", "WIO", "NWC"),
    )[0]
    got = windows_1d(x, kernel=kernel, dilation=dilation, causal=causal) @ weight.reshape(-1, 5)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_square_windows_times_a_matrix_is_a_convolution():
    x = jax.random.normal(jax.random.key(0), (5, 7, 2))
    weight = jax.random.normal(jax.random.key(1), (3, 3, 2, 4))
    expected = jax.lax.conv_general_dilated(x[None], weight, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    np.testing.assert_allclose(windows_2d(x, kernel=3) @ weight.reshape(-1, 4), expected[0], atol=1e-5)


@pytest.mark.parametrize("length", [1, 3, 4, 7])
def test_pooling_covers_everything_evenly(length):
    x = jnp.arange(1.0, length + 1)
    pooled = pool_to(x, 4)
    assert pooled.shape == (4,) and bool((jnp.diff(pooled) >= 0).all())
    assert float(jnp.mean(pooled)) == pytest.approx(float(jnp.mean(x)), rel=1e-5)


def test_causal_features_depend_on_the_past_only_and_the_others_do_not():
    x = jnp.asarray(np.random.default_rng(2).normal(size=10), jnp.float32)
    changed = x.at[6:].add(1.0)
    for causal in (True, False):
        network = build(
            {"kind": "conv1d", "out_size": 1, "width": 4, "depth": 2, "causal": causal}, key=jax.random.key(0)
        )
        features = quick_jit(network.features)
        before, after = features(x)[:6], features(changed)[:6]
        assert bool(jnp.array_equal(before, after)) is causal


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        ({"kind": "conv1d", "out_size": 2, "width": 4, "depth": 2, "stride": 3}, (1,)),
        ({"kind": "conv1d", "out_size": 2, "width": 4, "depth": 2, "stride": 3}, (10,)),
        ({"kind": "conv2d", "out_size": 2, "width": 4, "depth": 2}, (1, 1)),
        ({"kind": "conv2d", "out_size": 2, "width": 4, "depth": 2}, (1, 6)),
    ],
)
def test_any_size(spec, shape):
    network = build(spec, key=jax.random.key(0))
    assert bool(jnp.isfinite(quick_jit(network.__call__)(jnp.ones(shape))).all())
