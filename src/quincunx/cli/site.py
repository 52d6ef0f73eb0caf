"""Whether runs can be kept at a place and carried out from here: database, file system, disk, executors, schedulers."""

import importlib.util
import os
import shutil
from pathlib import Path
from typing import Any

from quincunx.errors import NetworkFolder, QuincunxError

_FEWEST_BYTES = 1e9
_SCHEDULERS = {"Slurm": "sbatch", "HTCondor": "condor_submit", "Kubernetes": "kubectl"}
_CONTAINERS = ("docker", "podman", "apptainer")


def examine_site(where: str) -> dict[str, Any]:
    """What there is to say of a folder or a database's URL as the place of a run; ``sound`` if a run can be kept there.

    >>> import tempfile
    >>> found = examine_site(tempfile.mkdtemp())
    >>> found["sound"], found["lab book"]
    (True, 'none yet')
    """
    on_server = "://" in where
    folder = Path.cwd() if on_server else _nearest(Path(where).absolute())
    kept, book = _lab_book(where, folder, on_server)
    free = shutil.disk_usage(folder).free
    writable = os.access(folder, os.W_OK)
    return {
        "sound": kept and writable and free > _FEWEST_BYTES,
        "folder": str(folder),
        "may be written": writable,
        "file system": _file_system(folder),
        "free disk": f"{free / 1e9:.3g} GB" + ("" if free > _FEWEST_BYTES else ", which is little"),
        "lab book": book,
        "executors": ", ".join(_executors()),
        "schedulers": ", ".join(name for name, program in _SCHEDULERS.items() if shutil.which(program)) or "none found",
        "containers": ", ".join(name for name in _CONTAINERS if shutil.which(name)) or "none found",
    }


def _nearest(path: Path) -> Path:
    """The folder itself, or the first above it that exists."""
    return next(place for place in (path, *path.parents) if place.is_dir())


def _file_system(folder: Path) -> str:
    from quincunx.lab.book.filesystem import filesystem_of, refuse_network

    kind = filesystem_of(folder) or "unknown"
    try:
        refuse_network(folder)
    except NetworkFolder:
        return f"{kind}, on a network: keep the lab book in PostgreSQL"
    return f"{kind}, local"


def _lab_book(where: str, folder: Path, on_server: bool) -> tuple[bool, str]:
    from quincunx.lab import open_book
    from quincunx.lab.book.filesystem import refuse_network
    from quincunx.lab.book.ledger import database_at
    from quincunx.lab.book.migrate import version_of

    try:
        if on_server:
            database = database_at(where, read_only=True)
            with database.read() as connection:
                version = version_of(connection)
            database.close()
            return True, "reachable, " + ("no tables yet" if version is None else f"schema {version}")
        refuse_network(folder)
        if not (Path(where) / "ledger.sqlite").is_file():
            return True, "none yet"
        with open_book(where, read_only=True) as book:
            return True, repr(book)
    except QuincunxError as error:
        return False, f"{type(error).__name__}: {error}"


def _executors() -> list[str]:
    found = ["in process (JAX, vectorised)", "a pool of processes"]
    dask = importlib.util.find_spec("distributed") is not None
    return [*found, "Dask" if dask else "no Dask (not installed)"]
