"""The Weinberg angle by programs outside: worked problems, experiments of their own, and loops on both."""

import dataclasses
import importlib.util
import json
import sys

import jax
import numpy as np
import pytest
from typer.testing import CliRunner

import quincunx as qx
from quincunx import gallery
from quincunx.cli.main import app
from quincunx.errors import ExperimentFailed, MissingExtra, UsageError
from quincunx.gallery.weinberg_external import FOLDER, LEARN, S2
from quincunx.lab import emulator, learn_likelihood
from quincunx.lab.loop.measuring import measure

INSIDE = gallery.load("weinberg")
needs_snakemake = pytest.mark.skipif(
    importlib.util.find_spec("snakemake") is None, reason="the extra snakemake is not installed"
)


def exact(history):
    """Mean and sd of s2 by the density 3/8 (1 + c^2 + A c), on a grid of 2000 cells between 0.20 and 0.25."""
    from quincunx.gallery.electroweak import asymmetry

    s2 = 0.20 + 0.05 * (np.arange(2000) + 0.5) / 2000
    total = np.zeros(2000)
    for one in history.experiments:
        c = one.x.reshape(-1)
        a = np.asarray(asymmetry(s2, one.design["energy"]), float)[:, None]
        total += np.log1p(c**2 + a * c).sum(axis=1)
    weight = np.exp(total - total.max())
    weight /= weight.sum()
    mean = weight @ s2
    return mean, np.sqrt(weight @ (s2 - mean) ** 2)


def looped(study, where):
    with qx.lab.begin_book(where, key=study.key) as book:
        loop = qx.Loop(study, book)
        return loop.run(), loop.history, loop.timeline()


def test_the_problem_is_that_of_the_gallery_with_programs_in_its_place():
    problem = gallery.load("weinberg_command")
    assert problem.observation(1).shape == (200, 1) and problem.space == INSIDE.space
    assert problem.simulator.outcome_at(problem.default_design).columns == ("cosine",) and problem.prior.names == (
        "s2",
    )
    row = next(row for row in gallery.table() if row["name"] == problem.name)
    assert (row["dim_theta"], row["dim_x"], row["truth"]) == (1, 1, "posterior")


def test_an_experiment_is_a_program_of_its_own():
    """It is told settings, events and a run; its events are those of the angle it hides, to the bit."""
    from quincunx.gallery.weinberg_commands import generate

    problem = gallery.load("weinberg_command")
    x = measure(problem.experiment, {"energy": 41.0}, events=500, key=jax.random.key(3))
    again = measure(problem.experiment, {"energy": 41.0}, events=500, key=jax.random.key(3))
    assert x.shape == (500, 1) and (x == again).all()
    a = generate.asymmetry(S2, 41.0)
    # E c = A / 4, var c <= E c^2 = 2 / 5
    assert abs(x.mean() - a / 4) < 4 * np.sqrt(0.4 / 500)
    with pytest.raises(ExperimentFailed, match="strength"):
        measure(problem.experiment, {"strength": 1.0}, events=5, key=jax.random.key(3))
    with pytest.raises(UsageError, match="beside"):
        qx.instrument("measure.toml", argv=["true"])


def test_a_loop_on_an_external_experiment_is_right_where_the_density_is(tmp_path):
    """The exact density as the likelihood: the loop's posterior is the exact one on the same data, but for its draws; one run an experiment."""
    problem = gallery.load("weinberg_command")
    designer = qx.Designer(
        qx.Space(energy=[41.0, 47.0]),
        events=200,
        rounds=2,
        n=64,
        inner=64,
        estimator=INSIDE.truth.log_likelihood,
        emulator=INSIDE.simulator,
    )
    study = qx.Study(problem.simulator, problem.experiment, designer=designer, key=0)
    knowledge, history, timeline = looped(study, tmp_path / "run")
    assert [row["events"] for row in timeline] == [200, 200] and len(history) == 2
    mean, sd = exact(history)
    draws = knowledge.draws[:, 0]
    # resampled from no fewer than 2000 effective draws
    assert abs(draws.mean() - mean) < 4 * sd / np.sqrt(2000) and abs(draws.std() / sd - 1) < 4 / np.sqrt(2 * 2000)


def test_without_snakemake_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="snakemake"):
        qx.instrument(snakefile=FOLDER / "measure.smk", outputs={"x": "measured/{i}.json"})


