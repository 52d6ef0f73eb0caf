"""The store's law: what is written is read back, and whatever else is in the file is refused by name."""

import io
import json
import os
import pickle
import zipfile
from typing import ClassVar

import jax
import numpy as np
import pytest

from quincunx.errors import CorruptFile, DataFileError, SchemaTooNew, UnknownKind, UnsafeFile, UsageError
from quincunx.values import SCHEMA, as_key, load, pack, register, save, unpack


@register("test_box")
class Box:
    kind: ClassVar[str]

    def __init__(self, note, arrays, inner=None):
        self.note, self.arrays, self.inner = note, arrays, inner

    def to_state(self):
        spec, arrays = {"note": self.note, "inner": None}, dict(self.arrays)
        if self.inner is not None:
            spec["inner"], own = pack(self.inner, "inner")
            arrays.update(own)
        return spec, arrays

    @classmethod
    def from_state(cls, spec, arrays):
        inner = None if spec["inner"] is None else unpack(spec["inner"], arrays, "inner")
        return cls(spec["note"], {k: v for k, v in arrays.items() if not k.startswith("inner/")}, inner)


ARRAYS = {
    "float32": np.linspace(0, 1, 7, dtype=np.float32),
    "fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "empty": np.zeros((0, 3)),
    "scalar": np.asarray(2.5),
    "bools": np.array([True, False]),
    "text": np.array(["a", "longer"]),
    "extremes": np.array([np.inf, -np.inf, np.nan, np.finfo(float).tiny]),
    "nested/name": np.arange(3, dtype=np.uint8),
}


@pytest.fixture
def file(tmp_path):
    return save(Box("note", ARRAYS, Box("inside", {"a": np.ones((2, 2))})), tmp_path / "box.qx")


def test_what_is_written_is_read_back(file):
    box = load(file)
    assert box.note == "note" and box.inner.note == "inside"
    assert set(box.arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(box.arrays[name], array)
        assert box.arrays[name].dtype == array.dtype
    np.testing.assert_array_equal(box.inner.arrays["a"], np.ones((2, 2)))


def test_writing_replaces_and_leaves_no_drafts(file):
    save(Box("second", {}), file)
    assert load(file).note == "second"
    assert os.listdir(file.parent) == ["box.qx"]


def test_a_writer_that_dies_leaves_the_old_file(file):
    class Dying(Box):
        def to_state(self):
            return {"note": "", "inner": None}, {"a": np.ones(3), "bad": np.array([object()])}

    with pytest.raises(UnsafeFile, match="bad"):
        save(Dying("", {}), file)
    assert load(file).note == "note"
    assert os.listdir(file.parent) == ["box.qx"]


def test_a_file_cut_anywhere_is_corrupt(file):
    whole = file.read_bytes()
    for cut in [0, 1, 10, *range(100, len(whole), 97), len(whole) - 1]:
        file.write_bytes(whole[:cut])
        with pytest.raises(CorruptFile, match="damaged"):
            load(file)


def test_a_flipped_byte_in_an_array_is_noticed(file):
    whole = bytearray(file.read_bytes())
    where = whole.find(ARRAYS["float32"].tobytes())
    whole[where + 5] ^= 1
    file.write_bytes(bytes(whole))
    with pytest.raises(CorruptFile):
        load(file)


def _rewrite(file, changes):
    with zipfile.ZipFile(file) as old:
        members = {name: old.read(name) for name in old.namelist()}
    members.update(changes(members))
    with zipfile.ZipFile(file, "w") as new:
        for name, content in members.items():
            new.writestr(name, content)


def test_a_newer_schema_is_refused_by_name(file):
    def newer(members):
        manifest = json.loads(members["manifest.json"])
        return {"manifest.json": json.dumps({**manifest, "schema": SCHEMA + 1})}

    _rewrite(file, newer)
    with pytest.raises(SchemaTooNew, match="upgrade"):
        load(file)


@pytest.mark.parametrize("change", [{"format": "other"}, {"schema": None}, {"kind": 3}, {"spec": []}])
def test_a_foreign_manifest_is_corrupt(file, change):
    _rewrite(file, lambda members: {"manifest.json": json.dumps({**json.loads(members["manifest.json"]), **change})})
    with pytest.raises(CorruptFile):
        load(file)


def test_an_unregistered_kind_is_refused_by_name(file):
    _rewrite(file, lambda m: {"manifest.json": json.dumps({**json.loads(m["manifest.json"]), "kind": "nobody"})})
    with pytest.raises(UnknownKind, match="nobody"):
        load(file)


class Bomb:
    """Makes a directory when it is unpickled."""

    def __init__(self, crater):
        self.crater = crater

    def __reduce__(self):
        return (os.mkdir, (str(self.crater),))


def _object_array(crater):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.array([Bomb(crater)], dtype=object), allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize(
    "damage",
    [
        lambda file, crater: file.write_bytes(pickle.dumps(Bomb(crater))),
        lambda file, crater: _rewrite(file, lambda m: {"data.pkl": pickle.dumps(Bomb(crater))}),
        lambda file, crater: _rewrite(file, lambda m: {"arrays/float32.npy": _object_array(crater)}),
    ],
    ids=["pickle", "pickle inside", "object array"],
)
def test_pickles_are_refused_and_never_run(file, damage, tmp_path):
    crater = tmp_path / "crater"
    damage(file, crater)
    with pytest.raises(UnsafeFile):
        load(file)
    assert not crater.exists()


def test_a_header_that_claims_terabytes_is_corrupt_not_out_of_memory(file):
    def lie(members):
        stream = io.BytesIO()
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (2**40,)})
        return {"arrays/float32.npy": stream.getvalue() + b"12345678"}

    _rewrite(file, lie)
    with pytest.raises(CorruptFile):
        load(file)


def test_a_missing_array_is_corrupt(tmp_path):
    @register("test_needs")
    class Needs:
        def to_state(self):
            return {}, {}

        @classmethod
        def from_state(cls, spec, arrays):
            return arrays["gone"]

    with pytest.raises(CorruptFile, match="gone"):
        load(save(Needs(), tmp_path / "a.qx"))


def test_no_such_file(tmp_path):
    with pytest.raises(DataFileError):
        load(tmp_path / "none.qx")


def test_what_has_no_state_cannot_be_saved(tmp_path):
    with pytest.raises(UsageError):
        save(object(), tmp_path / "a.qx")


def test_a_kind_belongs_to_one_class():
    with pytest.raises(UnknownKind, match="taken"):

        @register("test_box")
        class Other:
            pass


@pytest.mark.parametrize("seed", [0, 7, 2**31, 2**40 + 1, -3])
def test_integers_are_keys(seed):
    assert as_key(seed) == as_key(np.int64(seed))
    assert as_key(as_key(seed)) == as_key(seed)


def test_different_integers_give_different_keys():
    seeds = [0, 1, -1, 2**32, 2**32 + 1, 2**33, -(2**32)]
    assert len({bytes(jax.random.key_data(as_key(s))) for s in seeds}) == len(seeds)


def test_old_style_keys_pass():
    assert as_key(jax.random.PRNGKey(3)) == jax.random.key(3)


@pytest.mark.parametrize("wrong", ["0", 1.5, None, True], ids=repr)
def test_other_things_are_not_keys(wrong):
    from jaxtyping import TypeCheckError

    with pytest.raises((UsageError, TypeCheckError)):
        as_key(wrong)
