"""Shards: one batch of simulations in one immutable, checksummed `.npz` file, which any NumPy can open."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray

from quincunx._version import __version__
from quincunx.errors import ChecksumMismatch, CorruptFile, SchemaTooNew, UsageError
from quincunx.notebook import from_fields
from quincunx.run.archive import read_arrays, write_arrays
from quincunx.run.durable import file_sha256, write_durably
from quincunx.run.files import group_of
from quincunx.run.keys import key_text
from quincunx.run.simulations import Simulations
from quincunx.values import SCHEMA

__all__ = [
    "SHARD_SCHEMA",
    "Shard",
    "read_groups",
    "read_shard",
    "shard_header",
    "shard_named",
    "shard_of",
    "write_shard",
]

SHARD_SCHEMA = 1
"""The schema of shards this package writes, and the newest it reads."""

HEADER = "manifest"
_NAME = re.compile(r"r(\d+)-i(\d+)-n(\d+)-([0-9a-f]{16})\.npz")


@dataclass(frozen=True)
class Shard:
    """What is to be known of a shard without opening it, in less than a kilobyte.

    `rows` simulations of round `round`, numbered from `first`, of which `failed` have no finite outcome, in the file `name` of
    `size` bytes with this `sha256`.
    """

    name: str
    sha256: str
    size: int
    round: int
    first: int
    rows: int
    failed: int

    def as_dict(self) -> dict[str, Any]:
        """The same as plain JSON-able values.

        >>> Shard("a.npz", "00", 10, 0, 0, 5, 1).as_dict()["rows"]
        5
        """
        return asdict(self)

    _repr_html_ = from_fields


def write_shard(
    sims: Simulations,
    folder: str | os.PathLike[str],
    *,
    key: int | np.integer | PRNGKeyArray,
    round: int = 0,
    compress: bool = False,
    facts: Mapping[str, Any] | None = None,
) -> Shard:
    """Write simulations `first`, `first + 1`, ... of a round to a new file of the folder, durably and under a name of its own.

    The archive holds arrays `theta/<name>`, `x` or `x/<name>`, `design/<name>`, `gold/<name>`, `latents/<name>`, `index` and
    `status`, and a JSON text `manifest` with the schema, the outcome, the simulator, what failed simulations said, the round, the run's
    key, and `facts`. A part of the SHA-256 is in the file's name: the same simulations written twice are one file, and others
    never replace them. Numbers are not compressed unless asked, since noise does not shrink.

    Raises:
        UsageError: if the simulations are not numbered one after the other.
        DiskFull, ReadOnlyFolder: if it cannot be written; nothing is left behind.

    >>> import tempfile
    >>> sims = Simulations.of({"mu": np.zeros(3)}, np.ones((3, 2)))
    >>> shard = write_shard(sims, folder := tempfile.mkdtemp(), key=0)
    >>> shard.name[:22], shard.rows
    ('r0000-i000000000000-n3', 3)
    >>> sorted(np.load(Path(folder) / shard.name, allow_pickle=False).files)
    ['index', 'manifest', 'status', 'theta/mu', 'x']
    """
    rows = len(sims)
    first = int(sims.index[0]) if rows else 0
    if not rows or sims.stopped or not np.array_equal(sims.index, np.arange(first, first + rows)):
        raise UsageError(
            f"got {rows} simulations numbered from {first}{', cut short' if sims.stopped else ' with gaps'}; expected one batch, "
            "numbered one after the other; write the simulations of simulate(..., start=first) as they come"
        )
    spec, arrays = sims.to_state()
    failed = int(sims.failed.sum())
    header = {
        "format": "quincunx",
        "schema": SCHEMA,
        "kind": sims.kind,
        "version": __version__,
        "spec": spec,
        "shard": {
            "schema": SHARD_SCHEMA,
            "round": round,
            "first": first,
            "rows": rows,
            "failed": failed,
            "key": key_text(key),
            "facts": dict(facts or {}),
        },
    }
    members = {HEADER: np.asarray(json.dumps(header)), **arrays}
    path, sha256 = write_durably(
        Path(folder),
        lambda stream: write_arrays(stream, members, compress=compress),
        lambda sha: f"r{round:04d}-i{first:012d}-n{rows}-{sha[:16]}.npz",
    )
    return Shard(path.name, sha256, path.stat().st_size, round, first, rows, failed)


def read_shard(path: str | os.PathLike[str], *, sha256: str | None = None) -> Simulations:
    """The simulations of a shard, checked against the archive's own checksums and, if given, the whole file's SHA-256.

    Raises:
        DataFileError: if there is no such file.
        TruncatedFile, ChecksumMismatch, CorruptFile: if it is cut short, has other bytes, or is no shard.
        SchemaTooNew: if it was written under a newer schema. UnsafeFile: if it holds Python objects.

    >>> import tempfile
    >>> shard = write_shard(Simulations.of({"mu": np.zeros(3)}, np.ones((3, 2))), folder := tempfile.mkdtemp(), key=0)
    >>> read_shard(Path(folder) / shard.name, sha256=shard.sha256).x.shape
    (3, 2)
    """
    arrays = read_arrays(Path(path), sha256=sha256)
    header = _header_of(Path(path), arrays)
    try:
        return Simulations.from_state(header["spec"], arrays)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise CorruptFile(
            f"'{path}' does not hold simulations ({error!r}); expected a shard; simulate it again"
        ) from error


def read_groups(path: str | os.PathLike[str], groups: tuple[str, ...]) -> dict[str, Any]:
    """Some of "theta", "x", "design", "gold", "latents", "index" and "status" of a shard: an array, or a dict of arrays by name.

    Raises:
        UsageError: if the shard has no such group. As `read_shard` otherwise.

    >>> import tempfile
    >>> shard = write_shard(Simulations.of({"mu": np.zeros(3)}, np.ones((3, 2))), folder := tempfile.mkdtemp(), key=0)
    >>> read_groups(Path(folder) / shard.name, ("theta", "index"))
    {'theta': {'mu': array([0., 0., 0.], dtype=float32)}, 'index': array([0, 1, 2])}
    """
    arrays = read_arrays(Path(path), only=(HEADER, *groups))
    header = _header_of(Path(path), arrays)
    rows = header["shard"]["rows"]
    for name in header["spec"]["repeated"]:
        if name in arrays:
            arrays[name] = np.broadcast_to(arrays[name], (rows, *arrays[name].shape[1:]))
    found = {group: arrays.get(group, group_of(arrays, group)) for group in groups}
    missing = [group for group, part in found.items() if isinstance(part, dict) and not part]
    if missing:
        raise UsageError(
            f"'{path}' holds no {', '.join(missing)}; expected what was asked for; ask for some of "
            f"{sorted({name.split('/')[0] for name in arrays} - {HEADER})}"
        )
    return found


def shard_header(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The JSON header of a shard: `spec` describes the simulations, `shard` their round, numbers, key and facts.

    Raises:
        TruncatedFile, ChecksumMismatch, CorruptFile, SchemaTooNew, DataFileError: as `read_shard`.

    >>> import tempfile
    >>> shard = write_shard(Simulations.of({"mu": np.zeros(3)}, np.ones((3, 2))), folder := tempfile.mkdtemp(), key=5)
    >>> shard_header(Path(folder) / shard.name)["shard"]["key"]
    '5'
    """
    return _header_of(Path(path), read_arrays(Path(path), only=(HEADER,)))


