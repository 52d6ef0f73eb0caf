"""The benchmark of disorder, made small: workers and coordinator killed, one simulation crashing and one hanging."""

import subprocess
import sys
from pathlib import Path

import pytest

CHAOS = Path(__file__).parents[2] / "benchmarks" / "chaos.py"


@pytest.mark.slow
def test_the_table_is_that_of_an_undisturbed_run():
    done = subprocess.run([sys.executable, CHAOS, "pool", "--n", "40"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "other rows equal the undisturbed run's                 True     True" in done.stdout
