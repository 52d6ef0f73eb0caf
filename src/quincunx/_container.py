"""The file of a value: a zip archive whose `manifest.json` says what the value is, and whose `arrays/<name>.npy` hold its numbers."""

import json
import os
import secrets
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from quincunx._version import __version__
from quincunx.errors import CorruptFile, DataFileError, SchemaTooNew, UnsafeFile

__all__ = ["SCHEMA", "corrupt", "read_container", "write_container"]

SCHEMA = 1
"""The schema version this package writes, and the newest it reads."""


def write_container(path: Path, kind: str, spec: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write it atomically: a reader sees the old file or the new one, never half of one.

    Raises:
        UnsafeFile: if one of the arrays holds Python objects.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.qx"
    >>> write_container(path, "pair", {"n": 2}, {"a": np.ones(2)})
    >>> read_container(path)
    ('pair', {'n': 2}, {'a': array([1., 1.])})
    """
    manifest = {
        "format": "quincunx",
        "schema": SCHEMA,
        "kind": kind,
        "version": __version__,
        "arrays": sorted(arrays),
        "spec": spec,
    }
    text = json.dumps(manifest, indent=1, allow_nan=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with open(draft, "wb") as raw:
            with zipfile.ZipFile(raw, "w", zipfile.ZIP_STORED) as archive:
                archive.writestr("manifest.json", text)
                for name, array in arrays.items():
                    _write_array(archive, name, np.asarray(array))
            raw.flush()
            os.fsync(raw.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _write_array(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    if array.dtype.hasobject:
        raise UnsafeFile(f"array '{name}' holds Python objects; expected numbers or fixed-width text; convert it first")
    with archive.open(f"arrays/{name}.npy", "w", force_zip64=True) as stream:
        np.lib.format.write_array(stream, array, allow_pickle=False)


def read_container(path: Path) -> tuple[str, dict[str, Any], dict[str, np.ndarray]]:
    """The kind, the spec and the arrays of a value's file; nothing in it is ever executed.

    Raises:
        DataFileError: if there is no such file. SchemaTooNew: if it was written under a newer schema.
        UnsafeFile: if it is, or holds, a pickle. CorruptFile: if it is damaged, cut short, or not one of ours.
    """
    if not path.is_file():
        raise DataFileError(f"got '{path}', which is not a file; expected a file written by save(); check the path")
    with open(path, "rb") as raw:
        head = raw.read(2)
        if head[:1] == b"\x80" and head[1:2] <= b"\x05":
            raise UnsafeFile(
                f"'{path}' is a Python pickle, which can run code when read; expected a file written by save(); "
                "do not open it, ask its author to save it with Quincunx"
            )
        raw.seek(0)
        try:
            with zipfile.ZipFile(raw) as archive:
                manifest = _read_manifest(archive, path)
                arrays = {
                    name.removeprefix("arrays/").removesuffix(".npy"): _read_array(archive, name, path)
                    for name in archive.namelist()
                    if name != "manifest.json"
                }
                if sorted(arrays) != manifest["arrays"]:
                    raise corrupt(path, "it holds other arrays than its manifest lists")
        except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as error:
            raise corrupt(path, str(error)) from error
    return manifest["kind"], manifest["spec"], arrays


def corrupt(path: Path, why: str) -> CorruptFile:
    """The error for a damaged file."""
    return CorruptFile(
        f"'{path}' is damaged or not a Quincunx file ({why}); expected a file written by save(); "
        "make it again or take it from a backup"
    )


def _read_manifest(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    pickles = [n for n in archive.namelist() if n.endswith((".pkl", ".pickle", ".pt"))]
    if pickles:
        raise UnsafeFile(f"'{path}' holds the pickle '{pickles[0]}', which can run code when read; it was not opened")
    if "manifest.json" not in archive.namelist():
        raise corrupt(path, "it has no manifest.json")
    manifest = json.loads(archive.read("manifest.json"))
    if not isinstance(manifest, dict) or manifest.get("format") != "quincunx":
        raise corrupt(path, "its manifest is not ours")
    schema = manifest.get("schema")
    if not isinstance(schema, int):
        raise corrupt(path, "its manifest has no schema version")
    if schema > SCHEMA:
        raise SchemaTooNew(
            f"'{path}' has schema {schema}, written by version {manifest.get('version')}; this version reads up "
            f"to {SCHEMA}; "
            "upgrade: pip install -U quincunx"
        )
    fields = (("kind", str), ("spec", dict), ("arrays", list))
    if not all(isinstance(manifest.get(field), kind) for field, kind in fields):
        raise corrupt(path, "its manifest has no kind, no spec or no list of arrays")
    return manifest


def _read_array(archive: zipfile.ZipFile, name: str, path: Path) -> np.ndarray:
    if not (name.startswith("arrays/") and name.endswith(".npy")):
        raise corrupt(path, f"unexpected member '{name}'")
    with archive.open(name) as stream:
        version = np.lib.format.read_magic(stream)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(
            version
        )
        if read_header is None:
            raise corrupt(path, f"'{name}' has array format {version}")
        shape, fortran, dtype = read_header(stream)
        if dtype.hasobject:
            raise UnsafeFile(
                f"'{path}' holds Python objects in '{name}', which can run code when read; expected plain numbers; "
                "ask its author to save it with Quincunx"
            )
        count = int(np.prod(shape, dtype=np.int64))
        # A header may claim any size: believe the archive's directory before allocating.
        if count * dtype.itemsize != archive.getinfo(name).file_size - stream.tell():
            raise corrupt(path, f"'{name}' is shorter or longer than its header says")
        flat = np.empty(count, dtype)
        view = flat.view(np.uint8) if count and dtype.itemsize else np.empty(0, np.uint8)
        position = 0
        while position < len(view):
            got = stream.read(min(1 << 22, len(view) - position))
            if not got:
                raise corrupt(path, f"'{name}' ends early")
            view[position : position + len(got)] = np.frombuffer(got, np.uint8)
            position += len(got)
        stream.read()
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