def _header_of(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    try:
        header = json.loads(str(arrays[HEADER]))
        schemas = (header["schema"], SCHEMA, "values"), (header["shard"]["schema"], SHARD_SCHEMA, "shards")
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptFile(
            f"'{path}' has no header of a shard; expected one; give a file that write_shard wrote"
        ) from error
    for found, known, what in schemas:
        if found > known:
            raise SchemaTooNew(
                f"'{path}' has schema {found} of {what}, written by version {header.get('version')}; this version reads up to "
                f"{known}; upgrade: pip install -U quincunx"
            )
    return header


def shard_of(path: str | os.PathLike[str]) -> Shard:
    """What is to be known of a shard that is found somewhere: its whole file is read, hashed, and compared with its name.

    Raises:
        ChecksumMismatch: if its bytes are not those that its name tells. As `read_shard` otherwise.

    >>> import tempfile
    >>> shard = write_shard(Simulations.of({"mu": np.zeros(3)}, np.ones((3, 2))), folder := tempfile.mkdtemp(), key=0)
    >>> shard_of(Path(folder) / shard.name) == shard
    True
    """
    path = Path(path)
    told = shard_header(path)["shard"]
    sha256 = file_sha256(path)
    named = shard_named(path.name)
    if named is not None and named != (told["round"], told["first"], told["rows"], sha256[:16]):
        raise ChecksumMismatch(
            f"'{path}' has the SHA-256 {sha256[:16]}...; expected {named[3]}..., as its name says; resume the run with a thorough "
            "recovery, which simulates again what is lost"
        )
    return Shard(path.name, sha256, path.stat().st_size, told["round"], told["first"], told["rows"], told["failed"])


def shard_named(name: str) -> tuple[int, int, int, str] | None:
    """Round, first number, rows and the beginning of the SHA-256 that a shard's name tells; None for any other name.

    >>> shard_named("r0002-i000000000100-n50-0123456789abcdef.npz"), shard_named("notes.npz")
    ((2, 100, 50, '0123456789abcdef'), None)
    """
    match = _NAME.fullmatch(name)
    return None if match is None else (int(match[1]), int(match[2]), int(match[3]), match[4])
