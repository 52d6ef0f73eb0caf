"""Every refusal is one class of one room, and says what to do."""

import inspect
import warnings

import pytest

from quincunx import errors

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if c.__module__.startswith(errors.__name__)]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_every_class_is_public_documented_and_of_the_family(cls):
    assert cls.__name__ in errors.__all__
    assert cls.__doc__
    assert issubclass(cls, errors.QuincunxError) != issubclass(cls, errors.QuincunxWarning)
    assert cls.__name__.endswith("Warning") == issubclass(cls, Warning)


def test_all_names_exist_once():
    assert len(set(errors.__all__)) == len(errors.__all__) == len(CLASSES)


def test_missing_extra_says_how_to_install():
    assert "pip install 'quincunx[bench]'" in str(errors.MissingExtra("bench"))


def test_interrupted_carries_the_command_that_goes_on():
    error = errors.Interrupted("stopped", resume="quincunx resume out")
    assert error.resume == "quincunx resume out"
    assert "quincunx resume out" in str(error)


def test_warnings_can_be_silenced_together():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", errors.QuincunxWarning)
        warnings.warn("x", errors.FailureWarning, stacklevel=1)
