"""Laws of files: what is written is read back, and a file cut at any byte is refused by name, never half read."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import quincunx as qx
import quincunx.values
from quincunx.errors import CorruptFile, QuincunxError
from quincunx.run import ShardedSimulations, durable
from quincunx.values import register, save


@register("law_of_stores")
class Everything:
    """One array of each kind that a value may hold."""

    ARRAYS = {
        "floats": np.linspace(0, 1, 7, dtype=np.float32).reshape(7, 1),
        "doubles": np.array([1e-300, np.inf, np.nan]),
        "integers": np.arange(5, dtype=np.int64),
        "bytes": np.array([0, 1, 2], np.uint8),
        "truths": np.array([True, False]),
        "empty": np.zeros((0, 3), np.float32),
        "scalar": np.array(2.5),
        "text": np.array(["", "gamma"]),
    }

    def __init__(self, spec, arrays):
        self.spec, self.arrays = spec, arrays

    def to_state(self):
        return self.spec, self.arrays

    @classmethod
    def from_state(cls, spec, arrays):
        return cls(spec, arrays)


@pytest.fixture
def file(tmp_path):
    return save(Everything({"a": [1, 2.5, "three", None]}, Everything.ARRAYS), tmp_path / "value.qx")


def test_what_is_written_is_read_back(file):
    again = qx.load(file)
    assert again.spec == {"a": [1, 2.5, "three", None]}
    assert set(again.arrays) == set(Everything.ARRAYS)
    for name, array in Everything.ARRAYS.items():
        assert again.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(again.arrays[name], array)


def test_every_kind_says_where_it_lives():
    """A file is read in a process that has imported nothing yet: the kind alone must lead to its class."""
    source = Path(quincunx.values.__file__).parent
    found = {}
    for path in source.rglob("*.py"):
        module = ".".join(path.relative_to(source.parent).with_suffix("").parts)
        for kind in re.findall(r'^@register\("([\w-]+)"\)\n(?:@.*\n)*class', path.read_text(), re.MULTILINE):
            found[kind] = module
    # networks are built from specifications, not loaded: their registry is another
    values = {
        kind: module
        for kind, module in found.items()
        if not module.startswith(("quincunx.learn.networks", "quincunx.learn.flows"))
    }
    assert values == quincunx.values._HOMES


def test_a_file_cut_at_any_byte_is_refused(file):
    whole = file.read_bytes()
    for length in range(0, len(whole), 7):
        file.write_bytes(whole[:length])
        with pytest.raises(CorruptFile):
            qx.load(file)


def test_a_flipped_byte_is_refused_or_harmless(file):
    """Zip checksums cover every member; a flip elsewhere (a date) may go unnoticed, but must not change what is read."""
    whole = file.read_bytes()
    expected = Everything.ARRAYS
    for position in range(0, len(whole), 23):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        file.write_bytes(bytes(damaged))
        try:
            again = qx.load(file)
        except QuincunxError:
            continue
        for name, array in expected.items():
            np.testing.assert_array_equal(again.arrays[name], array)


def test_a_failed_write_leaves_the_old_file_and_no_litter(file):
    before = file.read_bytes()
    with pytest.raises(QuincunxError):
        save(Everything({}, {"objects": np.array([{}], dtype=object)}), file)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


# Forks children that are killed while they write; nothing in it may start JAX's threads before the fork.
_KILLED = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from quincunx.run import Simulations, durable, write_shard

def simulations(first):
    numbers = np.arange(first, first + 10, dtype=np.float32)
    return replace(Simulations.of({"mu": numbers}, np.outer(numbers, np.ones(3))), index=np.arange(first, first + 10))

whole = durable.HashedStream.write

def kill_at(left):
    def write(stream, data):
        nonlocal left
        view = memoryview(data).cast("B")
        if len(view) > left:
            whole(stream, view[:left])
            os.kill(os.getpid(), signal.SIGKILL)
        left -= len(view)
        return whole(stream, data)
    durable.HashedStream.write = write

folder = Path(sys.argv[1])
for byte in map(int, sys.argv[2:]):
    if (child := os.fork()) == 0:
        write_shard(simulations(0), folder / str(byte), key=0)
        kill_at(byte)
        write_shard(simulations(10), folder / str(byte), key=0)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0)
"""


def test_a_writer_killed_at_any_byte_leaves_a_readable_store(tmp_path):
    places = [0, 1, 64, 700, 1500, 2200, 2700, 10**6]
    arguments = [sys.executable, "-c", _KILLED, str(tmp_path), *map(str, places)]
    said = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.split()
    assert said == ["9"] * (len(places) - 1) + ["0"]
    for place, ended in zip(places, said):
        run = ShardedSimulations.of(tmp_path / str(place))
        np.testing.assert_array_equal(run.load().theta["mu"], np.arange(10 if ended == "9" else 20))
        drafts = [path for path in run.folder.iterdir() if path.name.startswith(durable.DRAFT)]
        assert len(drafts) == (ended == "9") and all(path.stat().st_size <= place for path in drafts)
