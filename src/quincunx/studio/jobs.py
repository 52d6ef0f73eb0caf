"""Commands that the page starts: the command line's own verbs, each in a process of its own, with no shell in between."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quincunx.errors import UsageError

__all__ = ["Job", "Jobs"]

_LINES = 200
_MOST_RUNNING = 4
_MOST_KEPT = 50


@dataclass(eq=False)
class Job:
    """A command that was started: what it is, for which place, since when, and the last lines that it said."""

    number: int
    place: str | None
    words: tuple[str, ...]
    process: subprocess.Popen[str]
    started: float
    leftovers: tuple[Path, ...] = ()
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_LINES))
    ended: float | None = None

    def facts(self) -> dict[str, Any]:
        """As the page is told of it; the exit code is the command line's: 0 done, 3 a check failed, 4 can be gone on with."""
        return {
            "number": self.number,
            "place": self.place,
            "command": ["quincunx", *self.words],
            "started": self.started,
            "ended": self.ended,
            "code": self.process.poll() if self.ended is not None else None,
            "lines": list(self.lines),
        }


class Jobs:
    """The commands of one studio, which work in `folder`; at most four at once, and only one on a place.

    >>> import tempfile
    >>> jobs = Jobs(Path(tempfile.mkdtemp()))
    >>> job = jobs.start(["list"], place=None)
    >>> jobs.wait(job)["code"]
    0
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._lock = threading.Lock()
        self._jobs: list[Job] = []
        self.changes = 0

    def start(self, words: Sequence[str], *, place: str | None, leftovers: Sequence[Path] = ()) -> Job:
        """Run `quincunx WORDS`; files in `leftovers` are removed when it has ended.

        Raises:
            UsageError: if something runs on this place already, or too much runs.
        """
        with self._lock:
            running = [job for job in self._jobs if job.ended is None]
            if place is not None and any(job.place == place for job in running):
                raise UsageError("something is under way on this run already; wait until it has ended, or interrupt it")
            if len(running) >= _MOST_RUNNING:
                raise UsageError(f"{_MOST_RUNNING} commands are under way already; wait until one has ended")
            process = subprocess.Popen(
                [sys.executable, "-m", "quincunx.cli", *words],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env={**os.environ, "NO_COLOR": "1", "COLUMNS": "120"},
            )
            number = self._jobs[-1].number + 1 if self._jobs else 1
            job = Job(number, place, tuple(words), process, time.time(), tuple(leftovers))
            self._jobs = [*self._jobs, job][-_MOST_KEPT:]
            self.changes += 1
        threading.Thread(target=self._follow, args=(job,), daemon=True).start()
        return job

    def _follow(self, job: Job) -> None:
        assert job.process.stdout is not None
        for line in job.process.stdout:
            job.lines.append(line.rstrip("\n"))
            self.changes += 1
        job.process.wait()
        for path in job.leftovers:
            path.unlink(missing_ok=True)
        job.ended = time.time()
        self.changes += 1

    def facts(self) -> list[dict[str, Any]]:
        """All of them, the newest first."""
        return [job.facts() for job in reversed(self._jobs)]

    def interrupt(self, number: int) -> None:
        """Ctrl-C: the command finishes what is under way and keeps it; a second time, it stops at once.

        Raises:
            UsageError: if no such command is under way.
        """
        for job in self._jobs:
            if job.number == number and job.ended is None:
                job.process.send_signal(signal.SIGINT)
                return
        raise UsageError("no such command is under way (any more)")

    def wait(self, job: Job, timeout: float = 60.0) -> dict[str, Any]:
        """Wait until a command has ended, at most `timeout` seconds; its facts."""
        until = time.monotonic() + timeout
        while job.ended is None and time.monotonic() < until:
            time.sleep(0.02)
        return job.facts()

    def close(self, patience: float = 10.0) -> None:
        """Interrupt whatever is under way, and wait for it; nothing that is in a book is lost either way."""
        running = [job for job in self._jobs if job.ended is None]
        for job in running:
            job.process.send_signal(signal.SIGINT)
        until = time.monotonic() + patience
        for job in running:
            try:
                job.process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                job.process.kill()
