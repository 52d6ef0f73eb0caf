"""Shards: read back as written, by anyone; refused by name when they are not what was written; written durably or not at all."""

import errno
import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from quincunx.errors import (
    ChecksumMismatch,
    CorruptFile,
    DataFileError,
    DiskFull,
    QuincunxError,
    ReadOnlyFolder,
    SchemaTooNew,
    TruncatedFile,
    UnsafeFile,
    UsageError,
)
from quincunx.run import Simulations, durable, read_shard, write_shard
from quincunx.run.archive import read_arrays
from quincunx.run.shards import read_groups, shard_header, shard_named, shard_of


def everything(n: int = 7, first: int = 0) -> Simulations:
    """Simulations with every group, a failure, and a setting that is the same for all."""
    rng = np.random.default_rng(first)
    x = {"counts": rng.normal(size=(n, 3, 2)).astype(np.float32), "time": rng.normal(size=(n,)).astype(np.float32)}
    x["counts"][2] = np.nan
    sims = Simulations.of(
        {"mu": rng.normal(size=n), "shape": rng.normal(size=(n, 2))},
        x,
        design={"beam": np.broadcast_to(np.float32(91.2), (n,))},
        gold={"score": rng.normal(size=(n, 3))},
        latents={"z": rng.integers(0, 9, (n, 4))},
        simulator="collider 2",
    )
    return replace(sims, index=np.arange(first, first + n), messages={2: "diverged"})


def same(a: Simulations, b: Simulations) -> None:
    for group in ("theta", "x", "status", "index", "design", "gold", "latents"):
        left, right = jax.tree.leaves(getattr(a, group)), jax.tree.leaves(getattr(b, group))
        assert len(left) == len(right)
        for one, other in zip(left, right):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
    assert (a.outcome, a.simulator, dict(a.messages)) == (b.outcome, b.simulator, dict(b.messages))


@pytest.mark.parametrize("compress", [False, True])
def test_what_is_written_is_read_back(tmp_path, compress):
    sims = everything()
    shard = write_shard(sims, tmp_path, key=3, round=2, compress=compress, facts={"fingerprint": "ab"})
    same(read_shard(tmp_path / shard.name, sha256=shard.sha256), sims)
    assert (shard.rows, shard.first, shard.round, shard.failed) == (7, 0, 2, 1)
    assert len(json.dumps(shard.as_dict())) < 1000
    told = shard_header(tmp_path / shard.name)["shard"]
    assert (told["key"], told["round"], told["facts"]) == ("3", 2, {"fingerprint": "ab"})
    assert shard_of(tmp_path / shard.name) == shard
    assert shard_named(shard.name) == (2, 0, 7, shard.sha256[:16])


@pytest.mark.parametrize("compress", [False, True])
def test_any_numpy_reads_it(tmp_path, compress):
    sims = everything()
    shard = write_shard(sims, tmp_path, key=0, compress=compress)
    with np.load(tmp_path / shard.name, allow_pickle=False) as stored:
        np.testing.assert_array_equal(stored["x/counts"], sims.x["counts"])
        np.testing.assert_array_equal(stored["theta/shape"], sims.theta["shape"])
        assert json.loads(str(stored["manifest"]))["spec"]["simulator"] == "collider 2"
    same(Simulations.load(tmp_path / shard.name), sims)


def test_numbers_lie_at_multiples_of_64_bytes(tmp_path):
    shard = write_shard(everything(), tmp_path, key=0)
    arrays = read_arrays(tmp_path / shard.name)
    assert all(a.ctypes.data % 64 == 0 for a in arrays.values() if a.size)


def test_the_same_simulations_are_one_file_and_others_another(tmp_path):
    one, again = (write_shard(everything(), tmp_path, key=0) for _ in range(2))
    other = write_shard(everything()[:6], tmp_path, key=0)
    assert one == again and other.name != one.name
    assert len(list(tmp_path.iterdir())) == 2


def test_groups_are_read_alone_and_repeated_settings_spread(tmp_path):
    shard = write_shard(everything(), tmp_path, key=0)
    part = read_groups(tmp_path / shard.name, ("design", "x"))
    assert part["design"]["beam"].shape == (7,) and sorted(part["x"]) == ["counts", "time"]
    with pytest.raises(UsageError, match="holds no weights"):
        read_groups(tmp_path / shard.name, ("weights",))


