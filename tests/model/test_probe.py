"""The look at the door: every mistake by its name."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from quincunx.errors import (
    AllSimulationsFailed,
    BatchAxisError,
    ConstantColumnWarning,
    NameMismatch,
    PromotionWarning,
    QuincunxWarning,
    ShapeMismatch,
    SimulatorError,
)
from quincunx.model import Prior, probe, wrap

PRIOR = Prior(mu=dist.Normal(0.0, 1.0), v=dist.Normal(jnp.zeros(2), 1.0))


def noise(keys, shape=()):
    return jax.vmap(lambda k: jax.random.normal(k, shape))(keys)


GOOD = {
    "jax": lambda theta, *, key: theta["mu"] + jax.random.normal(key, (2,)),
    "jax batch": lambda theta, *, keys: theta["mu"][:, None] + noise(keys, (2,)),
    "host": lambda theta, *, rng: theta["mu"] + rng.normal(size=2),
    "host batch": lambda theta, *, rngs: theta["mu"][:, None] + np.array([rng.normal(size=2) for rng in rngs]),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_simulators_pass_in_silence(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert probe(wrap(GOOD[name], PRIOR), key=0).shapes == {"x": (2,)}


# The permutation trap: outcomes as long as the batch, in the wrong order or shared.
MIXED = {
    "transposed": lambda theta, *, keys: jnp.stack([theta["mu"], noise(keys), noise(keys)]),
    "one number for all": lambda theta, *, keys: theta["mu"].mean() + noise(keys[:1]),
    "standardised over the batch": lambda theta, *, keys: ((theta["mu"] - theta["mu"].mean()) + 0 * noise(keys))[
        :, None
    ],
    "shared key": lambda theta, *, keys: theta["mu"][:, None] + jax.random.normal(keys[0], (len(keys), 2)),
    "square": lambda theta, *, keys: theta["mu"][None, :] + noise(keys)[:, None],
    "reversed": lambda theta, *, keys: theta["mu"][::-1, None] + noise(keys, (2,)),
    "reshaped": lambda theta, *, keys: theta["v"].T.reshape(-1, 2) + noise(keys, (2,)),
    "cumulative": lambda theta, *, keys: jnp.cumsum(theta["mu"])[:, None] + noise(keys, (1,)),
    "host shared": lambda theta, *, rngs: theta["mu"][:, None] + rngs[0].normal(size=(len(rngs), 2)),
    "host sorted": lambda theta, *, rngs: (
        np.sort(theta["mu"])[:, None] + np.array([rng.normal(size=1) for rng in rngs])
    ),
}


@pytest.mark.parametrize("name", MIXED)
def test_mixed_up_batch_axes_are_refused(name):
    with pytest.raises(BatchAxisError, match="expected"):
        probe(wrap(MIXED[name], PRIOR), key=0)


@pytest.mark.parametrize(
    "function",
    [
        lambda theta, *, key: theta["mu"] + jax.random.normal(key),
        lambda theta, *, keys: theta["mu"] + noise(keys),
        lambda theta, *, rng: theta["mu"] + rng.normal(),
        lambda theta, *, rngs: theta["mu"] + np.array([rng.normal() for rng in rngs]),
    ],
    ids=["jax", "jax batch (N,)", "host", "host batch (N,)"],
)
def test_single_numbers_are_promoted_with_a_note(function):
    with pytest.warns(PromotionWarning, match=r"\(1,\)"):
        assert probe(wrap(function, PRIOR), key=0).shapes == {"x": (1,)}


@pytest.mark.parametrize(
    "function",
    [lambda theta, *, key: jax.random.poisson(key, 3.0, (2,)), lambda theta, *, rng: rng.poisson(3.0, 2)],
    ids=["jax", "host"],
)
def test_integers_are_converted_with_a_note(function):
    with pytest.warns(PromotionWarning, match="int"):
        probe(wrap(function, PRIOR), key=0)


@pytest.mark.parametrize("dtype", [jnp.complex64])
def test_complex_numbers_are_refused(dtype):
    with pytest.raises(ShapeMismatch, match="complex"):
        probe(wrap(lambda theta, *, key: theta["v"].astype(dtype), PRIOR), key=0)


def test_nan_everywhere_is_refused_with_its_columns():
    with pytest.raises(AllSimulationsFailed, match=r"x\[1\]"):
        probe(wrap(lambda theta, *, key: theta["v"] * jnp.array([1.0, jnp.nan]), PRIOR), key=0)


def test_constant_columns_are_named():
    with pytest.warns(ConstantColumnWarning, match=r"x\[0\] = 5"):
        probe(wrap(lambda theta, *, key: jnp.array([5.0, 0.0]) + theta["mu"] * jnp.array([0.0, 1.0]), PRIOR), key=0)


@pytest.mark.parametrize("kind", ["key", "rng"])
def test_other_names_are_refused(kind):
    functions = {
        "key": lambda theta, *, key: theta["mean"] + jax.random.normal(key, (2,)),
        "rng": lambda theta, *, rng: theta["mean"] + rng.normal(size=2),
    }
    with pytest.raises(NameMismatch, match=r"(?s)'mean'.*'mu'"):
        probe(wrap(functions[kind], PRIOR), key=0)


def test_other_dimensions_are_refused():
    with pytest.raises(SimulatorError, match=r"(?s)raised.*v \(2,\)"):
        probe(wrap(lambda theta, *, key: theta["v"] @ jnp.ones((3, 2)), PRIOR), key=0)


def test_a_simulator_that_always_raises_is_refused_with_what_it_says():
    def broken(theta, *, rng):
        raise RuntimeError("no convergence")

    with pytest.raises(AllSimulationsFailed, match="no convergence"):
        probe(wrap(broken, PRIOR), key=0)


def test_one_that_sometimes_raises_is_tried_again():
    def moody(theta, *, rng):
        if rng.random() < 0.9:
            raise RuntimeError("no convergence")
        return rng.normal(size=2)

    assert probe(wrap(moody, PRIOR), key=0).dim == 2


def test_randomness_from_elsewhere_is_noticed():
    with pytest.warns(QuincunxWarning, match="rng"):
        probe(wrap(lambda theta, *, rng: np.random.default_rng().normal(size=2), PRIOR), key=0)


def test_settings_of_one_simulation_and_priors_over_them():
    sim = wrap(lambda theta, *, keys, design: theta["mu"][:, None] * design["t"] + noise(keys, (5,)), PRIOR)
    assert probe(sim, key=0, design={"t": np.arange(5.0)}).dim == 5
    one = wrap(lambda theta, *, key, design: theta["mu"] + design["t"] + jax.random.normal(key, (2,)), PRIOR)
    assert probe(one, key=0, design=Prior(t=dist.Uniform(0.0, 1.0))).dim == 2


def test_one_trace_serves_all():
    traces = []

    def counted(theta, *, key):
        traces.append(1)
        return theta["mu"] + jax.random.normal(key, (2,))

    sim = wrap(counted, PRIOR)
    probe(sim, key=0)
    once = len(traces)
    probe(sim, key=1)
    assert len(traces) == once
