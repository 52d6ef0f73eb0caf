"""Networks of sets and sequences: permutations, masks, lengths, causality."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quincunx.learn.build import build

SPECS = {
    "deepset": {"kind": "deepset", "in_size": 2, "out_size": 3, "width": 8, "depth": 1},
    "set-attention": {
        "kind": "attention", "in_size": 2, "out_size": 3, "width": 8, "heads": 2, "depth": 1, "position": False
    },
    "attention": {"kind": "attention", "in_size": 2, "out_size": 3, "width": 8, "heads": 2, "depth": 1},
    "gru": {"kind": "gru", "in_size": 2, "out_size": 3, "width": 8},
}  # fmt: skip


@pytest.fixture(scope="module")
def networks():
    return {name: build(spec, key=jax.random.key(3)) for name, spec in SPECS.items()}


@pytest.fixture(scope="module")
def events():
    return jax.random.normal(jax.random.key(4), (6, 2))


@pytest.mark.parametrize("name", ["deepset", "set-attention"])
def test_the_order_of_a_set_does_not_matter(networks, events, name):
    shuffled = events[jnp.array([3, 0, 5, 1, 4, 2])]
    np.testing.assert_allclose(networks[name](events), networks[name](shuffled), atol=1e-5)


@pytest.mark.parametrize("name", ["attention", "gru"])
def test_the_order_of_a_sequence_matters(networks, events, name):
    assert float(jnp.max(jnp.abs(networks[name](events) - networks[name](events[::-1])))) > 1e-4


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("filler", [0.0, 1e6, jnp.nan])
def test_padding_never_matters(networks, events, name, filler):
    padded = jnp.concatenate([events[:4], jnp.full((2, 2), filler)])
    mask = jnp.arange(6) < 4

    def total(network, x):
        return jnp.sum(network(x) ** 2), network(x)

    (_, with_padding), gradient = eqx.filter_value_and_grad(total, has_aux=True)(
        networks[name], {"events": padded, "mask": mask}
    )
    np.testing.assert_allclose(with_padding, networks[name](events[:4]), atol=1e-5)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize("name", SPECS)
def test_a_set_of_one_and_an_empty_set_are_finite(networks, events, name):
    for n in (0, 1):
        out = networks[name]({"events": events, "mask": jnp.arange(6) < n})
        assert bool(jnp.isfinite(out).all())


def test_the_deep_set_sees_how_many_events_there_are(networks, events):
    twice = jnp.concatenate([events, events])
    assert float(jnp.max(jnp.abs(networks["deepset"](events) - networks["deepset"](twice)))) > 1e-4


def test_a_recurrent_state_depends_on_the_past_only(networks, events):
    changed = events.at[4:].set(9.0)
    before, after = networks["gru"].states(events), networks["gru"].states(changed)
    np.testing.assert_array_equal(before[:4], after[:4])
    assert bool(jnp.any(before[4:] != after[4:]))
