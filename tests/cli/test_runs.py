"""Runs from the shell: begun, looked at, killed, gone on with, answered, exported; and what is refused on the way."""

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
from quincunx.lab import open_book

from .conftest import SIMULATOR, quincunx

QUICK = 'study = qx.Study(line, "volts.csv", method=qx.NPE(density="gaussian", members=1, settings=FitSettings(epochs=3)), budget=300, key=7)'
SLOW = """
import time
import numpyro.distributions as dist
import quincunx as qx

@qx.simulator(qx.Prior(level=dist.Normal(0.0, 1.0)))
def simulator(theta, *, rng, design=None):
    time.sleep(0.02)
    return theta["level"] + rng.normal(size=3)

budget = 300
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """A study in a folder of its own, beside its observation."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "study.py").write_text(SIMULATOR + "\nfrom quincunx.learn import FitSettings\n" + QUICK + "\n")
    (folder / "volts.csv").write_text("volts\n1.1\n1.4\n2.1\n2.4\n3.0\n")
    return folder


@pytest.fixture(scope="module")
def run(study) -> Path:
    """A run of it that has simulated and not answered."""
    done = quincunx("simulate", study / "study.py", "--out", study / "run", "--batch", 100, "--json")
    assert done.exit_code == 0, done.err
    assert done.json["simulations"] == 300 and done.json["batches"]["done"] == 3
    return study / "run"


def test_a_run_holds_what_a_file_would(study, run):
    assert quincunx("simulate", study / "study.py", "--out", study / "all.npz").exit_code == 0
    assert (
        quincunx("simulate", study / "study.py", "--out", study / "tail.qx", "--start", 200, "-n", 100).exit_code == 0
    )
    whole = qx.Simulations.load(study / "all.npz")
    with open_book(run, read_only=True) as book:
        np.testing.assert_array_equal(book.simulations().x, whole.x)
        assert book.config["source"] == str(study / "study.py") and len(book.config["sha256"]) == 64
    np.testing.assert_array_equal(qx.load(study / "tail.qx").x, whole.x[200:])
    assert quincunx("simulate", study / "study.py", "--out", study / "all.csv", "-n", 5).exit_code == 0
    first, *rows = (study / "all.csv").read_text().splitlines()
    assert first.split(",")[:3] == ["simulation", "level", "slope"] and len(rows) == 5
    assert np.float32(rows[4].split(",")[1]) == whole.theta["level"][4]


def test_status_tells_people_and_machines(run):
    done = quincunx("status", run)
    assert done.exit_code == 0 and "300 of 300" in done.out and "3 done" in done.out and "planned" in done.out
    assert quincunx("status", run, "--json").json["batches"]["done"] == 3
    assert quincunx("status", run, "--watch", 0.2, "--json").json["missing"] == 0


def test_resume_answers_and_does_it_once(study, run):
    first = quincunx("resume", run, "--json")
    assert first.exit_code == 0, first.err
    assert first.json["saved"] == 300 and set(first.json["summary"]) == {"level", "slope"}
    assert (run / "report.html").is_file()
    assert quincunx("resume", run, "--json").json["posterior"] == first.json["posterior"]
    more = quincunx("resume", run, "-n", 350, "--json")
    assert more.json["simulations"] == 350 and more.json["posterior"] != first.json["posterior"]
    out = study / "tree"
    assert quincunx("export", run, "arviz", out).exit_code == 0
    import xarray

    assert {"posterior", "prior", "prior_predictive"} <= set(xarray.open_datatree(out, engine="zarr").children)


def test_a_run_is_learned_from_by_infer_and_by_train(study, run):
    out = study / "answer"
    done = quincunx("infer", run, "--out", out, "--json", "--draws", 200)
    assert done.exit_code == 0, done.err
    record = json.loads((out / "run.json").read_text())
    assert record["options"]["run"] == str(run) and record["options"]["source"] == str(study / "study.py")
    trained = study / "trained.qx"
    assert quincunx("train", run, "--out", trained, "--seed", 7).exit_code == 0
    assert quincunx("infer", run, "--trained", trained, "--out", study / "same", "--draws", 200).exit_code == 0
    assert (study / "same" / "draws.csv").read_text() == (out / "draws.csv").read_text()


@pytest.mark.parametrize("format", ["zarr", "parquet", "npz"])
def test_exports_of_simulations(study, run, format):
    out = study / f"exported.{format}"
    assert quincunx("export", run, format, out).exit_code == 0 and out.exists()
    assert quincunx("export", run, format, out).exit_code == 2, "nothing is overwritten"


@pytest.mark.parametrize("of", [(), ("--from", "two_moons"), ("--from", "line.py")])
def test_init_writes_a_study_that_runs_as_it_stands(tmp_path, of):
    (tmp_path / "line.py").write_text(SIMULATOR)
    given = [tmp_path / part if part == "line.py" else part for part in of]
    folder = tmp_path / "new"
    done = quincunx("init", folder, *given)
    assert done.exit_code == 0, done.err
    assert [path.name for path in folder.iterdir()] == ["study.py"]
    done = quincunx("simulate", folder / "study.py", "--out", folder / "run", "-n", 40)
    assert done.exit_code == 0, done.err
    assert quincunx("init", folder).exit_code == 2


