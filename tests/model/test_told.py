"""Gold that a plain simulator tells: taken out of the outcome, and refused by name where it is not what was declared."""

import json

import numpy as np
import numpyro.distributions as dist
import pytest

from quincunx.errors import NameMismatch, ShapeMismatch, SimulatorError, UsageError
from quincunx.model import Prior, Told, probe, wrap

from ..gold_toys import AT, FOREIGN, PRIOR, TOGETHER, TOLD


def returning(**entries):
    def returns(theta, *, rng):
        return {"x": rng.normal(size=2), **entries}

    return returns


def test_gold_is_no_part_of_the_outcome():
    for simulator in (FOREIGN, TOGETHER):
        assert simulator.observables == ("x[0]",) and simulator.outcome.names == ("x",)
        assert set(simulator({"mu": 0.0}, key=0)) == {"x"} and probe(simulator, key=0).dim == 1
    assert FOREIGN.outcome.check({"x": [1.0]})[1] is False


def test_it_travels_as_plain_data():
    assert Told(**json.loads(json.dumps(TOLD.to_spec()))) == TOLD
    assert hash(TOLD) == hash(Told("slope", "terms", list(AT)))
    np.testing.assert_array_equal(TOLD.points(PRIOR)[:, 0], [-1.0, 0.0, 2.0])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "without an entry"),
        ({"score": "a", "log_probs": "a", "at": AT}, "two entries"),
        ({"log_probs": "terms"}, "at which points"),
        ({"score": "slope", "at": AT}, "at which points"),
    ],
)
def test_declarations_that_make_no_sense(options, said):
    with pytest.raises(UsageError, match=said):
        Told(**options)


def test_points_are_the_priors_whatever_their_order():
    prior = Prior(a=dist.Normal(0.0, 1.0), b=dist.Normal(0.0, 1.0))
    told = Told(log_probs="terms", at=[{"b": 2.0, "a": 1.0}, {"a": 3.0, "b": 4.0}])
    np.testing.assert_array_equal(told.points(prior), [[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(NameMismatch, match="missing \\['mu'\\], unknown \\['a', 'b'\\]"):
        wrap(returning(), PRIOR, gold=told)


@pytest.mark.parametrize(
    ("entries", "error", "said"),
    [
        ({"terms": np.zeros(3)}, NameMismatch, r"expected a dict with \['slope'\]"),
        ({"slope": 0.0}, NameMismatch, r"expected a dict with \['terms'\]"),
        ({"slope": np.zeros(2), "terms": np.zeros(3)}, ShapeMismatch, r"'slope' of shape \(2,\); expected \(1,\)"),
        ({"slope": 0.0, "terms": np.zeros(2)}, ShapeMismatch, r"'terms' of shape \(2,\); expected \(3,\)"),
        ({"slope": 0.0, "terms": np.zeros((3, 1))}, ShapeMismatch, "a log-probability for each point"),
        ({"slope": "steep", "terms": np.zeros(3)}, ShapeMismatch, "not an array of numbers"),
    ],
)
def test_what_is_not_as_declared_is_refused_at_the_door(entries, error, said):
    with pytest.raises(error, match=said):
        probe(wrap(returning(**entries), PRIOR, gold=TOLD), key=0)


def test_an_array_alone_nothing_but_gold_and_jax_are_refused():
    with pytest.raises(NameMismatch, match="returned a ndarray"):
        probe(wrap(lambda theta, *, rng: np.zeros(2), PRIOR, gold=TOLD), key=0)
    with pytest.raises(SimulatorError, match="nothing but gold"):
        probe(wrap(lambda theta, *, rng: {"slope": 0.0}, PRIOR, gold=Told(score="slope")), key=0)
    with pytest.raises(SimulatorError, match="JAX takes the derivatives"):
        wrap(lambda theta, *, key: theta["mu"], PRIOR, gold=TOLD)
