"""Chunks: within the memory, little waste, a memory of what is inside loops."""

import jax
import jax.numpy as jnp
import pytest

from quincunx.run.chunks import chunk_size, working_bytes


@pytest.mark.parametrize("n", [1, 7, 100, 1500, 10_000, 99_999, 1_000_000])
@pytest.mark.parametrize("each", [8, 1000, 10**6, 10**10])
def test_within_memory_and_with_little_waste(n, each):
    size = chunk_size(n, each, 2**28)
    assert size & (size - 1) == 0
    assert size == 1 or size * each <= 2**28 or (n <= 1024 and size <= 1024 and size // 2 * each <= 2**28)
    chunks = -(-n // size)
    assert size <= 1024 or chunks * size <= 1.125 * n or n <= 1024


def test_arrays_inside_loops_are_seen():
    def loop(a):
        return jax.lax.scan(lambda c, _: (c + jnp.ones((1000, 100)).sum(), None), a, None, length=3)[0]

    assert working_bytes(jax.make_jaxpr(loop)(0.0)) >= 4 * 1000 * 100 * 4
    assert working_bytes(jax.make_jaxpr(jax.jit(loop))(0.0)) >= 4 * 1000 * 100 * 4
