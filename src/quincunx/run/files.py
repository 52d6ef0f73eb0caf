"""Simulations as plain `.npz` files, for people who read them without this package."""

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from quincunx.errors import CorruptFile, DataFileError, SchemaTooNew, UnsafeFile
from quincunx.values import SCHEMA

__all__ = ["group_of", "read_npz", "write_npz"]


def write_npz(value: Any, path: Path) -> Path:
    """Write a value's arrays under their names (`theta/beta`, `x`, `status` ...), with its description in `manifest`.

    The file is replaced at once, never half written.
    """
    spec, arrays = value.to_state()
    note = json.dumps({"format": "quincunx", "schema": SCHEMA, "kind": value.kind, "spec": spec})
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    everything: dict[str, Any] = {"manifest": np.asarray(note), **arrays}
    try:
        with open(draft, "wb") as stream:
            np.savez(stream, **everything)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def read_npz(path: Path) -> tuple[dict[str, Any] | None, dict[str, np.ndarray]]:
    """The description (None in a file of others) and the arrays.

    Raises:
        DataFileError: if there is no such file.
        UnsafeFile: if it holds Python objects.
        SchemaTooNew: if it was written under a newer schema.
        CorruptFile: if it is damaged.
    """
    if not path.is_file():
        raise DataFileError(f"got '{path}', which is not a file; expected simulations; check the path")
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        manifest = json.loads(str(arrays.pop("manifest"))) if "manifest" in arrays else None
    except (OSError, EOFError, KeyError, TypeError, RuntimeError, ValueError, zipfile.BadZipFile) as error:
        # What is neither an archive nor an array is taken for a pickle by NumPy: only object arrays truly are.
        if "Object arrays" in str(error):
            raise UnsafeFile(
                f"'{path}' holds Python objects, which can run code when read; expected plain numbers; save it anew"
            ) from error
        raise CorruptFile(f"'{path}' is damaged ({error}); expected a .npz file; make it again") from error
    if manifest is None:
        return None, arrays
    if manifest["schema"] > SCHEMA:
        raise SchemaTooNew(
            f"'{path}' has schema {manifest['schema']}; this version reads up to {SCHEMA}; "
            "upgrade: pip install -U quincunx"
        )
    return manifest["spec"], arrays


def group_of(arrays: Mapping[str, np.ndarray], group: str) -> dict[str, np.ndarray]:
    """The arrays named `<group>/<name>`, by name.

    >>> group_of({"theta/a": np.zeros(1), "x": np.ones(1)}, "theta")
    {'a': array([0.])}
    """
    start = f"{group}/"
    return {name[len(start) :]: array for name, array in arrays.items() if name.startswith(start)}
