"""What each verb leaves and prints."""

import csv
import json
import re

import numpy as np
import pytest

import quincunx as qx
from quincunx.cli.page import write_page

from .conftest import QUICK, quincunx


def test_list_prints_every_problem():
    done = quincunx("list")
    assert done.exit_code == 0
    assert all(name in done.out for name in qx.gallery.names())


def test_list_for_machines_is_one_document():
    rows = quincunx("list", "--json").json["problems"]
    assert [row["name"] for row in rows] == list(qx.gallery.names())
    assert {"truth", "cost"} <= set(rows[0])


def test_infer_leaves_every_file(finished):
    names = {path.name for path in finished.iterdir()}
    assert {"posterior.qx", "simulations.qx", "observation.json", "draws.csv", "report.html", "run.json"} <= names
    assert json.loads((finished / "observation.json").read_text())["volts"] == pytest.approx([1.1, 1.4, 2.1, 2.4, 3.0])
    assert len(qx.load(finished / "simulations.qx")) == 300
    with open(finished / "draws.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["level", "slope"] and len(rows) == 501
    posterior = qx.load(finished / "posterior.qx")
    assert posterior.sample(3, key=0)["level"].shape == (3,)


def test_provenance_says_how_it_was_made(finished):
    record = json.loads((finished / "run.json").read_text())
    assert record["status"] == "done"
    assert record["options"]["seed"] == 7 and record["options"]["settings"] == {"density": "gaussian", "epochs": 5}
    assert len(record["options"]["sha256"]) == 64
    assert {"quincunx", "jax", "python"} <= set(record["versions"])
    assert {"simulate", "train", "draw"} <= set(record["seconds"]) == set(record["cpu_seconds"])
    assert all(seconds >= 0 for seconds in record["cpu_seconds"].values())


def test_the_same_seed_gives_the_same_draws(experiment, finished, tmp_path):
    again = tmp_path / "again"
    done = quincunx(
        "infer",
        experiment / "line.py",
        "--data",
        experiment / "volts.csv",
        "--out",
        again,
        *QUICK,
        "--seed",
        7,
        "--json",
    )
    assert (again / "draws.csv").read_text() == (finished / "draws.csv").read_text()
    summary = done.json["summary"]
    draws = np.loadtxt(again / "draws.csv", delimiter=",", skiprows=1)
    assert summary["level"]["mean"] == pytest.approx(draws[:, 0].mean(), rel=1e-4)


def test_the_report_can_be_written_again(finished):
    page = finished / "report.html"
    before = page.read_text()
    page.unlink()
    done = quincunx("report", finished, "--json")
    assert done.exit_code == 0 and done.json["bytes"] == len(page.read_bytes())
    assert re.sub(r"\d", "", page.read_text()) == re.sub(r"\d", "", before)
    assert "http://" not in before and "https://" not in before and "<script" not in before
    assert before.index("Provenance") > before.index("Posterior")


def test_check_writes_its_verdict(finished):
    done = quincunx("check", finished, "-n", 60, "--json")
    stored = json.loads((finished / "checks.json").read_text())
    assert stored["status"] == done.json["status"] in {"pass", "warn", "fail"}
    assert done.exit_code == (3 if stored["status"] == "fail" else 0)
    assert stored["simulated"] == 60 and stored["asked"] == {"simulations": 60, "seed": 0}
    assert json.loads((finished / "run.json").read_text())["checked"] == stored["status"]
    page = (finished / "report.html").read_text()
    assert all(row["name"] in page for row in stored["tests"])


def test_check_refuses_a_simulator_that_has_changed(experiment, finished):
    path = experiment / "line.py"
    text = path.read_text()
    path.write_text(text.replace("0.2", "0.3"))
    try:
        done = quincunx("check", finished)
    finally:
        path.write_text(text)
    assert done.exit_code == 2 and "has changed since this run" in done.err


@pytest.mark.parametrize("name", ["sims.qx", "sims.npz"])
def test_simulate_writes_a_file_that_is_read_back(experiment, tmp_path, name):
    out = tmp_path / name
    done = quincunx("simulate", experiment / "line.py", "--budget", 50, "--out", out, "--seed", 3, "--json")
    assert done.json == {"file": str(out), "simulations": 50, "failed": 0, "parameters": ["level", "slope"]}
    sims = qx.Simulations.load(out) if name.endswith("npz") else qx.load(out)
    assert sims.x.shape == (50, 5)
    assert quincunx("simulate", experiment / "line.py", "--out", out).exit_code == 2


def test_infer_on_a_gallery_problem_takes_its_own_observation(tmp_path):
    done = quincunx("infer", "two_moons", "--observation", 2, "--out", tmp_path / "moons", *QUICK)
    assert done.exit_code == 0
    stored = json.loads((tmp_path / "moons" / "observation.json").read_text())
    np.testing.assert_allclose(next(iter(stored.values())), qx.gallery.load("two_moons").observation(2), rtol=1e-5)


def test_doctor_finds_this_installation_sound():
    done = quincunx("doctor", "--json")
    assert done.exit_code == 0 and done.json["sound"] is True
    assert done.json["64-bit by default"] is False
    assert "jax" in {row["package"] for row in done.json["packages"]}


def test_bench_measures_a_method():
    done = quincunx(
        "bench", "sbibm", "--task", "two_moons", "--method", "npe", "--budget", 300, "--observations", "1",
        "--set", "density=gaussian", "--set", "epochs=3", "--draws", 500, "--json",
    )  # fmt: skip
    found = done.json
    assert found["draws"] == 500
    assert found["task"] == "two_moons" and found["method"] == "npe" and found["epochs"] == 3
    assert 0.5 < found["c2st_mean"] <= 1.0 and found["c2st_standard_error"] is None
    assert found["cpu_seconds"]["train"] > 0 and len(found["cpu_seconds"]["sample"]) == 1


def test_version():
    assert quincunx("--version").out.strip() == f"quincunx {qx.__version__}"


def test_a_page_needs_nothing_but_the_directory(finished):
    from quincunx.cli.folder import RunFolder
    from quincunx.cli.source import read_again

    folder = RunFolder.open(finished)
    write_page(folder, read_again(folder.record["options"]), qx.load(folder.posterior))
    assert folder.report.stat().st_size < 5_000_000
