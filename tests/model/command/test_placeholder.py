"""Templates: strict, and exact to the last bit."""

import locale

import numpy as np
import pytest

from quincunx.errors import ShapeMismatch, UnknownPlaceholder
from quincunx.model.command.placeholder import columns, placeholders, render, say


def test_every_double_comes_back_as_it_was():
    rng = np.random.default_rng(0)
    for value in [
        *rng.normal(size=200) * 10.0 ** rng.integers(-300, 300, 200),
        0.1,
        -0.0,
        5e-324,
        1.7976931348623157e308,
    ]:
        assert float(say(value, "a")).hex() == float(value).hex()


def test_single_precision_is_written_exactly():
    value = np.float32(0.1)
    assert np.float32(float(say(value, "a"))) == value and float(say(value, "a")) == float(value)


def test_numbers_do_not_follow_the_locale():
    before = locale.setlocale(locale.LC_ALL)
    try:
        for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "C"):
            try:
                locale.setlocale(locale.LC_ALL, name)
            except locale.Error:
                continue
            assert say(1234.5, "a") == "1234.5"
    finally:
        locale.setlocale(locale.LC_ALL, before)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_by_name(value):
    with pytest.raises(ShapeMismatch, match="beta = "):
        say(value, "beta")


def test_arrays_go_by_column():
    assert columns({"m": np.arange(4).reshape(2, 2)}) == {"m[0,0]": "0", "m[0,1]": "1", "m[1,0]": "2", "m[1,1]": "3"}
    assert render("{v[1]}", columns({"v": np.array([0.5, 0.25])}), "argv") == "0.25"


def test_an_unknown_placeholder_lists_what_there_is():
    with pytest.raises(UnknownPlaceholder, match=r"\{gamm\} in argv; expected one of \{beta\}, \{gamma\}"):
        render("{gamm}", {"beta": "1", "gamma": "2"}, "argv")


@pytest.mark.parametrize("template", ["{", "}", "a { b", "{beta", "beta}", "{{}"])
def test_a_lone_brace_is_refused_with_its_line(template):
    with pytest.raises(UnknownPlaceholder, match=r"lone.*line 2.*double"):
        placeholders(f"first\n{template}", "the card")


def test_doubled_braces_are_braces_and_are_not_looked_into():
    assert render("{{beta}} {beta} {{{beta}}}", {"beta": "1"}, "argv") == "{beta} 1 {1}"
