"""The figures of the benchmarks, reduced: writers that share a run, and writers that are killed."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [["writers.py", "--kills", "20", "--batches", "50"], ["shards.py"]], ids=lambda a: a[0]
)
def test_the_limits_hold(arguments):
    done = subprocess.run([sys.executable, BENCHMARKS / arguments[0], *arguments[1:]], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
