"""Commands that the page starts: the command line's own verbs, each in a process of its own, with no shell in between."""

import contextlib
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
_MOST_UNDER_WAY = 8
_MOST_KEPT = 50


@dataclass(eq=False)
class Job:
    """A command that was asked for: what it is, for which place, since when, and the last lines that it said.

    It waits while another is under way on its place; `process` is there once it has begun.
    """

    number: int
    place: str | None
    words: tuple[str, ...]
    asked: float
    leftovers: tuple[Path, ...] = ()
    process: subprocess.Popen[str] | None = None
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_LINES))
    unwanted: bool = False
    over: threading.Event = field(default_factory=threading.Event)
    ended: float | None = None

    def facts(self) -> dict[str, Any]:
        """As the page is told of it; the exit code is the command line's: 0 done, 3 a check failed, 4 can be gone on with."""
        return {
            "number": self.number,
            "place": self.place,
            "command": ["quincunx", *self.words],
            "asked": self.asked,
            "begun": self.process is not None,
            "ended": self.ended,
            "code": None if self.process is None or self.ended is None else self.process.returncode,
            "lines": list(self.lines),
        }


class Jobs:
    """The commands of one studio, which work in `folder`; those on one place come one after another.

    >>> import tempfile
    >>> jobs = Jobs(Path(tempfile.mkdtemp()))
    >>> jobs.wait(jobs.start(["--version"], place=None))["code"]
    0
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.changes = 0
        self._lock = threading.Lock()
        self._jobs: list[Job] = []
        self._turns: dict[str, threading.Lock] = {}

    def start(self, words: Sequence[str], *, place: str | None, leftovers: Sequence[Path] = ()) -> Job:
        """Run `quincunx WORDS`, when it is its turn; files in `leftovers` are removed when it has ended.

        Raises:
            UsageError: if too much is under way.
        """
        with self._lock:
            if sum(job.ended is None for job in self._jobs) >= _MOST_UNDER_WAY:
                raise UsageError(f"{_MOST_UNDER_WAY} commands are under way already; wait until one has ended")
            number = self._jobs[-1].number + 1 if self._jobs else 1
            job = Job(number, place, tuple(words), time.time(), tuple(leftovers))
            self._jobs = [*self._jobs, job][-_MOST_KEPT:]
            self.changes += 1
            turn = threading.Lock() if place is None else self._turns.setdefault(place, threading.Lock())
        threading.Thread(target=self._follow, args=(job, turn), daemon=True).start()
        return job

    def _follow(self, job: Job, turn: threading.Lock) -> None:
        with turn:
            process = self._begin(job)
            if process is not None:
                assert process.stdout is not None
                for line in process.stdout:
                    job.lines.append(line.rstrip("\n"))
                    self.changes += 1
                process.wait()
            for path in job.leftovers:
                path.unlink(missing_ok=True)
            job.ended = time.time()
            self.changes += 1
            job.over.set()

    def _begin(self, job: Job) -> subprocess.Popen[str] | None:
        """Its process, unless it was interrupted while it waited."""
        with self._lock:
            if not job.unwanted:
                job.process = subprocess.Popen(
                    [sys.executable, "-m", "quincunx.cli", *job.words],
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    env={**os.environ, "NO_COLOR": "1", "COLUMNS": "120"},
                )
            self.changes += 1
            return job.process

    def facts(self) -> list[dict[str, Any]]:
        """All of them, the newest first."""
        return [job.facts() for job in reversed(self._jobs)]

    def interrupt(self, number: int) -> None:
        """Ctrl-C: the command finishes what is under way and keeps it; a second time, it stops at once. One that waits never begins.

        Raises:
            UsageError: if no such command is under way.
        """
        with self._lock:
            for job in self._jobs:
                if job.number == number and job.ended is None:
                    job.unwanted = True
                    if job.process is not None:
                        job.process.send_signal(signal.SIGINT)
                    return
        raise UsageError("no such command is under way (any more)")

    def wait(self, job: Job, timeout: float = 60.0) -> dict[str, Any]:
        """Wait until a command has ended, at most `timeout` seconds; its facts."""
        job.over.wait(timeout)
        return job.facts()

    def close(self, patience: float = 10.0) -> None:
        """Interrupt whatever is under way, and wait for it; nothing that is in a book is lost either way."""
        under_way = [job for job in self._jobs if job.ended is None]
        for job in under_way:
            with contextlib.suppress(UsageError):
                self.interrupt(job.number)
        until = time.monotonic() + patience
        for job in under_way:
            self.wait(job, max(0.1, until - time.monotonic()))
            if job.ended is None and job.process is not None:
                job.process.kill()