def test_a_database_on_a_server_needs_a_folder_and_a_name(study):
    done = quincunx("simulate", study / "study.py", "--out", "postgresql://nobody@127.0.0.1:1/lab")
    assert done.exit_code != 0 and "--folder" not in done.out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("status", "nowhere"), 1, "UnknownRun"),
        (("resume", "nowhere"), 1, "UnknownRun"),
        (("export", "two_moons", "zarr", "out.zarr"), 2, "is no run"),
        (("export", "two_moons", "reana", "out"), 2, "--image"),
        (("train", "two_moons", "--out", "t.qx"), 2, "nothing to learn from"),
        (("simulate", "two_moons", "--out", "out.qx", "--batch", "5"), 2, "for a run"),
        (("simulate", "two_moons", "--out", "out", "--start", "5"), 2, "for a file"),
        (("init", "new", "--from", "no_such_problem"), 2, "UnknownProblem"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, monkeypatch, arguments, code, says):
    monkeypatch.chdir(tmp_path)
    done = quincunx(*arguments)
    assert done.exit_code == code and says in done.err, done.err
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_there_and_a_file_that_changed_are_refused(tmp_path):
    (tmp_path / "study.py").write_text(SIMULATOR)
    run = tmp_path / "run"
    assert quincunx("simulate", tmp_path / "study.py", "--out", run, "-n", 40).exit_code == 0
    again = quincunx("simulate", tmp_path / "study.py", "--out", run, "-n", 40)
    assert again.exit_code == 2 and f"quincunx resume {run}" in again.err
    (tmp_path / "study.py").write_text(SIMULATOR.replace("0.2", "0.3"))
    changed = quincunx("resume", run)
    assert changed.exit_code == 2 and "has changed" in changed.err


def test_a_run_begun_from_python_says_that_it_cannot_be_found_again(tmp_path):
    qx.lab.begin_book(tmp_path / "run", key=0).close()
    done = quincunx("resume", tmp_path / "run")
    assert done.exit_code == 2 and "carry_out" in done.err


def test_too_many_failures_end_a_run_with_the_place_and_what_to_do(tmp_path):
    text = SLOW.replace("time.sleep(0.02)", "assert theta['level'] < 0.0, 'no root'")
    (tmp_path / "study.py").write_text(text)
    done = quincunx("simulate", tmp_path / "study.py", "--out", tmp_path / "run", "--workers", 0, "-n", 100)
    assert done.exit_code == 1 and done.err.count("TooManyFailures") == 1
    assert "mostly at high level" in done.err and "no root" in done.err and "--failure-budget" in done.err
    done = quincunx("resume", tmp_path / "run", "--failure-budget", 0.9, "--workers", 0, "--json")
    assert done.exit_code == 0 and done.json["simulations"] == 100


def start(folder: Path, *arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "quincunx.cli", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for_batches(folder: Path, count: int, process: subprocess.Popen) -> None:
    until = time.monotonic() + 240.0
    while len(list((folder / "run" / "shards").glob("r*.npz"))) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.05)


@pytest.mark.parametrize("how", ["once", "twice", "killed"])
def test_interrupted_and_gone_on_with_ends_where_no_interruption_would_have(tmp_path, how):
    (tmp_path / "study.py").write_text(SLOW)
    process = start(tmp_path, "simulate", "study.py", "--out", "run", "--batch", 30, "--workers", 0)
    wait_for_batches(tmp_path, 2, process)
    os.kill(process.pid, signal.SIGKILL if how == "killed" else signal.SIGINT)
    if how == "twice":
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    if how == "killed":
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 4, err
        assert "quincunx resume run" in err
    state = quincunx("status", tmp_path / "run", "--json").json
    # A kill may come between a shard and its report: then it is opening the run that adopts the shard.
    assert (30 if how == "killed" else 60) <= state["done"] < 300
    if how != "killed":
        assert state["batches"]["leased"] == 0, "what was begun is finished or given back"
    done = quincunx("resume", tmp_path / "run", "--json", "--workers", 0)
    assert done.exit_code == 0, done.err
    assert done.json["saved"] >= 60 and done.json["simulations"] == 300
    with open_book(tmp_path / "run", read_only=True) as book:
        sims = book.simulations()
    assert quincunx("simulate", tmp_path / "study.py", "--out", tmp_path / "whole.qx", "--workers", 0).exit_code == 0
    np.testing.assert_array_equal(sims.x, qx.load(tmp_path / "whole.qx").x)


def test_training_that_is_interrupted_is_no_answer(tmp_path):
    endless = "settings=FitSettings(epochs=1_000_000, patience=1_000_000)"
    text = SIMULATOR + "\nfrom quincunx.learn import FitSettings\n"
    text += (
        f'study = qx.Study(line, [1.1, 1.4, 2.1, 2.4, 3.0], method=qx.NPE(density="gaussian", {endless}), budget=60)\n'
    )
    (tmp_path / "study.py").write_text(text)
    assert quincunx("simulate", tmp_path / "study.py", "--out", tmp_path / "run").exit_code == 0
    process = start(tmp_path, "resume", "run")
    # off a terminal, progress is a line every ten seconds: the first of training says that it has begun
    assert any(line.startswith("training: ") for line in process.stderr)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 4 and "quincunx resume run" in err
    with open_book(tmp_path / "run", read_only=True) as book:
        assert book.artefacts("posterior") == []


def test_doctor_looks_at_the_place_of_a_run(run, tmp_path):
    site = quincunx("doctor", run, "--json").json["site"]
    assert site["sound"] and site["lab book"].startswith("Book of run 'run'") and site["free disk"].split()[1] == "GB"
    assert "lab book" in quincunx("doctor", tmp_path / "not" / "there").out
    unreachable = quincunx("doctor", "postgresql://nobody@127.0.0.1:1/lab", "--json")
    assert unreachable.exit_code == 1
    assert unreachable.json["site"]["lab book"].split(":")[0] in ("LedgerUnreachable", "MissingExtra")
