"""One program to its end: nothing outlives its time, its memory, or us."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from quincunx.errors import CommandNotFound
from quincunx.model.command.memory import can_measure
from quincunx.model.command.process import Limits, run_process

VARIABLES = {"PATH": os.environ["PATH"]}


def run(script, folder, **limits):
    return run_process(["sh", "-c", script], folder=folder, variables=VARIABLES, limits=Limits(**limits))


def alive(pid):
    """Whether a process runs; one that has ended and is not reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] if can_measure() else "R"
        os.kill(pid, 0)
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def gone(pid, patience=5.0):
    until = time.monotonic() + patience
    while alive(pid):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def written(path, patience=10.0):
    """The number that a process writes to a file, once it is there."""
    until = time.monotonic() + patience
    while not path.is_file() or not path.read_text().endswith("\n"):
        assert time.monotonic() < until, f"nobody wrote {path}"
        time.sleep(0.02)
    return int(path.read_text())


def test_streams_are_files_and_the_exit_code_is_told(tmp_path):
    ended = run("echo out; echo err >&2; exit 7", tmp_path)
    assert (ended.outcome, ended.code) == ("failed", 7)
    assert (tmp_path / "stdout").read_text() == "out\n" and (tmp_path / "stderr").read_text() == "err\n"


def test_a_signal_is_named(tmp_path):
    ended = run("kill -SEGV $$", tmp_path)
    assert (ended.outcome, ended.code, ended.said(Limits())) == ("signal", signal.SIGSEGV, "ended by SIGSEGV")


def test_a_timeout_ends_grandchildren_too(tmp_path):
    began = time.monotonic()
    ended = run("sh -c 'echo $$ > grandchild; sleep 60; true' & sleep 60", tmp_path, timeout=0.5, grace=0.2)
    assert ended.outcome == "timeout" and time.monotonic() - began < 10
    assert gone(written(tmp_path / "grandchild"))


def test_who_ignores_the_request_to_stop_is_killed(tmp_path):
    ended = run("trap '' TERM; while :; do sleep 0.05; done", tmp_path, timeout=0.3, grace=0.3)
    assert ended.outcome == "timeout" and ended.seconds < 10


def test_who_heeds_it_may_tidy_up(tmp_path):
    ended = run("trap 'echo tidy > left; exit 0' TERM; while :; do sleep 0.02; done", tmp_path, timeout=0.5, grace=5)
    assert ended.outcome == "timeout" and (tmp_path / "left").read_text() == "tidy\n"


def test_what_is_left_running_in_the_group_is_ended(tmp_path):
    assert run("sleep 60 & echo $! > child", tmp_path).outcome == "ok"
    assert gone(written(tmp_path / "child"))


@pytest.mark.skipif(not can_measure(), reason="memory is measured on Linux only")
def test_memory_is_that_of_all_processes_together(tmp_path):
    hold = f"{sys.executable} -c 'import time; a = bytearray(60_000_000); time.sleep(60)'"
    ended = run(f"{hold} & {hold} & wait", tmp_path, memory=100_000_000, timeout=30, grace=0.2)
    assert ended.outcome == "oom" and ended.seconds < 30
    assert run("exit 0", tmp_path, memory=100_000_000).outcome == "ok"


def test_a_program_that_cannot_be_started(tmp_path):
    script = tmp_path / "no_interpreter"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    for program in (script, tmp_path / "missing"):
        with pytest.raises(CommandNotFound, match=f"{program.name}.*cannot be started"):
            run_process([str(program)], folder=tmp_path, variables=VARIABLES, limits=Limits())
    # A program of its own may end so too, and that is its failure.
    assert run("exit 127", tmp_path).outcome == "failed"


PARENT = textwrap.dedent("""
    import os, sys
    from pathlib import Path
    from quincunx.model.command.process import Limits, run_process
    script = "sh -c 'echo $$ > grandchild; sleep 60; true' & echo $$ > child; sleep 60; true"
    run_process(["sh", "-c", script], folder=Path(sys.argv[1]), variables={"PATH": os.environ["PATH"]}, limits=Limits())
""")


@pytest.mark.parametrize(
    ("number", "all_of_them"), [(signal.SIGINT, True), (signal.SIGTERM, True), (signal.SIGKILL, False)]
)
def test_our_end_is_its_end(number, all_of_them, tmp_path):
    """Ctrl-C and SIGTERM end the whole group; after SIGKILL, of which nobody is told, Linux ends the program itself."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stderr=subprocess.DEVNULL)
    child, grandchild = (written(tmp_path / name, 60) for name in ("child", "grandchild"))
    parent.send_signal(number)
    parent.wait(timeout=30)
    if all_of_them:
        assert gone(child) and gone(grandchild)
    else:
        if (
            sys.platform != "linux"
            or subprocess.run(["setpriv", "--pdeathsig", "KILL", "true"], check=False).returncode
        ):
            pytest.skip("there is no setpriv with --pdeathsig")
        try:
            assert gone(child)
        finally:
            os.kill(grandchild, signal.SIGKILL)