def test_a_file_cut_at_any_byte_is_refused(tmp_path):
    path = tmp_path / write_shard(everything(), tmp_path, key=0).name
    whole = path.read_bytes()
    for length in range(0, len(whole), 5):
        path.write_bytes(whole[:length])
        with pytest.raises(TruncatedFile):
            read_shard(path)


def test_a_flipped_byte_is_refused_or_harmless_and_never_passes_the_hash(tmp_path):
    sims = everything()
    shard = write_shard(sims, tmp_path, key=0)
    path = tmp_path / shard.name
    whole = path.read_bytes()
    for position in range(0, len(whole), 11):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        path.write_bytes(bytes(damaged))
        with pytest.raises(CorruptFile):
            read_shard(path, sha256=shard.sha256)
        try:
            again = read_shard(path)
        except QuincunxError:
            continue
        same(again, sims)


def test_damage_is_named(tmp_path):
    shard = write_shard(everything(), tmp_path, key=0)
    path = tmp_path / shard.name
    whole = bytearray(path.read_bytes())
    at = whole.index(np.ascontiguousarray(everything().x["time"]).tobytes())
    whole[at] ^= 1
    path.write_bytes(bytes(whole))
    with pytest.raises(ChecksumMismatch, match="CRC"):
        read_shard(path)
    with pytest.raises(ChecksumMismatch, match="SHA-256"):
        read_shard(path, sha256=shard.sha256)
    with pytest.raises(ChecksumMismatch):
        shard_of(path)
    path.unlink()
    with pytest.raises(DataFileError):
        read_shard(path)


def test_a_whole_file_under_anothers_name_is_refused(tmp_path):
    one, other = (write_shard(everything(first=first), tmp_path, key=0) for first in (0, 7))
    os.replace(tmp_path / other.name, tmp_path / one.name)
    with pytest.raises(ChecksumMismatch, match="as its name says"):
        shard_of(tmp_path / one.name)


def test_a_newer_schema_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("quincunx.run.shards.SHARD_SCHEMA", 2)
    path = tmp_path / write_shard(everything(), tmp_path, key=0).name
    monkeypatch.undo()
    with pytest.raises(SchemaTooNew, match="schema 2"):
        read_shard(path)
    with pytest.raises(SchemaTooNew):
        shard_header(path)


def test_python_objects_are_never_read(tmp_path):
    np.savez(tmp_path / "objects.npz", manifest=np.array([{}], dtype=object))
    with pytest.raises(UnsafeFile):
        read_shard(tmp_path / "objects.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(CorruptFile, match="no header"):
        read_shard(tmp_path / "other.npz")
    (tmp_path / "text.npz").write_text("not an archive, but long enough to look at")
    with pytest.raises(CorruptFile):
        read_shard(tmp_path / "text.npz")


def test_only_a_whole_batch_is_written(tmp_path):
    sims = everything()
    for part in (sims[[0, 2, 3]], replace(sims, stopped="interrupted"), sims[:0]):
        with pytest.raises(UsageError, match="numbered one after the other"):
            write_shard(part, tmp_path, key=0)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path, monkeypatch):
    written = durable.HashedStream.write

    def full(self, data):
        if self.position > 1000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(self, data)

    monkeypatch.setattr(durable.HashedStream, "write", full)
    with pytest.raises(DiskFull, match="No space left"):
        write_shard(everything(), tmp_path, key=0)
    assert not list(tmp_path.iterdir())


def test_a_file_that_may_not_grow_is_a_full_disk(tmp_path):
    """The system's own refusal, in a process of its own because the limit cannot be taken back."""
    code = f"""
import resource, signal
import numpy as np
from quincunx.errors import DiskFull
from quincunx.run import Simulations, write_shard
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sims = Simulations.of({{"mu": np.zeros(20_000)}}, np.ones((20_000, 5)))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, {resource.RLIM_INFINITY}))
try:
    write_shard(sims, {str(tmp_path)!r}, key=0)
except DiskFull as error:
    print("full")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "full\n", done.stderr
    assert not list(tmp_path.iterdir())


def test_a_read_only_folder_is_named(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(ReadOnlyFolder, match="Permission denied"):
        write_shard(everything(), tmp_path, key=0)


def test_other_errors_of_the_system_pass_as_they_are(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OSError) as caught:
        write_shard(everything(), Path(file) / "below", key=0)
    assert not isinstance(caught.value, QuincunxError)
