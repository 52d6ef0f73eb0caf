"""Simulators of every kind through the same laws, and what is refused by name."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from quincunx.errors import BatchAxisError, NameMismatch, ShapeMismatch, SimulatorError, UsageError
from quincunx.model import Prior, simulator, wrap

PRIOR = Prior(mu=dist.Normal(0.0, 1.0), scale=dist.Uniform(0.5, 2.0))


@simulator(PRIOR, observables=["first", "second"], units="m")
def bell(theta, *, key, design=None):
    shift = 0.0 if design is None else design["shift"]
    return theta["mu"] + shift + theta["scale"] * jax.random.normal(key, (2,))


@simulator(PRIOR)
def bells(theta, *, keys, design=None):
    noise = jax.vmap(lambda k: jax.random.normal(k, (2,)))(keys)
    shift = 0.0 if design is None else design["shift"][:, None]
    return {"y": theta["mu"][:, None] + shift + theta["scale"][:, None] * noise, "last": noise[:, 1]}


@simulator(PRIOR)
def plain(theta, *, rng, design=None):
    shift = 0.0 if design is None else design["shift"]
    return [theta["mu"] + shift + theta["scale"] * rng.normal(), 3]


@simulator(PRIOR)
def plains(theta, *, rngs, design=None):
    noise = np.array([rng.normal(size=2) for rng in rngs])
    shift = 0.0 if design is None else design["shift"][:, None]
    return theta["mu"][:, None] + shift + theta["scale"][:, None] * noise


MEMBERS = pytest.mark.parametrize("sim", [bell, bells, plain, plains], ids=lambda s: s.name)


@pytest.fixture(scope="module")
def rows():
    return PRIOR.sample(4, key=0), jax.random.split(jax.random.key(1), 4)


@MEMBERS
def test_same_key_and_parameters_give_the_same_outcome(sim):
    theta = PRIOR.sample(key=0)
    first, again, other = (sim(theta, key=k) for k in (3, 3, 4))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert not all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(other)))


@MEMBERS
@pytest.mark.parametrize("design", [None, {"shift": 10.0}, {"shift": np.arange(4.0)}], ids=["none", "fixed", "each"])
def test_a_batch_equals_the_single_calls(sim, rows, design):
    theta, keys = rows
    together = sim.batch(theta, keys=keys, design=design)
    for i in range(4):
        one = {name: value[i] for name, value in theta.items()}
        each = None if design is None else {"shift": np.broadcast_to(design["shift"], 4)[i]}
        alone = sim(one, key=keys[i], design=each)
        jax.tree.map(lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-5, atol=1e-5), together, alone)


@MEMBERS
def test_outcomes_are_float32_with_an_axis(sim):
    x = sim(PRIOR.sample(key=0), key=0)
    assert all(a.dtype == np.float32 and a.ndim >= 1 for a in jax.tree.leaves(x))


@MEMBERS
def test_wrong_parameters_are_refused_by_name(sim, rows):
    theta, keys = rows
    with pytest.raises(NameMismatch, match="sigma"):
        sim({"mu": 0.0, "sigma": 1.0}, key=0)
    with pytest.raises(NameMismatch, match="scale"):
        sim.batch({"mu": theta["mu"]}, keys=keys)
    with pytest.raises(ShapeMismatch, match="'mu'"):
        prior = Prior(mu=dist.Normal(jnp.zeros(2), 1.0), scale=dist.Uniform(0.0, 1.0))
        wrap(sim.function, prior)({"mu": jnp.zeros(3), "scale": 1.0}, key=0)
    with pytest.raises(ShapeMismatch, match="batch"):
        sim(theta, key=0)
    with pytest.raises(ShapeMismatch, match="leading"):
        sim.batch(theta, keys=keys[:3])


def test_the_signature_says_what_it_is():
    assert [(s.kind, s.batched) for s in (bell, bells, plain, plains)] == [
        ("jax", False),
        ("jax", True),
        ("host", False),
        ("host", True),
    ]


def test_names_and_units_reach_the_outcome():
    assert bell.observables == ("first", "second")
    assert bell.units == {"x": "m"}
    assert bells.outcome.shapes == {"last": (1,), "y": (2,)}
    assert repr(plains) == "Simulator(plains: batched host, parameters mu, scale)"


def test_decorating_and_wrapping_are_the_same():
    assert wrap(bell.function, PRIOR, name="other").name == "other"
    np.testing.assert_array_equal(
        wrap(bell.function, PRIOR)(PRIOR.sample(key=0), key=0), bell(PRIOR.sample(key=0), key=0)
    )


@pytest.mark.parametrize(
    "function",
    [lambda theta: 0.0, lambda theta, *, seed: 0.0, lambda theta, *, key, rng: 0.0],
    ids=["none", "seed", "two"],
)
def test_a_signature_without_randomness_is_refused(function):
    with pytest.raises(SimulatorError, match="expected exactly one of key"):
        wrap(function, PRIOR)


def test_a_prior_is_needed():
    from jaxtyping import TypeCheckError

    with pytest.raises((SimulatorError, TypeCheckError)):
        wrap(bell.function, {"mu": 1})


def test_parameters_the_prior_lacks_are_named():
    with pytest.raises(NameMismatch, match=r"(?s)asks for 'mean'.*mu"):
        wrap(lambda theta, *, key: theta["mean"], PRIOR)(PRIOR.sample(key=0), key=0)


def test_a_key_error_of_the_users_own_passes():
    with pytest.raises(KeyError, match="7"):
        wrap(lambda theta, *, rng: {}[7], PRIOR)(PRIOR.sample(key=0), key=0)


def test_settings_are_refused_where_none_are_taken_and_asked_for_where_needed():
    with pytest.raises(UsageError, match="takes none"):
        wrap(lambda theta, *, key: theta["mu"], PRIOR)(PRIOR.sample(key=0), key=0, design={"dose": 1.0})
    with pytest.raises(UsageError, match="needs"):
        wrap(lambda theta, *, key, design: theta["mu"], PRIOR)(PRIOR.sample(key=0), key=0)


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (None, ShapeMismatch),
        ("text", ShapeMismatch),
        ({}, SimulatorError),
        ({1: 0.0}, SimulatorError),
        (1j, ShapeMismatch),
        ([[1.0], [1.0, 2.0]], SimulatorError),
    ],
    ids=repr,
)
def test_outcomes_that_are_no_numbers_are_refused(outcome, error):
    with pytest.raises(error, match="simulator"):
        wrap(lambda theta, *, rng: outcome, PRIOR)(PRIOR.sample(key=0), key=0)


def test_a_batch_of_the_wrong_length_is_refused(rows):
    theta, keys = rows
    with pytest.raises(BatchAxisError, match=r"axis 1 has that length"):
        wrap(lambda theta, *, keys: jnp.stack([theta["mu"], theta["mu"], theta["mu"]]), PRIOR).batch(theta, keys=keys)
    with pytest.raises(BatchAxisError, match="first axis"):
        wrap(lambda theta, *, rngs: 0.0, PRIOR).batch(theta, keys=keys)


@pytest.mark.parametrize("function", [float, np.sin], ids=["float", "numpy"])
def test_plain_python_inside_a_jax_function_is_explained(function):
    with pytest.raises(SimulatorError, match=r"jax\.numpy"):
        _ = wrap(lambda theta, *, key: function(theta["mu"]), PRIOR).outcome
