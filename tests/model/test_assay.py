"""Gold that would be wrong is refused by name before any is mined, and simulation goes on working."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.contrib.control_flow import scan

import quincunx as qx
from quincunx import errors
from quincunx.model import Gold, assay

PRIOR = qx.Prior(a=dist.Uniform(0.5, 1.5))


def normal(name, *parameters):
    return numpyro.sample(name, dist.Normal(*parameters))


def twice(theta):
    normal("z", theta["a"], 1.0)
    return normal("z", 0.0, 1.0)


def unused(theta):
    return normal("x", normal("z", 0.0, 1.0), 1.0)


def cancelled(theta):
    return normal("x", jax.lax.stop_gradient(theta["a"]), 1.0)


def sliding(theta):
    return numpyro.sample("x", dist.Uniform(theta["a"], theta["a"] + 1.0))


def from_a_scale(theta):
    return numpyro.sample("x", dist.Pareto(theta["a"], 2.0))


def pinned(theta):
    return normal("x", numpyro.sample("z", dist.Delta(theta["a"])), 1.0)


def in_a_loop(theta):
    def step(total, _):
        return total + numpyro.sample("u", dist.Uniform(0.0, theta["a"])), None

    return scan(step, 0.0, None, length=3)[0]


def scaled_outside(theta):
    return theta["a"] * normal("z", 0.0, 1.0)


def thresholded(theta):
    return jnp.float32(numpyro.sample("u", dist.Uniform(0.0, 1.0)) < 0.5 * theta["a"])


REFUSED = {
    twice: (errors.DuplicateSite, "'z'"),
    unused: (errors.UnusedParameter, r"no draw of program 'unused' depends on \['a'\]"),
    cancelled: (errors.UnusedParameter, "zero in all of 64"),
    sliding: (errors.MovingSupport, "'x'"),
    from_a_scale: (errors.MovingSupport, "'x'"),
    pinned: (errors.MovingSupport, "'z'"),
    in_a_loop: (errors.MovingSupport, "'u'"),
    scaled_outside: (errors.DirectDependence, r"depends on \['a'\] otherwise than through its draws"),
    thresholded: (errors.DirectDependence, "otherwise than"),
}


@pytest.mark.parametrize("model", REFUSED, ids=lambda model: model.__name__)
def test_a_program_with_wrong_gold_is_refused_by_name_but_can_be_simulated(model):
    simulator = qx.program(PRIOR)(model)
    error, said = REFUSED[model]
    with pytest.raises(error, match=said):
        assay(simulator, key=0)
    assert np.isfinite(simulator({"a": 1.0}, key=0)).all()


def test_a_support_that_follows_a_draw_and_an_outcome_of_draws_alone_are_right():
    @qx.program(PRIOR)
    def follows(theta):
        z = normal("z", theta["a"], 1.0)
        u = numpyro.sample("u", dist.Uniform(z, z + 1.0))
        return jnp.where(u > 0, u, 2.0 * z)

    assay(follows, key=0)


def test_a_conditioned_program_has_no_gold():
    @qx.program(PRIOR, observed="x")
    def chain(theta):
        return normal("x", normal("z", theta["a"], 1.0), 1.0)

    with pytest.raises(errors.UsageError, match="conditioned on"):
        assay(qx.wrap(chain.program.condition({"x": 1.0}), PRIOR), key=0)

    @qx.program(PRIOR)
    def written(theta):
        z = normal("z", theta["a"], 1.0)
        numpyro.sample("y", dist.Normal(theta["a"], 1.0), obs=2.0)
        return z

    with pytest.raises(errors.UsageError, match=r"conditioned on \['y'\]"):
        assay(written, key=0)
    with pytest.raises(errors.NoGold, match="tells nothing"):
        assay(qx.wrap(lambda theta, *, key: theta["a"], PRIOR, name="plain"), key=0)


def told(log_prob):
    """A simulator z ~ U(0, 1), x = z, which says of itself what it is told to."""

    def trace(theta, *, key):
        z = jax.random.uniform(key)
        return z[None], z

    return qx.wrap(lambda theta, *, key: trace(theta, key=key)[0], PRIOR, name="told", gold=Gold(trace, log_prob))


def test_gold_that_is_not_a_programs_is_tried_as_well():
    assay(told(lambda theta, x, z: jnp.log(theta["a"]) - theta["a"] * z), key=0)
    refused = [
        (lambda theta, x, z: jnp.log(z - 0.5) * theta["a"], errors.NonFiniteGold, "log-probability is not finite"),
        (lambda theta, x, z: jnp.sqrt(0.0 * theta["a"]) + theta["a"] * z, errors.NonFiniteGold, "score of 'a'"),
        (lambda theta, x, z: -z, errors.UnusedParameter, r"\['a'\]"),
    ]
    for log_prob, error, said in refused:
        with pytest.raises(error, match=said):
            assay(told(log_prob), key=3)


def test_it_is_done_once(monkeypatch):
    simulator = told(lambda theta, x, z: -theta["a"] * z)
    assay(simulator, key=0)

    def again(*_):
        raise AssertionError("tried a second time")

    monkeypatch.setattr(sys.modules["quincunx.model.assay"], "_told", again)
    assay(simulator, key=1)
    narrower = qx.wrap(simulator.function, PRIOR.truncate(a=(0.6, None)), name="told", gold=simulator.gold)
    with pytest.raises(AssertionError, match="second time"):
        assay(narrower, key=0)
