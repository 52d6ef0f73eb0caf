"""Every reader, and everything that can be wrong with a file."""

import json

import numpy as np
import pytest

from quincunx.errors import MissingExtra, SimulationFailed, UsageError
from quincunx.model.command import Output
from quincunx.model.command import readers as readers_module

TABLE = np.array([[1.0, 2.0], [3.0, 4.5]])


def refused(output, folder, match, rows=None):
    with pytest.raises(SimulationFailed, match=match) as caught:
        output.read(folder, rows)
    assert caught.value.outcome == "bad_output"


def test_json_at_places(tmp_path):
    (tmp_path / "r.json").write_text(json.dumps({"fit": {"values": [1, 2.5]}, "n": 3}))
    assert Output("r.json", select="n").read(tmp_path) == 3
    np.testing.assert_array_equal(Output("r.json", select="fit.values").read(tmp_path), [1, 2.5])
    np.testing.assert_array_equal(Output("r.json", select=("fit.values.1", "n")).read(tmp_path), [2.5, 3])
    refused(Output("r.json", select="fit.chi2"), tmp_path, r"nothing at 'chi2'.*values")
    refused(Output("r.json", select="fit.values.7"), tmp_path, "a list of 2")
    refused(Output("r.json"), tmp_path, "cannot be read as json")


def test_json_lines(tmp_path):
    (tmp_path / "r.jsonl").write_text('{"t": 0, "y": 1}\n\n{"t": 1, "y": 4}\n')
    np.testing.assert_array_equal(Output("r.jsonl", select=("t", "y")).read(tmp_path), [[0, 1], [1, 4]])


def test_csv_by_columns(tmp_path):
    (tmp_path / "r.csv").write_text('a, "b, c"\n1,2\n3,4.5\n'.replace(', "', ',"'))
    np.testing.assert_array_equal(Output("r.csv").read(tmp_path), TABLE)
    np.testing.assert_array_equal(Output("r.csv", select="b, c").read(tmp_path), [2, 4.5])
    np.testing.assert_array_equal(Output("r.csv", select=["b, c", "a"]).read(tmp_path), TABLE[:, ::-1])
    refused(Output("r.csv", select="d"), tmp_path, r"no column \['d'\]; there are \['a', 'b, c'\]")
    (tmp_path / "r.csv").write_text("a,b\n1\n")
    refused(Output("r.csv"), tmp_path, "row 1 has 1 cells")
    (tmp_path / "r.csv").write_text("a\nmany\n")
    refused(Output("r.csv"), tmp_path, "could not convert")
    (tmp_path / "r.csv").write_text("")
    refused(Output("r.csv"), tmp_path, "empty")


def test_numpy_files(tmp_path):
    np.save(tmp_path / "r.npy", TABLE)
    np.testing.assert_array_equal(Output("r.npy").read(tmp_path), TABLE)
    np.savez(tmp_path / "r.npz", a=TABLE, b=np.ones(2))
    np.testing.assert_array_equal(Output("r.npz", select="a").read(tmp_path), TABLE)
    refused(Output("r.npz"), tmp_path, r"there are \['a', 'b'\]")


def test_objects_in_a_numpy_file_are_never_loaded(tmp_path):
    np.save(tmp_path / "r.npy", np.array([{"a": 1}], object), allow_pickle=True)
    refused(Output("r.npy"), tmp_path, "allow_pickle=False")


def test_hdf5(tmp_path):
    h5py = pytest.importorskip("h5py", reason="the extra hdf5 is not installed")
    with h5py.File(tmp_path / "r.h5", "w") as file:
        file["run/table"] = TABLE
    for select in ("run/table", "/run/table", None):
        np.testing.assert_array_equal(Output("r.h5", select=select).read(tmp_path), TABLE)
    refused(Output("r.h5", select="run/other"), tmp_path, "run/table")


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"a": TABLE[:, 0], "b": TABLE[:, 1]}), tmp_path / "r.parquet")
    np.testing.assert_array_equal(Output("r.parquet").read(tmp_path), TABLE)
    np.testing.assert_array_equal(Output("r.parquet", select="b").read(tmp_path), TABLE[:, 1])


@pytest.mark.parametrize(("library", "name", "extra"), [("h5py", "r.h5", "hdf5"), ("pyarrow", "r.parquet", "parquet")])
def test_a_missing_library_names_its_extra(library, name, extra, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, library, None)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(MissingExtra, match=rf"quincunx\[{extra}\]"):
        Output(name).read(tmp_path)


