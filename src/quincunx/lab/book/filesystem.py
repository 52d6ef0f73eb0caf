"""On what kind of file system a folder lies: SQLite's write-ahead log needs memory that all its readers share."""

import re
from pathlib import Path

from quincunx.errors import NetworkFolder

__all__ = ["filesystem_of", "refuse_network"]

_NETWORK = {
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "orangefs",
    "panfs",
    "pvfs2",
    "smb2",
    "smb3",
    "smbfs",
    "wekafs",
}
_NETWORK_IN_USERSPACE = (
    "sshfs",
    "glusterfs",
    "ceph",
    "s3",
    "gcs",
    "rclone",
    "davfs",
    "beegfs",
    "lustre",
    "juicefs",
    "blobfuse",
)
_MOUNTS = Path("/proc/self/mountinfo")


def filesystem_of(folder: Path, mounts: Path | None = None) -> str | None:
    """The type of the file system, such as "ext4" or "nfs4"; None where the system does not tell.

    >>> table = Path("/nowhere/mountinfo")
    >>> filesystem_of(Path("/home"), table) is None
    True
    """
    try:
        lines = (mounts or _MOUNTS).read_text().splitlines()
    except OSError:
        return None
    place = folder.resolve()
    best, found = -1, None
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        # Spaces in a mount's path are written as octal escapes.
        point = Path(re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), fields[4]))
        # Of mounts at one point, the last lies on top.
        if place.is_relative_to(point) and len(point.parts) >= best:
            best, found = len(point.parts), after.split()[0]
    return found


def refuse_network(folder: Path, mounts: Path | None = None) -> None:
    """Let a folder on a network file system not be used for a SQLite lab book.

    Raises:
        NetworkFolder: if it is on one.

    >>> import tempfile
    >>> table = Path(tempfile.mkdtemp()) / "mountinfo"
    >>> _ = table.write_text("36 35 0:33 / /home rw,relatime shared:1 - nfs4 server:/home rw\\n")
    >>> refuse_network(Path("/home/ada/run"), table)
    Traceback (most recent call last):
    quincunx.errors.NetworkFolder: '/home/ada/run' is on a network file system (nfs4), ...
    """
    kind = filesystem_of(folder, mounts)
    if kind is None:
        return
    inside = kind.removeprefix("fuse.")
    if kind in _NETWORK or (kind.startswith("fuse.") and inside.startswith(_NETWORK_IN_USERSPACE)):
        raise NetworkFolder(
            f"'{folder}' is on a network file system ({kind}), where SQLite's write-ahead log does not work and a lab book can be "
            "damaged; expected a local disk; give a PostgreSQL URL for the lab book, or run a single coordinator with its folder on "
            "a local disk"
        )
