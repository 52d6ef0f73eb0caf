"""Ctrl-C: what is done is kept, exit code 4 and the command that goes on, and going on ends where no interruption would have."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import quincunx as qx

from .conftest import quincunx

SLOW = """
import time
import numpy as np, numpyro.distributions as dist
import quincunx as qx

@qx.simulator(qx.Prior(level=dist.Normal(0.0, 1.0)), observables="volts")
def slow(theta, *, rng, design=None):
    open("began", "a").close()
    time.sleep(0.02)
    return theta["level"] + rng.normal(size=3)
"""


def start(folder: Path, *more: str) -> subprocess.Popen:
    arguments = [
        sys.executable, "-m", "quincunx.cli", "infer", "slow.py", "--data", "volts.csv", "--out", "out",
        "--budget", "400", "--draws", "300", "--set", "density=gaussian", *more,
    ]  # fmt: skip
    return subprocess.Popen(
        arguments, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for(condition, process: subprocess.Popen, seconds: float = 240.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.05)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "volts.csv").write_text("volts\n0.5\n0.1\n1.2\n")
    return tmp_path


def status(folder: Path) -> dict:
    return json.loads((folder / "out" / "run.json").read_text())


def test_interrupted_while_simulating(folder):
    process = start(folder, "--set", "epochs=3", "--json")
    # eight seconds of simulating follow the first simulation
    wait_for(lambda: (folder / "began").exists() and (folder / "out" / "observation.json").exists(), process)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    error = json.loads(out)["error"]
    assert process.returncode == 4, err
    assert error["kind"] == "Interrupted" and error["resume"].endswith("--resume") and error["resume"] in err
    assert status(folder)["status"] == "interrupted"
    # on a machine too busy to finish one simulation in that time there is nothing to keep
    written = (folder / "out" / "simulations.qx").exists()
    kept = len(qx.load(folder / "out" / "simulations.qx")) if written else 0
    assert kept < 400

    process = start(folder, "--set", "epochs=3", "--resume")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert not kept or f"{kept:,} simulations were there already" in err
    assert status(folder)["status"] == "done"
    sims = qx.load(folder / "out" / "simulations.qx")
    assert list(sims.index) == list(range(400))

    (folder / "out").rename(folder / "interrupted")
    process = start(folder, "--set", "epochs=3")
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    whole = qx.load(folder / "out" / "simulations.qx")
    np.testing.assert_array_equal(whole.x, sims.x)
    assert (folder / "out" / "draws.csv").read_text() == (folder / "interrupted" / "draws.csv").read_text()


def test_interrupted_while_training(folder):
    endless = ("--set", "epochs=1000000", "--set", "patience=1000000")
    process = start(folder, *endless)
    # off a terminal, progress is a line every ten seconds: the first of training says that it has begun
    assert any(line.startswith("training: ") for line in process.stderr)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 4, err
    assert "Interrupted" in err and "--resume" in err
    assert status(folder)["status"] == "interrupted"
    posterior = qx.load(folder / "out" / "posterior.qx")
    assert np.isfinite(posterior.sample(10, key=0)["level"]).all()


def test_a_file_with_a_part_of_the_simulations_is_kept_and_said_to_be_one(tmp_path):
    (tmp_path / "cut.py").write_text(
        "import numpyro.distributions as dist\n"
        "import quincunx as qx\n"
        "calls = []\n"
        "@qx.simulator(qx.Prior(a=dist.Normal(0.0, 1.0)))\n"
        "def cut(theta, *, rng):\n"
        "    calls.append(1)\n"
        "    if len(calls) == 60:\n"
        "        raise KeyboardInterrupt\n"
        "    return rng.normal(theta['a'], 1.0, 2)\n"
    )
    out = tmp_path / "part.qx"
    done = quincunx("simulate", tmp_path / "cut.py", "-n", 100, "--out", out, "--workers", 0)
    assert done.exit_code == 1 and "Interrupted: interrupted after" in done.err and "of 100 simulations" in done.err
    assert 3 <= len(qx.load(out)) < 60
