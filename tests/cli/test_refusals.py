"""Bad input on the command line: refused by name within seconds, with what to do, and an exit code a script can rely on."""

import json

import pytest

from .conftest import QUICK, quincunx

GOOD = "volts\n1.1\n1.4\n2.1\n2.4\n3.0\n"


def infer(experiment, tmp_path, data=GOOD, *, source=None, more=(), out="out"):
    path = tmp_path / "data.csv"
    path.write_text(data)
    return quincunx("infer", source or experiment / "line.py", "--data", path, "--out", tmp_path / out, *QUICK, *more)


@pytest.mark.parametrize(
    ("data", "kind", "says"),
    [
        ("amps\n1\n2\n3\n4\n5\n", "DataFileError", "volts"),
        ("volts\n1.1\n1.4\nlots\n2.4\n3.0\n", "DataFileError", "lots"),
        ("volts\n1.1\n1.4\nnan\n2.4\n3.0\n", "NonFiniteObservation", "volts"),
        ("volts\n1.1\n1.4\n", "ShapeMismatch", "5"),
        ("", "DataFileError", "data.csv"),
    ],
)
def test_a_bad_observation(experiment, tmp_path, data, kind, says):
    done = infer(experiment, tmp_path, data)
    assert done.exit_code == 1
    assert done.err.startswith(kind) and says in done.err
    assert not (tmp_path / "out").exists(), "nothing is left behind by a refusal at the door"


def test_a_directory_that_is_not_empty_is_left_alone(experiment, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("precious")
    done = infer(experiment, tmp_path)
    assert done.exit_code == 2 and done.err.startswith("OutputNotEmpty") and "--resume" in done.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]
    done = infer(experiment, tmp_path, more=("--resume",))
    assert done.exit_code == 2 and "run.json" in done.err


@pytest.mark.parametrize(
    ("text", "code", "kind", "says"),
    [
        ("x = 1\n", 2, "UsageError", "defines no simulator"),
        ("import nosuchmodule\n", 1, "SimulatorError", "line 1"),
        ("def f(:\n", 1, "SimulatorError", "SyntaxError"),
    ],
)
def test_a_bad_simulator_file(experiment, tmp_path, text, code, kind, says):
    path = tmp_path / "broken.py"
    path.write_text(text)
    done = infer(experiment, tmp_path, source=path)
    assert done.exit_code == code and done.err.startswith(kind) and says in done.err


def test_several_simulators_need_a_name(experiment, tmp_path):
    text = (experiment / "line.py").read_text()
    path = tmp_path / "two.py"
    path.write_text(text + text.split("prior = ")[1].join(["prior = ", ""]).replace("def line", "def other"))
    done = infer(experiment, tmp_path, source=path)
    assert done.exit_code == 2 and "several simulators (line, other)" in done.err
    path.write_text(path.read_text() + "\nsimulator = other\n")
    done = quincunx("simulate", path, "--budget", 10, "--out", tmp_path / "sims.qx")
    assert done.exit_code == 0


def test_unknown_names(experiment, tmp_path):
    done = quincunx("infer", "two_moon", "--observation", 1, "--out", tmp_path / "a")
    assert done.exit_code == 2 and done.err.startswith("UnknownProblem") and "two_moons" in done.err
    done = infer(experiment, tmp_path, more=("--method", "nep"))
    assert done.exit_code == 2 and done.err.startswith("UnknownMethod") and "npe" in done.err
    done = infer(experiment, tmp_path, more=("--set", "layers=3"))
    assert done.exit_code == 2 and "no setting layers" in done.err
    done = infer(experiment, tmp_path, more=("--set", "layers"))
    assert done.exit_code == 2 and "NAME=VALUE" in done.err
    assert quincunx("infer").exit_code == 2
    assert quincunx("nosuchverb").exit_code == 2


def test_an_observation_is_needed_once(experiment, tmp_path):
    out = tmp_path / "out"
    assert quincunx("infer", experiment / "line.py", "--out", out).exit_code == 2
    assert quincunx("infer", experiment / "line.py", "--observation", 1, "--out", out).exit_code == 2
    assert quincunx("check", tmp_path).exit_code == 2
    assert quincunx("report", tmp_path / "nowhere").exit_code == 2
    assert not out.exists()


def test_a_saved_posterior_that_is_damaged(finished, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    (copy / "posterior.qx").write_bytes((copy / "posterior.qx").read_bytes()[:1000])
    done = quincunx("report", copy)
    assert done.exit_code == 1 and done.err.startswith("CorruptFile")
    (copy / "run.json").write_text("{")
    assert quincunx("report", copy).err.startswith("CorruptFile")


def test_an_error_for_machines_is_json(experiment, tmp_path):
    done = infer(experiment, tmp_path, "amps\n1\n", more=("--json",))
    assert done.exit_code == 1
    assert json.loads(done.out)["error"]["kind"] == "DataFileError"


def test_resuming_with_other_options_is_refused(experiment, finished):
    done = quincunx(
        "infer",
        experiment / "line.py",
        "--data",
        experiment / "volts.csv",
        "--out",
        finished,
        *QUICK,
        "--seed",
        8,
        "--resume",
    )
    assert done.exit_code == 2 and "seed was 7 and is now 8" in done.err


def test_colour_is_off_when_it_should_be(experiment, tmp_path):
    assert "\x1b[" not in infer(experiment, tmp_path, "amps\n1\n").err
