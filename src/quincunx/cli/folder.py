"""The directory a run writes: every file it may hold, its provenance, and what it refuses to overwrite."""

import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from quincunx._version import __version__
from quincunx.errors import CorruptFile, OutputNotEmpty, UsageError

_PEERS = ("jax", "jaxlib", "equinox", "optax", "numpyro", "blackjax", "diffrax", "numpy")


class RunFolder:
    """One run's directory.

    posterior.qx      the posterior, for qx.load
    simulations.qx    every simulation, failed ones too
    before.qx         those that a method such as SALLY wants at its reference
    observation.json  the observation by name
    draws.csv         posterior draws, one column a parameter
    reference.csv     draws of the reference posterior, where a demo has one
    checks.json       what the checks found; checks.qx holds the arrays behind it
    report.html       all of it to read
    run.json          provenance: command, seed, versions, timings, warnings, status
    """

    def __init__(self, path: Path):
        self.path = path
        self.record: dict[str, Any] = {}

    posterior = property(lambda self: self.path / "posterior.qx")
    simulations = property(lambda self: self.path / "simulations.qx")
    before = property(lambda self: self.path / "before.qx")
    observation = property(lambda self: self.path / "observation.json")
    draws = property(lambda self: self.path / "draws.csv")
    reference = property(lambda self: self.path / "reference.csv")
    checks = property(lambda self: self.path / "checks.json")
    checks_value = property(lambda self: self.path / "checks.qx")
    report = property(lambda self: self.path / "report.html")
    run = property(lambda self: self.path / "run.json")

    @classmethod
    def begin(cls, path: Path, *, options: Mapping[str, Any], resume: bool) -> "RunFolder":
        """A new directory for a run with these options, or with ``resume`` the one an interrupted run left.

        Raises:
            OutputNotEmpty: it holds files, and this is not a resumption.
            UsageError: the run to resume had other options, so its simulations would not fit.
        """
        folder = cls(path)
        if path.exists() and any(path.iterdir()):
            if not resume:
                raise OutputNotEmpty(
                    f"{path} is not empty and nothing in it will be overwritten; choose another --out, "
                    "or add --resume to go on with an interrupted run"
                )
            folder.record = cls.open(path).record
            folder._same(options)
            folder.note(status="running")
            return folder
        path.mkdir(parents=True, exist_ok=True)
        folder.record = {
            "quincunx": 1,
            "status": "running",
            "command": command(),
            "options": dict(options),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": versions(),
            "seconds": {},
            "cpu_seconds": {},
            "warnings": [],
        }
        folder.write()
        return folder

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """The directory of a run that has begun.

        Raises:
            UsageError: it is not such a directory.
            CorruptFile: its run.json cannot be read.
        """
        folder = cls(path)
        if not folder.run.is_file():
            raise UsageError(f"{path} holds no run.json; give a directory that `quincunx infer --out` wrote")
        try:
            record = json.loads(folder.run.read_text())
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise CorruptFile(f"{folder.run} is not readable JSON ({error}); run the inference again") from error
        if not isinstance(record, dict) or "options" not in record:
            raise CorruptFile(
                f"{folder.run} was not written by Quincunx; give a directory that `quincunx infer --out` wrote"
            )
        folder.record = record
        return folder

    def trained(self) -> Path:
        """The saved posterior.

        Raises:
            UsageError: the run stopped before there was one.
        """
        if not self.posterior.is_file():
            raise UsageError(f"{self.path} holds no posterior yet; go on with: {self.record.get('command')} --resume")
        return self.posterior

    def _same(self, options: Mapping[str, Any]) -> None:
        before = self.record["options"]
        other = [name for name, value in options.items() if before.get(name) != value]
        if other:
            told = ", ".join(f"{name} was {before.get(name)!r} and is now {options[name]!r}" for name in other)
            raise UsageError(
                f"{self.path} cannot be resumed with other options ({told}); repeat the first command with --resume, "
                "or choose another --out"
            )

    def note(self, **facts: Any) -> None:
        """Add facts to run.json."""
        self.record |= facts
        self.write()

    def write(self) -> None:
        """Write run.json so that a reader sees the old or the new one, never half of it."""
        write_json(self.run, self.record)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add a step's wall and process CPU seconds to run.json, also when it is cut short."""
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            for name, spent in (("seconds", time.perf_counter() - wall), ("cpu_seconds", time.process_time() - cpu)):
                self.record[name][step] = round(self.record[name].get(step, 0.0) + spent, 3)
            self.write()


def first_free(name: str) -> Path:
    """``name``, or ``name-2``, ``name-3``, ... whichever does not exist or is empty."""
    path, number = Path(name), 1
    while path.exists() and (not path.is_dir() or any(path.iterdir())):
        number += 1
        path = Path(f"{name}-{number}")
    return path


def write_json(path: Path, value: Any) -> None:
    """Write JSON by way of a temporary neighbour, so that a kill leaves the old file."""
    from quincunx.lab.book.plain import plain

    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(plain(value), indent=1, allow_nan=False) + "\n")
    os.replace(draft, path)


def command() -> str:
    """The command line that is running, fit to be pasted into a shell."""
    return shlex.join(["quincunx", *sys.argv[1:]])


def resume_command() -> str:
    """The command line that goes on with this run."""
    return command() if "--resume" in sys.argv else f"{command()} --resume"


def versions() -> dict[str, str]:
    """What produced a result: this package, the ones that compute, Python and the platform."""
    found = {"quincunx": __version__, "python": platform.python_version(), "platform": platform.platform()}
    for peer in _PEERS:
        found[peer] = metadata.version(peer)
    return found