@pytest.fixture(scope="module")
def learned():
    problem = gallery.load("weinberg_command")
    designer = qx.Designer(qx.Space(problem.space), events=200, rounds=2, n=64, inner=64)
    study = qx.Study(problem.simulator, problem.experiment, designer=designer, key=0)
    likelihood = learn_likelihood(study, 256, events=5000, key=0)
    own = dataclasses.replace(designer, estimator=likelihood, emulator=emulator(problem.simulator, likelihood))
    return dataclasses.replace(study, designer=own)


@pytest.mark.slow
def test_the_full_loop_on_programs_finds_the_exact_posterior(learned, tmp_path):
    knowledge, history, _ = looped(learned, tmp_path / "run")
    mean, sd = exact(history)
    draws = knowledge.draws[:, 0]
    assert abs(draws.mean() - mean) < sd and abs(draws.mean() - S2) < 4 * sd


@pytest.mark.slow
def test_learned_loops_cover(learned):
    found = qx.rehearse(learned, 100, designs=[{"energy": 41.0}, {"energy": 46.5}], key=1)
    assert found.covers(), found


def test_what_cannot_be_meant_in_the_shell_is_refused(tmp_path):
    for words, said in (
        (["--learn-events", "5"], "--learn N"),
        (["--experiment", "measure.toml", "--mock"], "one of them"),
    ):
        done = CliRunner().invoke(app, ["loop", "weinberg_command", "--run", str(tmp_path / "run"), *words])
        assert done.exit_code == 2 and said in done.stderr and not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_shell_runs_the_full_loop(tmp_path):
    """Learned from 100 runs of 1000 events; measured by a program that a file declares, in the place of the problem's own."""
    (tmp_path / "measure.toml").write_text(
        f'argv = [{json.dumps(sys.executable)}, "{{code.measure}}", "--energy", "{{design.energy}}", "--events", "{{events}}", '
        f'"--run", "{{seed}}", "--out", "{{output.x}}"]\ncode = [{json.dumps(str(FOLDER / "measure.py"))}]\n'
        '[outputs.x]\npath = "x.json"\nselect = "cosines"\nshape = [1]\n'
    )
    words = ["loop", "weinberg_command", "--run", str(tmp_path / "run"), "--rounds", "1", "--learn", "100", "--json"]
    words += ["--learn-events", "1000", "--experiment", str(tmp_path / "measure.toml"), "--settings", "energy=[41,47]"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["state"] == "stopped" and found["knowledge"]["s2"]["sd"] < 0.05 / np.sqrt(12)
    book = qx.lab.read_book(tmp_path / "run")
    (kept,) = book.artefacts("likelihood")
    assert kept.facts == {"simulations": 100, "events": 1000}
    again = CliRunner().invoke(app, [*words[:4], "--learn", "100", "--learn-events", "500"])
    assert again.exit_code == 2 and "learn-events 1000" in again.stderr


@needs_snakemake
@pytest.mark.slow
def test_a_loop_by_snakemake(tmp_path):
    """Simulator and experiment are workflows; what is learned from 24 simulations of 2000 events is rough, and its posterior no wider than the prior."""
    problem = gallery.load("weinberg_snakemake")
    designer = qx.Designer(qx.Space(energy=[41.0, 47.0]), events=200, rounds=1, n=64, inner=64)
    study = qx.Study(problem.simulator, problem.experiment, designer=designer, key=0)
    quick = qx.NLE(density="mixture", x_scale="bounded", settings=qx.learn.FitSettings(epochs=20))
    likelihood = learn_likelihood(study, 24, events=2000, method=quick, key=0)
    own = dataclasses.replace(designer, estimator=likelihood, emulator=emulator(problem.simulator, likelihood))
    knowledge, history, timeline = looped(dataclasses.replace(study, designer=own), tmp_path / "run")
    assert history.experiments[0].x.shape == (200, 1) and timeline[0]["events"] == 200
    assert knowledge.draws.std() < 0.05 / np.sqrt(12)


@pytest.mark.slow
def test_its_demo_is_the_full_loop(tmp_path):
    done = CliRunner().invoke(app, ["demo", "weinberg_command", "--out", str(tmp_path / "run"), "-n", "20", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["experiments"] == 4 and (tmp_path / "run" / "report.html").is_file()
    book = qx.lab.read_book(tmp_path / "run")
    assert book.artefacts("likelihood")[0].facts == {"simulations": LEARN[0], "events": LEARN[1]}
