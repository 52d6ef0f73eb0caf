"""Observations from files, and every way a file can be wrong."""

import json

import jax
import numpy as np
import numpyro.distributions as dist
import pytest

from quincunx.errors import DataFileError, NameMismatch, NonFiniteObservation, ShapeMismatch, UnsafeFile
from quincunx.model import Outcome, Prior, wrap
from quincunx.run import read_observation

SERIES = Outcome.of(np.zeros(3), observables="in_bed")
PAIR = Outcome.of(np.zeros(2), observables=["height", "mass"])
MATRIX = Outcome.of(np.zeros((3, 2)), observables="y")
KEYED = Outcome.of({"a": np.zeros(3), "b": np.zeros(3)})


@pytest.fixture
def write(tmp_path):
    def put(text, name="o.csv"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return put


@pytest.mark.parametrize(
    ("text", "outcome", "expected"),
    [
        ("day,in_bed\n1,3\n2,8\n3,26\n", SERIES, [3, 8, 26]),
        ("# a note\nin_bed\n3\n\n8\n26\n", SERIES, [3, 8, 26]),
        ("in_bed[0],in_bed[1],in_bed[2]\n3,8,26\n", SERIES, [3, 8, 26]),
        ("3,8,26\n", SERIES, [3, 8, 26]),
        ("3\n8\n26\n", SERIES, [3, 8, 26]),
        ("mass;name;height\n70;x;1.8\n", PAIR, [1.8, 70]),
        ("mass,height\n70,1.8\n80,1.9\n", PAIR, [[1.8, 70], [1.9, 80]]),
        ("1.8\t70\n1.9\t80\n1.7\t60\n", PAIR, [[1.8, 70], [1.9, 80], [1.7, 60]]),
        ('y[0],y[1]\n1,2\n"3",4\n5,6\n', MATRIX, [[1, 2], [3, 4], [5, 6]]),
        ("whatever\n1\n2\n3\n", Outcome.of(np.zeros(3)), [1, 2, 3]),
        ("\ufeffin_bed\n3\n8\n26\n", SERIES, [3, 8, 26]),
    ],
)
def test_csv(write, text, outcome, expected):
    np.testing.assert_allclose(read_observation(write(text), outcome), np.float32(expected))


def test_csv_by_name_into_a_dict(write):
    x = read_observation(write("t,b,a\n0,4,1\n1,5,2\n2,6,3\n"), KEYED)
    np.testing.assert_array_equal(x["a"], [1, 2, 3])
    np.testing.assert_array_equal(x["b"], [4, 5, 6])


def test_spaces_in_a_text_file(write):
    np.testing.assert_array_equal(read_observation(write("3 8 26\n", "o.txt"), SERIES), [3, 8, 26])


def test_a_simulator_says_what_is_expected(write):
    sim = wrap(
        lambda theta, *, key: theta["a"] + jax.random.normal(key, (3,)), Prior(a=dist.Normal(0.0, 1.0)), observables="y"
    )
    np.testing.assert_array_equal(read_observation(write("y\n1\n2\n3\n"), sim), [1, 2, 3])


def test_json_and_arrays(write, tmp_path):
    np.testing.assert_array_equal(read_observation(write("[3, 8, 26]", "o.json"), SERIES), [3, 8, 26])
    x = read_observation(write(json.dumps({"a": [1, 2, 3], "b": [4, 5, 6]}), "k.json"), KEYED)
    np.testing.assert_array_equal(x["b"], [4, 5, 6])
    np.save(tmp_path / "o.npy", np.arange(3))
    np.testing.assert_array_equal(read_observation(tmp_path / "o.npy", SERIES), [0, 1, 2])
    np.savez(tmp_path / "o.npz", a=np.zeros(3), b=np.ones(3))
    assert set(read_observation(tmp_path / "o.npz", KEYED)) == {"a", "b"}


@pytest.mark.parametrize(
    ("text", "outcome", "error", "said"),
    [
        ("day,beds\n1,3\n2,8\n3,26\n", SERIES, DataFileError, "'in_bed'"),
        ("height\n1.8\n", PAIR, DataFileError, "missing: 'mass'"),
        ("a\n1\n2\n3\n", KEYED, DataFileError, "'b'"),
        ("day,in_bed\n1,3\n2,lots\n3,26\n", SERIES, DataFileError, "line 3, column 'in_bed': got 'lots'"),
        ("day,in_bed\n1,3\n2,1_0\n3,26\n", SERIES, DataFileError, "line 3, column 'in_bed'"),
        (
            "# note\n\nday,in_bed\n1,3\n2,\n3,26\n",
            SERIES,
            NonFiniteObservation,
            "line 5, column 'in_bed': got an empty",
        ),
        ("day,in_bed\n1,3\n2,NaN\n3,26\n", SERIES, NonFiniteObservation, "line 3, column 'in_bed': got NaN"),
        ("mass,height\n70,inf\n", PAIR, NonFiniteObservation, "line 2, column 'height'"),
        ("day,in_bed\n1,3\n2\n3,26\n", SERIES, DataFileError, "line 3: got 1 cells; expected 2"),
        ("in_bed,in_bed\n1,3\n", SERIES, DataFileError, "more than one"),
        ("in_bed\n3\n8\n", SERIES, ShapeMismatch, "2 values of 'in_bed'; expected 3"),
        ("1,2,3,4\n", SERIES, ShapeMismatch, "4 numbers"),
        ("1,2,3\n4,5\n", SERIES, DataFileError, "line 2"),
        ("", SERIES, DataFileError, "empty"),
        ("# only notes\n", SERIES, DataFileError, "empty"),
        ("height,mass\n", PAIR, DataFileError, "no data"),
    ],
)
def test_bad_csv_is_refused_with_the_place(write, text, outcome, error, said):
    with pytest.raises(error) as caught:
        read_observation(write(text), outcome)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{", DataFileError),
        ('{"a": [1, 2, 3]}', NameMismatch),
        ("[1, 2]", NameMismatch),
        ('{"a": [1, 2, 3], "b": [1, 2, NaN]}', NonFiniteObservation),
        ('{"a": [1, 2, 3], "b": ["x", 2, 3]}', ShapeMismatch),
    ],
)
def test_bad_json_is_refused(write, text, error):
    with pytest.raises(error):
        read_observation(write(text, "o.json"), KEYED)


def test_bad_arrays_are_refused(tmp_path):
    np.save(tmp_path / "o.npy", np.array([object()]))
    with pytest.raises(UnsafeFile):
        read_observation(tmp_path / "o.npy", SERIES)
    (tmp_path / "p.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(DataFileError):
        read_observation(tmp_path / "p.npy", SERIES)
    (tmp_path / "q.csv").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(DataFileError, match="UTF-8"):
        read_observation(tmp_path / "q.csv", SERIES)


def test_missing_and_unknown_files(tmp_path):
    with pytest.raises(DataFileError, match="check the path"):
        read_observation(tmp_path / "none.csv", SERIES)
    with pytest.raises(DataFileError, match=r"\.csv"):
        read_observation(tmp_path / "o.xls", SERIES)
