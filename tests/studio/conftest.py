"""A shelf with a loop, a run with failures, and an answer; a studio over it, in this process or in one of its own."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpyro.distributions as dist
import pytest

import quincunx as qx
from quincunx.check.report import Report
from quincunx.check.result import TestResult
from quincunx.lab.answer_standing import DRAWN
from quincunx.lab.book.reading import read_book
from quincunx.lab.drawn import AnswerDraws
from quincunx.model import Prior, wrap
from quincunx.run import Simulations, write_shard

EVIL = '<img src=x onerror="document.title=1">'
SIMULATOR = wrap(lambda theta, *, rng: rng.normal(theta["mu"], 1.0, 2), Prior(mu=dist.Normal(0.0, 1.0)), name=EVIL)


def fill(book, n, *, size, failing=0):
    """Do all of a plan by counting: every simulation of a batch beyond the first `size - failing` fails."""
    book.plan(n, size=size, simulator=SIMULATOR)
    while held := book.lease("worker", 60.0):
        mu = np.linspace(-2, 2, held.n, dtype=np.float32)
        x = np.stack([mu, mu], axis=1)
        x[held.n - failing :] = np.nan
        said = {int(i): f"diverged {EVIL}" for i in range(held.first + held.n - failing, held.first + held.n)}
        sims = replace(
            Simulations.of({"mu": mu}, x),
            index=np.arange(held.first, held.first + held.n),
            messages=said,
        )
        book.complete(held, write_shard(sims, book.shard_folder, key=book.key, round=held.round))
    return book


def loop_in(folder, *, told=2):
    """A loop on the threshold problem with some experiments told, the next one proposed, and a source to go on by."""
    problem = qx.gallery.load("threshold")
    designer = qx.Designer(qx.Space(level=[-1.0, 0.0, 1.0]), events=5, rounds=4, n=64, inner=64)
    study = qx.Study(problem.simulator, designer=designer, experiment=qx.mock(problem.simulator, {"theta": 0.5}))
    book = qx.lab.begin_book(folder, key=0, config={"source": "threshold", "seed": 0, "loop": True})
    loop = qx.Loop(study, book)
    loop.run(most=told)
    return loop


def study_in(folder):
    """A run of a study with its answer, as the book keeps what is shown of it."""
    book = fill(qx.lab.begin_book(folder, key=0), 200, size=100)
    rng = np.random.default_rng(0)
    observed = np.array([0.5, -0.5], np.float32)
    shown = AnswerDraws(
        ("b", EVIL), rng.normal(size=(500, 2)), 3 * rng.normal(size=(500, 2)), np.array([[-np.inf, np.inf]] * 2),
        ("x", "y"), observed, rng.normal(size=(50, 2)),
    )  # fmt: skip
    row = {"mean": 0.1, "sd": 1.0, "68% low": -0.9, "68% high": 1.1, "95% low": -1.9, "95% high": 2.1, "ess": 500.0}
    facts = {
        "posterior": "0" * 64,
        "columns": ["b", EVIL],
        "method": "npe",
        "simulations": 200,
        "summary": {EVIL: row, "b": row},
        "warnings": [f"look out {EVIL}"],
        "replicates": 50,
    }
    book.artefact(shown, DRAWN, name="draws.qx", facts=facts)
    book.close()


def answer_in(folder):
    """What `quincunx infer` leaves, but for the network."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    np.savetxt(folder / "draws.csv", rng.normal(size=(500, 2)), delimiter=",", header="a,b", comments="")
    ranks = {"ranks": rng.integers(0, 100, 300), "draws": np.array(99)}
    told = {
        "levels": np.linspace(0.05, 0.95, 19),
        "coverage": np.linspace(0.05, 0.95, 19),
        "hpd_levels": rng.random(300),
    }
    seen = {"observed": np.zeros(2), "replicates": rng.normal(size=(200, 2))}
    report = Report(
        (
            TestResult("sbc: a", "Is a ranked uniformly?", 0.4, 0.0, 300, detail=ranks),
            TestResult("coverage", "Do regions hold the truth?", 0.3, 0.0, 300, detail=told),
            TestResult("posterior predictive", "Like the observation?", 0.2, 0.0, 200, detail=seen),
        )
    )
    report.save(folder / "checks.qx")
    (folder / "checks.json").write_text(json.dumps(report.to_dict()))
    row = {"mean": 0.1, "sd": 1.0, "68% low": -0.9, "68% high": 1.1, "95% low": -1.9, "95% high": 2.1, "ess": 500.0}
    record = {
        "quincunx": 1,
        "status": "done",
        "checked": "pass",
        "command": f"quincunx infer {EVIL}",
        "options": {"source": "two_moons", "method": "npe", "budget": 1000},
        "summary": {"theta": row, "b": row},
        "warnings": [f"look out {EVIL}"],
        "started": "2026-01-02T03:04:05+00:00",
        "versions": {"quincunx": "0"},
        "cpu_seconds": {"train": 2.0},
    }
    (folder / "run.json").write_text(json.dumps(record))
    return folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("shelf")
    loop_in(root / "loop")
    fill(qx.lab.begin_book(root / "deep" / "simulated", key=0), 600, size=200, failing=20).note("seen", text=EVIL)
    study_in(root / "study")
    answer_in(root / "answer")
    (root / "broken").mkdir()
    (root / "broken" / "ledger.sqlite").write_bytes(b"this is no database" * 100)
    return root


@pytest.fixture
def serve(tmp_path):
    """Start studios in processes of their own, which end with the test."""
    started = []

    def start(root, *more):
        process = subprocess.Popen(
            [sys.executable, "-m", "quincunx.cli", "studio", str(root), *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        started.append(process)
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), process.stderr.read()
        lines = []
        threading.Thread(target=lambda: lines.extend(process.stderr), daemon=True).start()
        return SimpleNamespace(process=process, address=address, lines=lines)

    yield start
    for process in started:
        process.terminate()
    for process in started:
        assert process.wait(20) == 0


def book_of(folder):
    return read_book(Path(folder))