def test_regular_expressions(tmp_path):
    (tmp_path / "stdout").write_text("cross section: 1.5e-3 +- 2e-5 pb\nstep 1\nstep 2\nstep 3\n")
    assert Output("stdout", "regex", r"section: (\S+)").read(tmp_path) == 1.5e-3
    np.testing.assert_array_equal(Output("stdout", "regex", r"(\S+) \+- (\S+)").read(tmp_path), [1.5e-3, 2e-5])
    np.testing.assert_array_equal(Output("stdout", "regex", r"^step (\d)$").read(tmp_path), [1, 2, 3])
    refused(Output("stdout", "regex", r"width: (\S+)"), tmp_path, "no match.*step 3")


def test_a_batch_has_its_rows_first(tmp_path):
    (tmp_path / "stdout").write_text("a=1 b=2\na=3 b=4\na=5 b=6\n")
    pairs, patterns = Output("stdout", "regex", r"a=(\d) b=(\d)"), Output("stdout", "regex", (r"a=(\d)", r"b=(\d)"))
    for output in (pairs, patterns):
        np.testing.assert_array_equal(output.read(tmp_path, 3), [[1, 2], [3, 4], [5, 6]])
    (tmp_path / "r.json").write_text(json.dumps({"a": [1, 3, 5], "b": [2, 4, 6]}))
    np.testing.assert_array_equal(Output("r.json", select=("a", "b")).read(tmp_path, 3), [[1, 2], [3, 4], [5, 6]])
    (tmp_path / "stdout").write_text("a=1 b=2\n")
    for output in (pairs, patterns):
        np.testing.assert_array_equal(output.read(tmp_path, 1), [[1, 2]])
    refused(pairs, tmp_path, "first axis of 2", rows=2)
    assert Output("stdout", "regex", r"a=(\d)").read(tmp_path, 1).shape == (1,)


def test_a_function_by_place(tmp_path):
    (tmp_path / "r.txt").write_text("21\n")
    assert Output("r.txt", "function", "numpy:loadtxt").read(tmp_path) == 21
    assert Output("r.txt", select=np.loadtxt).select.startswith("numpy")
    refused(Output("r.txt", "function", "numpy:load"), tmp_path, "function")
    for place in ("numpy", "numpy:nothing_there", "no_such_module:f", "math:pi"):
        with pytest.raises(UsageError, match="place|nothing is found|float"):
            Output("r.txt", "function", place)
    with pytest.raises(UsageError, match="module"):
        Output("r.txt", select=lambda path: 1.0)


def test_a_pattern_must_match_one_file(tmp_path):
    (tmp_path / "out").mkdir()
    refused(Output("out/*.json"), tmp_path, "missing")
    (tmp_path / "out" / "run-7.json").write_text("[1, 2]")
    np.testing.assert_array_equal(Output("out/*.json").read(tmp_path), [1, 2])
    (tmp_path / "out" / "run-8.json").write_text("[1, 2]")
    refused(Output("out/*.json"), tmp_path, "2 files match")


def test_a_missing_file_says_what_is_there(tmp_path):
    (tmp_path / "reslt.json").write_text("1")
    refused(Output("result.json"), tmp_path, r"'result.json' is missing; the program left \['reslt.json'\]")


def test_shapes(tmp_path):
    (tmp_path / "r.json").write_text("[1, 2, 3]")
    np.testing.assert_array_equal(Output("r.json", shape=[3]).read(tmp_path), [1, 2, 3])
    refused(Output("r.json", shape=(2,)), tmp_path, r"shape \(3,\); expected \(2,\)")
    np.testing.assert_array_equal(Output("r.json", shape=(1,)).read(tmp_path, 3), [[1], [2], [3]])
    refused(Output("r.json"), tmp_path, "first axis of 4", rows=4)


def test_text_is_not_a_number(tmp_path):
    (tmp_path / "r.json").write_text('["1"]')
    refused(Output("r.json"), tmp_path, "dtype")


def test_bad_declarations():
    for path in ("/etc/passwd", "../up.json", ""):
        with pytest.raises(UsageError, match="scratch"):
            Output(path)
    with pytest.raises(UsageError, match="suggests none"):
        Output("r.dat")
    with pytest.raises(UsageError, match="expected one of json"):
        Output("r.dat", "pickle")
    with pytest.raises(UsageError, match="pattern"):
        Output("stdout", "regex")
    with pytest.raises(UsageError, match="remove sheet"):
        Output.of({"path": "r.csv", "sheet": 1})


def test_every_suggested_reader_exists():
    assert set(readers_module.SUFFIXES.values()) <= set(readers_module.READERS)
