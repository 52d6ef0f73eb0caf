"""Running one program to its end: in a session of its own, within its time and memory, and never leaving anything behind."""

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from quincunx.errors import CommandNotFound, SimulationFailed
from quincunx.model.command.memory import resident

__all__ = ["Ended", "Limits", "run_process"]

_LOOK_SECONDS = 0.05
_NEARLY = 0.9


@dataclass(frozen=True)
class Limits:
    """Seconds by the clock, seconds between asking to stop and stopping, and bytes; None for no limit."""

    timeout: float | int | None = None
    grace: float | int = 5.0
    memory: int | None = None


@dataclass(frozen=True)
class Ended:
    """How a program ended, with its exit code or the number of the signal that ended it."""

    outcome: Literal["ok", "failed", "signal", "timeout", "oom"]
    code: int
    seconds: float

    def said(self, limits: Limits) -> str:
        """In words.

        >>> Ended("signal", 11, 0.2).said(Limits())
        'ended by SIGSEGV'
        """
        if self.outcome == "timeout":
            return f"no result within {limits.timeout:g} s"
        if self.outcome == "oom":
            return f"more memory than {(limits.memory or 0) / 1e6:g} MB"
        if self.outcome == "signal":
            return f"ended by {_signal_name(self.code)}"
        return f"exit code {self.code}"


def run_process(
    argv: Sequence[str], *, folder: Path, variables: Mapping[str, str], limits: Limits, after_kill: Any = None
) -> Ended:
    """Run a program in `folder`, with its output in the files `stdout` and `stderr` there.

    It leads a new session. When time or memory is over, its whole process group is asked to stop and, after the grace,
    killed; whatever of the group is left when it has ended is killed too. Memory is the resident memory of all processes
    of the session, looked at 20 times a second. Ctrl-C and SIGTERM here kill the group; on Linux the death of this
    process kills the program as well, where `setpriv` is installed.

    Raises:
        CommandNotFound: if there is no such program, or it cannot be executed.
        SimulationFailed: lost, if the system has no room for another process.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run_process(["sh", "-c", "exit 3"], folder=Path(folder), variables={"PATH": os.defpath}, limits=Limits()).code
    3
    """
    began = time.monotonic()
    with open(folder / "stdout", "wb") as out, open(folder / "stderr", "wb") as err:
        try:
            tie = _tied_to_parent()
            process = subprocess.Popen(
                [*tie, *argv],
                cwd=folder,
                env=dict(variables),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EACCES, errno.ENOEXEC):
                raise SimulationFailed("lost", f"'{argv[0]}' could not be started ({error})") from error
            raise _no_program(argv[0], error) from error
    stopped: Literal["timeout", "oom"] | None = None
    peak = 0
    with _killed_with_us(process.pid):
        try:
            while not _ended(process.pid, _next_look(began, limits)):
                if limits.memory is not None:
                    peak = max(peak, resident(process.pid))
                late = limits.timeout is not None and time.monotonic() - began >= limits.timeout
                if late or (limits.memory is not None and peak > limits.memory):
                    stopped = "timeout" if late else "oom"
                    _signal_group(process.pid, signal.SIGTERM)
                    _ended(process.pid, limits.grace)
                    break
        finally:
            # Not yet reaped, so that its number, which names the group, is no other's.
            _signal_group(process.pid, signal.SIGKILL)
            code = process.wait()
            if after_kill is not None and stopped is not None:
                after_kill()
    seconds = time.monotonic() - began
    if tie and code in (126, 127):
        with open(folder / "stderr", "rb") as err:
            said = err.readline().decode(errors="replace").strip()
        if said.startswith("setpriv:"):
            raise _no_program(argv[0], said)
    if stopped is not None:
        return Ended(stopped, abs(code), seconds)
    if code < 0:
        nearly = limits.memory is not None and code == -signal.SIGKILL and peak > _NEARLY * limits.memory
        return Ended("oom" if nearly else "signal", -code, seconds)
    return Ended("ok" if code == 0 else "failed", code, seconds)


def _no_program(program: str, said: object) -> CommandNotFound:
    return CommandNotFound(
        f"got '{program}', which cannot be started ({said}); expected a program or a script with a #! line; mend it, or "
        "name its interpreter first in argv"
    )


def _next_look(began: float, limits: Limits) -> float | int | None:
    """Seconds until there is something to look at: the clock, or memory."""
    left = None if limits.timeout is None else max(0.0, began + limits.timeout - time.monotonic())
    if limits.memory is None:
        return left
    return _LOOK_SECONDS if left is None else min(left, _LOOK_SECONDS)


def _ended(pid: int, patience: float | int | None) -> bool:
    """Wait until a child has ended, at most so many seconds, and leave it to be reaped."""
    flags = os.WEXITED | os.WNOWAIT
    if patience is None:
        os.waitid(os.P_PID, pid, flags)
        return True
    until, pause = time.monotonic() + patience, 0.0005
    while os.waitid(os.P_PID, pid, flags | os.WNOHANG) is None:
        left = until - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        pause = min(2 * pause, 0.02)
    return True


def _signal_group(group: int, number: int) -> None:
    # Some systems refuse to signal a group of which only the unreaped leader is left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


@contextlib.contextmanager
def _killed_with_us(group: int) -> Iterator[None]:
    """Pass SIGTERM, by which worker processes are stopped, on to the group as its end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: Any) -> None:
        _signal_group(group, signal.SIGKILL)
        signal.signal(number, before)
        os.kill(os.getpid(), number)

    before = signal.getsignal(signal.SIGTERM) or signal.SIG_DFL
    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _tied_to_parent() -> list[str]:
    """A prefix that has Linux kill the program when the thread that started it ends: that one waits for it, so at our death only."""
    program = _setpriv()
    return [] if program is None else [program, "--pdeathsig", "KILL", "--"]


@cache
def _setpriv() -> str | None:
    program = shutil.which("setpriv")
    if program is None:
        return None
    tried = subprocess.run([program, "--pdeathsig", "KILL", "--", "true"], capture_output=True, check=False)
    return program if tried.returncode == 0 else None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
