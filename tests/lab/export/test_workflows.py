"""A study handed to other schedulers: what is written is what they read, and Snakemake really runs it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import quincunx as qx
from quincunx.errors import OutputNotEmpty, UsageError
from quincunx.lab.export import Steps, to_reana, to_snakemake, to_yadage
from quincunx.lab.export.yaml import to_yaml

STUDY = """
import numpyro.distributions as dist
import quincunx as qx
from quincunx.learn import FitSettings

@qx.simulator(qx.Prior(level=dist.Normal(0.0, 1.0)), observables="volts")
def simulator(theta, *, rng, design=None):
    return theta["level"] + 0.2 * rng.normal(size=3)

experiment = [0.5, 0.25, 0.75]
method = qx.NPE(density="gaussian", members=1, settings=FitSettings(epochs=3))
budget = 130
key = 5
"""


@pytest.fixture
def declared(tmp_path):
    """A study's file, the study and its steps in batches of 50."""
    from quincunx.cli.source import read_source
    from quincunx.cli.studying import study_of

    path = tmp_path / "level.py"
    path.write_text(STUDY)
    study = study_of(read_source(str(path)))
    return study, Steps.of(study, str(path), size=50)


def yaml_of(path: Path):
    return pytest.importorskip("yaml", reason="PyYAML is not installed").safe_load(path.read_text())


def test_snakemake_runs_the_whole_study(declared, tmp_path):
    if shutil.which("snakemake", path=os.path.dirname(sys.executable)) is None:
        pytest.skip("Snakemake is not installed: pip install 'quincunx[snakemake]'")
    folder = to_snakemake(*declared, tmp_path / "flow")
    environment = {**os.environ, "PATH": f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--quiet", "all"]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr
    batches = [qx.load(path) for path in sorted((folder / "batches").iterdir())]
    assert [len(batch) for batch in batches] == [50, 50, 30]
    whole = qx.simulate(declared[0].simulator, 130, key=5, workers=0)
    np.testing.assert_array_equal(batches[0].concatenate(*batches[1:]).x, whole.x)
    assert json.loads((folder / "answer" / "checks.json").read_text())["status"] in ("pass", "warn", "fail")
    posterior = qx.load(folder / "answer" / "posterior.qx")
    np.testing.assert_allclose(posterior.x_o, [0.5, 0.25, 0.75])
    # Nothing is left to do.
    again = subprocess.run([*command, "--dry-run"], cwd=folder, env=environment, capture_output=True, text=True)
    assert again.returncode == 0 and "simulate_batch" not in again.stdout + again.stderr


def test_a_reana_file_is_serial_and_names_its_inputs(declared, tmp_path):
    folder = to_reana(*declared, tmp_path / "flow", image="example/quincunx:0.1.0")
    assert sorted(path.name for path in folder.iterdir()) == ["observation.json", "reana.yaml", "study.py"]
    assert json.loads((folder / "observation.json").read_text()) == [0.5, 0.25, 0.75]
    found = yaml_of(folder / "reana.yaml")
    assert found["inputs"] == {"files": ["study.py", "observation.json"]}
    assert found["workflow"]["type"] == "serial"
    steps = found["workflow"]["specification"]["steps"]
    assert [step["name"] for step in steps] == ["simulate", "train", "posterior", "check"]
    assert all(step["environment"] == "example/quincunx:0.1.0" and len(step["commands"]) == 1 for step in steps)


@pytest.mark.parametrize("image", [None, "example/quincunx:0.1.0"])
def test_a_yadage_workflow_hands_on_what_its_stages_publish(declared, tmp_path, image):
    found = yaml_of(to_yadage(*declared, tmp_path / "flow", image=image) / "workflow.yml")
    published = {"init": {"study", "data"}}
    for stage in found["stages"]:
        given = stage["scheduler"]["parameters"]
        linked = [part for part in given.values() if isinstance(part, dict)]
        assert {part["step"] for part in linked} == set(stage["dependencies"])
        assert all(part["output"] in published[part["step"]] for part in linked), "only what was published before"
        step = stage["scheduler"]["step"]
        kind = "localproc-env" if image is None else "docker-encapsulated"
        assert step["environment"]["environment_type"] == kind
        assert step["publisher"]["publisher_type"] == "frompar-pub"
        assert step["process"]["process_type"] == "string-interpolated-cmd"
        # every placeholder is a parameter
        assert "quincunx" in step["process"]["cmd"].format(**dict.fromkeys(given, "x"))
        published[stage["name"]] = set(step["publisher"]["outputmap"])
    assert list(published) == ["init", "simulate", "train", "posterior", "check"]


def test_a_study_without_an_experiment_ends_with_training(tmp_path):
    study = qx.Study(qx.gallery.load("two_moons").simulator, budget=100)
    steps = Steps.of(study, "two_moons")
    text = (to_snakemake(study, steps, tmp_path / "flow") / "Snakefile").read_text()
    assert "rule posterior" not in text and '"trained.qx",' in text
    assert len(yaml_of(to_yadage(study, steps, tmp_path / "other") / "workflow.yml")["stages"]) == 2
    with pytest.raises(OutputNotEmpty):
        to_reana(study, steps, tmp_path / "flow", image="a:1")


def test_steps_that_make_no_sense_are_refused():
    with pytest.raises(UsageError):
        Steps("two_moons", n=10, size=0, seed=0, has_data=False)


def test_text_in_yaml_stays_text():
    told = {"a": "yes", "b": ["0.9", "{x}: #", "1e3", ""], "c": {}, "d": [[1, 2], {"e": None, "f": True}], "ü": "\n\\"}
    assert pytest.importorskip("yaml", reason="PyYAML is not installed").safe_load(to_yaml(told)) == told
    with pytest.raises(UsageError):
        to_yaml({"a": object()})
