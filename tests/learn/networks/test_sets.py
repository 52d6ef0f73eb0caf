"""Networks of sets and sequences: permutations, masks, lengths, causality."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quincunx.learn.build import build
from quincunx.learn.compiler import quick_jit

SPECS = {
    "deepset": {"kind": "deepset", "in_size": 2, "out_size": 3, "width": 8, "depth": 1},
    "set-attention": {
        "kind": "attention", "in_size": 2, "out_size": 3, "width": 8, "heads": 2, "depth": 1, "position": False
    },
    "attention": {"kind": "attention", "in_size": 2, "out_size": 3, "width": 8, "heads": 2, "depth": 1},
    "gru": {"kind": "gru", "in_size": 2, "out_size": 3, "width": 8},
}  # fmt: skip
EVENTS = np.random.default_rng(4).normal(size=(6, 2)).astype(np.float32)
# what stands in the masked rows, and how many rows are not masked
CASES = ((0.0, 4), (1e6, 4), (np.nan, 4), (np.nan, 1), (np.nan, 0))


@quick_jit
def _padded(network, events, mask):
    """Outputs, and gradients of their squares, for many (events, mask) of one length."""

    def one(events, mask):
        def total(network):
            out = network({"events": events, "mask": mask})
            return jnp.sum(out**2), out

        (_, out), gradient = eqx.filter_value_and_grad(total, has_aux=True)(network)
        return out, eqx.filter(gradient, eqx.is_array)

    return jax.vmap(one)(events, mask)


@pytest.fixture(scope="module")
def outputs():
    """For each network: the output of an unmasked set, and the outputs and gradients of the CASES."""
    found = {}
    plain = quick_jit(lambda network, events: network(events))
    for name, spec in SPECS.items():
        network = build(spec, key=jax.random.key(3))
        masks = np.stack([np.arange(6) < n for _, n in CASES])
        events = np.stack(
            [np.where(mask[:, None], EVENTS, filler) for mask, (filler, _) in zip(masks, CASES, strict=True)]
        )
        orders = {"as is": EVENTS, "shuffled": EVENTS[[3, 0, 5, 1, 4, 2]], "reversed": EVENTS[::-1].copy()}
        found[name] = {k: plain(network, jnp.asarray(v)) for k, v in orders.items()}
        found[name]["four"] = plain(network, jnp.asarray(EVENTS[:4]))
        found[name]["twice"] = plain(network, jnp.asarray(np.concatenate([EVENTS, EVENTS])))
        found[name]["padded"], found[name]["gradient"] = _padded(network, jnp.asarray(events), jnp.asarray(masks))
    return found


@pytest.mark.parametrize("name", ["deepset", "set-attention"])
def test_the_order_of_a_set_does_not_matter(outputs, name):
    np.testing.assert_allclose(outputs[name]["as is"], outputs[name]["shuffled"], atol=1e-5)


@pytest.mark.parametrize("name", ["attention", "gru"])
def test_the_order_of_a_sequence_matters(outputs, name):
    assert float(jnp.max(jnp.abs(outputs[name]["as is"] - outputs[name]["reversed"]))) > 1e-4


@pytest.mark.parametrize("name", SPECS)
def test_padding_never_matters(outputs, name):
    for padded in outputs[name]["padded"][:3]:
        np.testing.assert_allclose(padded, outputs[name]["four"], atol=1e-5)


@pytest.mark.parametrize("name", SPECS)
def test_values_and_gradients_are_finite_down_to_the_empty_set(outputs, name):
    for leaf in [outputs[name]["padded"], *jax.tree.leaves(outputs[name]["gradient"])]:
        assert bool(jnp.isfinite(leaf).all())


def test_the_deep_set_sees_how_many_events_there_are(outputs):
    assert float(jnp.max(jnp.abs(outputs["deepset"]["as is"] - outputs["deepset"]["twice"]))) > 1e-4


def test_a_recurrent_state_depends_on_the_past_only():
    network = build(SPECS["gru"], key=jax.random.key(3))
    states = quick_jit(lambda events: network.states(events))
    before, after = states(jnp.asarray(EVENTS)), states(jnp.asarray(EVENTS).at[4:].set(9.0))
    np.testing.assert_array_equal(before[:4], after[:4])
    assert bool(jnp.any(before[4:] != after[4:]))
