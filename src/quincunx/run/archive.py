"""Arrays by name in a `.npz` file at the disk's speed: written in one pass with their hash, read in one pass with their checks."""

import ast
import hashlib
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from quincunx.errors import ChecksumMismatch, CorruptFile, DataFileError, TruncatedFile, UnsafeFile
from quincunx.run.durable import HashedStream

__all__ = ["read_arrays", "write_arrays"]

_ALIGN = 64
_LOCAL_HEADER = 30
_END_OF_DIRECTORY = 22


def write_arrays(stream: HashedStream, arrays: Mapping[str, np.ndarray], *, compress: bool = False) -> None:
    """Write arrays as a `.npz` archive into a stream that is never turned back.

    Numbers begin at multiples of 64 bytes, so that they can be used where they lie in the file's bytes.

    Raises:
        UnsafeFile: if an array holds Python objects.

    >>> import io
    >>> stream = HashedStream(out := io.BytesIO())
    >>> write_arrays(stream, {"a": np.arange(3)})
    >>> np.load(io.BytesIO(out.getvalue()), allow_pickle=False)["a"]
    array([0, 1, 2])
    """
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    # Counts and images compress at the fastest level almost as well as at the slowest.
    with zipfile.ZipFile(stream, "w", method, compresslevel=1) as archive:
        for name, array in arrays.items():
            if array.dtype.hasobject:
                raise UnsafeFile(
                    f"array '{name}' holds Python objects; expected numbers or fixed-width text; convert it"
                )
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.compress_type = method
            entry.external_attr = 0o600 << 16
            with archive.open(entry, "w", force_zip64=array.nbytes > 2**31) as member:
                plain = np.ascontiguousarray(array) if array.ndim else array
                member.write(_header(plain, 0 if compress else stream.position))
                member.write(plain.reshape(-1).view(np.uint8).data if plain.size else b"")


def _header(array: np.ndarray, position: int) -> bytes:
    """The `.npy` header, filled up with spaces so that the numbers behind it are aligned in the file."""
    described = repr(np.lib.format.header_data_from_array_1_0(array)).encode("latin1")
    bare = position + 10 + len(described) + 1
    text = described + b" " * (-bare % _ALIGN) + b"\n"
    return np.lib.format.magic(1, 0) + struct.pack("<H", len(text)) + text


def read_arrays(path: Path, *, sha256: str | None = None, only: tuple[str, ...] | None = None) -> dict[str, np.ndarray]:
    """The arrays of a `.npz` file; with `only`, of those groups or names.

    The file is read once; arrays that are not compressed are views of its bytes and cannot be written to. Every member read is
    checked against the archive's own checksum, and the whole file against `sha256`.

    Raises:
        DataFileError: if there is no such file.
        TruncatedFile: if it ends early. ChecksumMismatch: if its bytes are others than were written.
        UnsafeFile: if it holds Python objects. CorruptFile: if it is no archive of arrays.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "a.npz"
    >>> np.savez(file, **{"x": np.ones(2), "theta/a": np.zeros(2)})
    >>> read_arrays(file, only=("theta",))
    {'theta/a': array([0., 0.])}
    """
    if not path.is_file():
        raise DataFileError(f"got '{path}', which is not a file; expected a shard; check the path, or resume the run")
    with open(path, "rb", buffering=0) as raw:
        view, got = memoryview(_aligned(os.fstat(raw.fileno()).st_size)), 0
        while got < len(view) and (more := raw.readinto(view[got:])):
            got += more
        if got < len(view) or _ends_early(view):
            raise TruncatedFile(f"'{path}' ends after {got} bytes; expected its table of contents there; {_REMEDY}")
        if sha256 is not None and (found := hashlib.sha256(view).hexdigest()) != sha256:
            raise ChecksumMismatch(f"'{path}' has the SHA-256 {found[:16]}...; expected {sha256[:16]}...; {_REMEDY}")
        try:
            with zipfile.ZipFile(raw) as archive:
                # A damaged length in the table of contents swallows what follows, which nothing else would tell.
                count = struct.unpack("<H", _end_of_directory(view)[10:12])[0]
                if count != len(archive.infolist()):
                    raise zipfile.BadZipFile(f"{len(archive.infolist())} members where there were {count}")
                entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
                wanted = {n: e for n, e in entries.items() if only is None or n in only or n.split("/")[0] in only}
                return {name: _member(path, archive, view, entry) for name, entry in wanted.items()}
        except _DAMAGE as error:
            kind = ChecksumMismatch if "CRC" in str(error) else CorruptFile
            raise kind(f"'{path}' is damaged ({error}); expected what was written; {_REMEDY}") from error


_REMEDY = "resume the run with a thorough recovery, which simulates again what is lost"
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
)


def _ends_early(view: memoryview) -> bool:
    """Whether what begins like an archive has no table of contents at its end."""
    return b"PK\x03\x04".startswith(bytes(view[:4])) and len(_end_of_directory(view)) < _END_OF_DIRECTORY


def _end_of_directory(view: memoryview) -> bytes:
    tail = bytes(view[-65_557:])
    at = tail.rfind(b"PK\x05\x06")
    return tail[at:] if at >= 0 else b""


def _aligned(size: int) -> np.ndarray:
    """Bytes whose first lies at a multiple of 64, as the numbers in the file do."""
    room = np.empty(size + _ALIGN, np.uint8)
    first = -room.ctypes.data % _ALIGN
    return room[first : first + size]


def _member(path: Path, archive: zipfile.ZipFile, view: memoryview, entry: zipfile.ZipInfo) -> np.ndarray:
    if entry.compress_type == zipfile.ZIP_STORED:
        at = entry.header_offset
        if bytes(view[at : at + 4]) != b"PK\x03\x04":
            raise zipfile.BadZipFile(f"no member at byte {at}")
        name, extra = struct.unpack("<HH", view[at + 26 : at + _LOCAL_HEADER])
        if bytes(view[at + _LOCAL_HEADER :][:name]) != entry.orig_filename.encode(
            "utf-8" if entry.flag_bits & 0x800 else "cp437"
        ):
            # The checksum does not cover names, which are written twice instead.
            raise zipfile.BadZipFile(f"two names for the member at byte {at}")
        first = at + _LOCAL_HEADER + name + extra
        body = view[first : first + entry.file_size]
        if len(body) != entry.file_size or zlib.crc32(body) != entry.CRC:
            raise zipfile.BadZipFile(f"bad CRC-32 for '{entry.filename}'")
    else:
        body = memoryview(archive.read(entry))
    if bytes(body[:6]) != np.lib.format.MAGIC_PREFIX or body[6] not in (1, 2, 3):
        raise ValueError(f"'{entry.filename}' is not an array")
    width = "<H" if body[6] == 1 else "<I"
    begin = 8 + struct.calcsize(width)
    end = begin + struct.unpack(width, body[8:begin])[0]
    described = ast.literal_eval(bytes(body[begin:end]).decode("utf-8" if body[6] == 3 else "latin1"))
    dtype = np.lib.format.descr_to_dtype(described["descr"])
    if dtype.hasobject:
        raise UnsafeFile(f"'{path}' holds Python objects in '{entry.filename}', which can run code when read")
    shape = described["shape"]
    flat: np.ndarray = np.frombuffer(body[end:], dtype) if len(body) > end else np.empty(0, dtype)
    flat.flags.writeable = False
    return flat.reshape(shape[::-1]).T if described["fortran_order"] else flat.reshape(shape)
