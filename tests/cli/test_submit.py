"""Submitting workers from the command line."""

import os

import pytest

from .conftest import quincunx


@pytest.fixture
def run(tmp_path):
    """What looks like a run from outside."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "ledger.sqlite").touch()
    return tmp_path / "run"


def test_a_dry_run_prints_and_submits_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    done = quincunx("submit", "slurm", tmp_path / "run", "--jobs", 4, "--set", "partition=short", "--dry-run")
    assert done.exit_code == 0 and "#SBATCH --partition=short" in done.out and f"worker {tmp_path}/run" in done.out


def test_a_system_that_is_not_there_is_named(run, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    for system, program in (("slurm", "sbatch"), ("htcondor", "condor_submit"), ("kubernetes", "kubectl")):
        done = quincunx("submit", system, run, "--image", "a@sha256:1")
        assert done.exit_code == 1 and f"no program '{program}'" in done.err


def test_what_is_submitted_is_what_a_dry_run_prints(run, tmp_path, monkeypatch):
    program = tmp_path / "sbatch"
    program.write_text(f'#!/bin/sh\ncat "$1" > {tmp_path}/taken\necho Submitted batch job 7\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    printed = quincunx("submit", "slurm", run, "--time", "90m", "--dry-run").out
    done = quincunx("submit", "slurm", run, "--time", "90m")
    assert done.exit_code == 0 and "Submitted batch job 7" in done.err
    assert (tmp_path / "taken").read_text() == printed
    program.write_text("#!/bin/sh\necho no such partition >&2\nexit 1\n")
    assert "no such partition" in quincunx("submit", "slurm", run).err
    assert quincunx("submit", "slurm", run, "--set", "partition").exit_code == 2


def test_a_folder_without_a_run_is_refused(tmp_path):
    done = quincunx("submit", "slurm", tmp_path)
    assert done.exit_code == 1 and "UnknownRun" in done.err and "quincunx simulate" in done.err
