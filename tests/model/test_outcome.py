"""Outcomes: flat views, and observations that do not fit."""

import jax.numpy as jnp
import numpy as np
import pytest

from quincunx.errors import NameMismatch, NonFiniteObservation, ShapeMismatch
from quincunx.model.outcome import Outcome, flatten_outcome
from quincunx.values import load, save

KEYED = Outcome.of({"b": np.zeros(2), "a": np.zeros((2, 2))}, units={"a": "m"})


def test_columns_follow_the_sorted_entries():
    assert KEYED.columns == ("a[0,0]", "a[0,1]", "a[1,0]", "a[1,1]", "b[0]", "b[1]")
    assert KEYED.dim == 6 and KEYED.units == {"a": "m"}


def test_flat_and_back():
    flat = np.arange(18.0).reshape(3, 6)
    x = KEYED.unflatten(flat)
    assert x["a"].shape == (3, 2, 2)
    np.testing.assert_array_equal(KEYED.flatten(x, 1), flat)
    assert isinstance(flatten_outcome(jnp.zeros((3, 2, 2)), 1), jnp.ndarray)


def test_a_flat_array_is_not_copied():
    x = np.zeros((5, 3), np.float32)
    assert np.shares_memory(flatten_outcome(x, 1), x)


@pytest.mark.parametrize(
    ("observables", "columns"),
    [("y", ("y[0]", "y[1]")), (["h", "m"], ("h", "m")), (None, ("x[0]", "x[1]"))],
)
def test_observables_name_the_numbers(observables, columns):
    assert Outcome.of(np.zeros(2), observables=observables).columns == columns


def test_entries_of_a_dict_may_be_named_each():
    outcome = Outcome.of({"a": np.zeros(2), "b": np.zeros(1)}, observables={"a": ["p", "q"], "b": ["r"]})
    assert outcome.columns == ("p", "q", "r")


@pytest.mark.parametrize("observables", [["h"], ["h", "h"], ["a", "b", "c"]])
def test_observables_that_do_not_fit_are_refused(observables):
    with pytest.raises(NameMismatch, match="expected 2"):
        Outcome.of(np.zeros(2), observables=observables)


def test_units_of_nothing_are_refused():
    with pytest.raises(NameMismatch, match="'z'"):
        Outcome.of(np.zeros(2), units={"z": "m"})


def test_observations_and_sets_of_them():
    outcome = Outcome.of(np.zeros(2))
    x, events = outcome.check([1, 2])
    assert x.dtype == np.float32 and x.shape == (2,) and not events
    x, events = outcome.check(np.ones((7, 2)))
    assert x.shape == (7, 2) and events
    single = Outcome.of(np.zeros(1))
    assert single.check(3.0)[0].shape == (1,)
    assert single.check([1.0, 2.0, 3.0])[0].shape == (3, 1)
    assert single.check([1.0])[1] is False
    x, events = KEYED.check({"a": np.ones((4, 2, 2)), "b": np.ones((4, 2))})
    assert events and x["b"].shape == (4, 2)


@pytest.mark.parametrize("wrong", [np.zeros(3), np.zeros((2, 3)), np.zeros((1, 1, 2)), 1.0, "text", [[1, 2], [3]]])
def test_an_observation_of_the_wrong_shape_is_refused(wrong):
    with pytest.raises(ShapeMismatch, match="expected"):
        Outcome.of(np.zeros(2)).check(wrong)


def test_different_numbers_of_events_are_refused():
    with pytest.raises(ShapeMismatch, match="events"):
        KEYED.check({"a": np.ones((4, 2, 2)), "b": np.ones((3, 2))})


@pytest.mark.parametrize("wrong", [np.zeros(6), {"a": np.zeros((2, 2))}, {"a": np.zeros((2, 2)), "c": np.zeros(2)}])
def test_wrong_entries_are_named(wrong):
    with pytest.raises(NameMismatch, match="b"):
        KEYED.check(wrong)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused_with_their_columns(bad):
    with pytest.raises(NonFiniteObservation, match=r"b\[1\]"):
        KEYED.check({"a": np.zeros((2, 2)), "b": np.array([0.0, bad])})
    KEYED.check({"a": np.zeros((2, 2)), "b": np.array([0.0, bad])}, finite=False)


def test_what_is_written_is_read_back(tmp_path):
    assert load(save(KEYED, tmp_path / "o.qx")) == KEYED


def test_scalar_entries():
    outcome = Outcome.of({"n": np.zeros(()), "v": np.zeros(2)})
    assert outcome.columns == ("n", "v[0]", "v[1]")
    assert outcome.unflatten(np.zeros((5, 3)))["n"].shape == (5,)
