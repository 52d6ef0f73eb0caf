"""What to measure next, and the loop, from the shell: a person step by step, a mock to its end, and what is refused on the way."""

import json

import pytest

import quincunx as qx
from quincunx.lab import open_book
from quincunx.lab.loop.record import Record

from .conftest import quincunx

LINE = """
SURPRISE = 1e-3
import types
import jax, jax.numpy as jnp
import numpyro.distributions as dist
import quincunx as qx

def log_likelihood(theta, x, design):
    return jax.scipy.stats.norm.logpdf(x[0], design["d"] * theta["a"], 0.5)

@qx.simulator(qx.Prior(a=dist.Normal(0.0, 1.0)), tractable=types.SimpleNamespace(log_likelihood=log_likelihood))
def line(theta, *, key, design):
    return (design["d"] * theta["a"] + 0.5 * jax.random.normal(key))[None]

def cost(design):
    return 1.0 + design["d"]

study = qx.Study(line, designer=qx.Designer(qx.Space(d=[0.0, 1.0, 2.0]), rounds=2, n=64, inner=64, cost=cost, surprise=SURPRISE))
"""


def loop(run, *more, source="threshold", code=0):
    done = quincunx("loop", source, "--run", run, *more)
    assert done.exit_code == code, (done.exit_code, done.out, done.err)
    return done


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    path = tmp_path_factory.mktemp("answers") / "yes.csv"
    path.write_text("yes\n1\n0\n1\n1\n0\n")
    return path


def test_a_person_goes_through_it_step_by_step(tmp_path, answers):
    run = tmp_path / "run"
    first = loop(run, "--rounds", 3, "--seed", 5)
    assert "proposed: level = 0, 5 events" in first.out and f"loop threshold --run {run} --approve" in first.out
    assert "NotApproved" in loop(run, "--tell", answers, code=1).err and "--approve" in loop(run).out
    assert "DesignOutsideSpace" in loop(run, "--override", "level=7", code=2).err
    assert "measure at level = 0" in loop(run, "--approve", "--by", "Ada").out
    assert "decided already" in loop(run, "--override", "level=1").err

    wrong = tmp_path / "wrong.json"
    wrong.write_text("[[1, 0], [0, 1]]")
    assert loop(run, "--tell", wrong, code=1).err.startswith("ShapeMismatch")
    wrong.write_text('["perhaps"]')
    assert loop(run, "--tell", wrong, code=1).err.startswith("ShapeMismatch")
    assert loop(run, "--tell", tmp_path / "none.csv", code=1).err.startswith("DataFileError")
    now = loop(run, "--json").json
    assert now["state"] == "measure" and now["timeline"] == [] and now["awaited"]["by"] == "Ada"

    told = loop(run, "--tell", answers, "--by", "Bob", "--json").json
    assert told["state"] == "approve" and told["experiments"] == 1 and told["proposal"]["design"] != {"level": 0.0}
    (row,) = told["timeline"]
    assert (
        row["decided_by"] == "Ada" and row["events"] == 5 and 0.3 < row["sd"]["theta"] < 0.6 and row["p_value"] > 0.01
    )
    assert "NotApproved" in loop(run, "--tell", answers, code=1).err, "repeating a command tells nothing twice"

    loop(run, "--override", "level=0.0", "--by", "Ada")
    again = loop(run, "--tell", answers, "--json").json
    assert again["timeline"][1]["overridden"] and again["experiments"] == 2, "the same answers may come twice"
    assert loop(run, "--tell", answers, "--design", "level=0", code=1).err.startswith("AlreadyTold")
    few = tmp_path / "few.json"
    few.write_text("[[1], [1]]")
    assert "2 events were told, 5 were expected" in loop(run, "--tell", few, "--design", "level=-1").err
    status = quincunx("status", run)
    assert "3 of 3" in status.out and "stopped: all 3 experiments are done" in status.out
    assert quincunx("status", run, "--json").json["loop"]["state"] == "stopped"
    done = loop(run)
    assert "nobody" in done.out and "stopped" in done.out
    assert loop(run, "--override", "level=1", code=1).err.startswith("LoopStopped")
    assert f"quincunx loop threshold --run {run}" in quincunx("resume", run).err
    belief = quincunx("design", run, "--grid", 5, "--json").json
    assert belief["information"]["value"] < 0.4, "less is left to learn than the prior's 0.66"


def test_a_mock_runs_to_the_end_and_the_same_seed_gives_the_same(tmp_path):
    options = ("--mock", "--rounds", 2, "--seed", 3, "--json")
    first = loop(tmp_path / "a", *options).json
    assert first["state"] == "stopped" and [row["decided_by"] for row in first["timeline"]] == ["quincunx"] * 2
    assert first["knowledge"]["theta"]["sd"] < 0.6
    # one step at a time, each command a new beginning, and nothing said twice
    run = tmp_path / "b"
    loop(run, *options[:-1], "--no-approve")
    states = [loop(run, "--no-approve", "--json").json["state"]]
    one = loop(run, "--once", "--json").json
    assert states == ["approve"] and one["state"] == "approve" and one["experiments"] == 1
    second = loop(run, "--json").json
    for got, expected in zip(second["timeline"], first["timeline"], strict=True):
        assert (
            got["design"] == expected["design"]
            and got["sd"] == expected["sd"]
            and got["p_value"] == expected["p_value"]
        )
    assert "rounds 2 and is now asked for 5" in loop(run, "--rounds", 5, code=2).err
    assert "has the seed 3" in loop(run, "--seed", 4, code=2).err
    assert "truth" in loop(run, "--truth", "theta=1.0", code=2).err
    assert "is about threshold" in loop(run, source="weinberg_toy", code=2).err


def test_numbers_that_are_not_whole_are_not_told_twice(tmp_path):
    (tmp_path / "study.py").write_text(LINE)
    study, run, data = tmp_path / "study.py", tmp_path / "run", tmp_path / "x.json"
    data.write_text("[0.25]")
    assert "proposed: d = 2" in loop(run, source=study).out
    loop(run, "--approve", source=study)
    assert loop(run, "--tell", data, "--json", source=study).json["spent"] == 3.0
    loop(run, "--override", "d=1", source=study)
    assert "d = 2" in loop(run, "--tell", data, source=study, code=1).err, "the same file at other settings"
    data.write_text("[0.125]")
    assert "stopped: all 2" in loop(run, "--tell", data, source=study).out


def test_data_that_fail_their_check_wait_until_someone_has_looked(tmp_path):
    # what has happened by chance half of the time is a failure here, so that no data need be far from the prior
    (tmp_path / "study.py").write_text(LINE.replace("1e-3", "0.9"))
    study, run, data = tmp_path / "study.py", tmp_path / "run", tmp_path / "x.json"
    data.write_text("[2.0]")
    loop(run, "--override", "d=1", source=study)
    assert "needs attention" in loop(run, "--tell", data, source=study, code=3).out
    assert loop(run, "--json", source=study, code=3).json["state"] == "needs attention"
    assert "needs attention" in quincunx("status", run).out
    assert loop(run, "--approve", source=study, code=3).out
    assert "proposed" in loop(run, "--overrule", "a cable was loose", source=study).out
    assert loop(run, "--set-aside", 1, source=study, code=2).err
    assert "(set aside)" in loop(run, "--set-aside", 1, "--why", "the wrong cable", source=study).out
    assert loop(run, "--stop", "enough", "--json", source=study).json["stopped"] == "enough"


def test_ctrl_c_leaves_a_book_from_which_the_same_command_goes_on(tmp_path):
    text = (
        LINE
        + """
calls = []
def instrument(design, events):
    calls.append(design)
    if len(calls) == 2:
        raise KeyboardInterrupt
    return [[0.5]]

study = qx.Study(line, instrument, designer=study.designer)
"""
    )
    (tmp_path / "study.py").write_text(text)
    study, run = tmp_path / "study.py", tmp_path / "run"
    done = loop(run, source=study, code=4)
    assert f"quincunx loop {study} --run {run}" in done.err
    with open_book(run, read_only=True) as book:
        record = Record(book)
        assert record.state == "measure" and len(record.told) == 1
    # a new process has calls of its own: its instrument answers the first call
    assert "AlreadyTold" in loop(run, source=study, code=1).err
    (tmp_path / "study.py").write_text(text.replace("[[0.5]]", "[[0.7]]"))
    assert loop(run, "--json", source=study).json["state"] == "stopped"


def test_a_rehearsal_writes_nothing(tmp_path, monkeypatch):
    (tmp_path / "study.py").write_text(LINE)
    monkeypatch.chdir(tmp_path)
    done = quincunx("loop", "study.py", "--rehearse", 2, "--json", "--seed", 1)
    assert done.exit_code in (0, 3) and done.json["rehearsal"]["loops"] == 2
    assert done.json["rehearsal"]["sd"][-1][0] < 0.5 and set(done.json["rehearsal"]["coverage"]) == {"0.68", "0.95"}
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ""] == ["study.py"]


def test_the_curve_for_people_and_for_machines(tmp_path):
    out = tmp_path / "curve.svg"
    done = quincunx("design", "threshold", "--grid", 3, "--settings", "level=-1:1", "--events", 1, "--out", out)
    assert done.exit_code == 0 and out.read_text().lstrip().startswith("<?xml")
    assert (
        "0.2311" in done.out
        and "chosen: level = 0" in done.out
        and "lower" in done.out
        and "runner-up: level" in done.out
    )
    again = quincunx(
        "design", "threshold", "--settings", "level=[0,1]", "--events", 1, "--out", tmp_path / "c.qx", "--json"
    )
    assert again.json["curve"]["designs"] == {"level": [0.0, 1.0]}
    assert abs(again.json["information"]["value"] - 0.231138) < 1e-3
    assert qx.load(tmp_path / "c.qx").design == {"level": 0.0}


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("loop", "threshold"), 2, "--run"),
        (("loop", "threshold", "--run", "r", "--again"), 2, "--tell"),
        (("loop", "two_moons", "--run", "r"), 2, "no settings to choose"),
        (("loop", "epidemic_times", "--run", "r"), 1, "NoDensity"),
        (("design", "pharmacokinetics", "--grid", "7"), 2, "along 5 intervals"),
        (("loop", "threshold", "--run", "r", "--truth", "theta"), 2, "NAME=VALUE"),
        (("loop", "threshold", "--run", "r", "--truth", "mu=1"), 1, "NameMismatch"),
        (("design", "threshold", "--settings", "level=low:high"), 2, "LOW:HIGH"),
        (("design", "threshold", "--out", "curve.txt"), 2, ".svg"),
        (("design", "threshold", "--grid", "4000"), 2, "at most 2,000"),
        (("design", "threshold", "--run", "nowhere"), 1, "UnknownRun"),
        (("design", "two_moons"), 2, "--settings"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, monkeypatch, arguments, code, says):
    monkeypatch.chdir(tmp_path)
    done = quincunx(*arguments, *(("--json",) if arguments[0] == "loop" else ()))
    assert done.exit_code == code and says in done.err, done.err
    assert list(tmp_path.iterdir()) == []
    if arguments[0] == "loop":
        assert says in json.loads(done.out)["error"]["message"] or says == json.loads(done.out)["error"]["kind"]


def test_the_demo_of_a_problem_with_settings_is_the_loop(tmp_path):
    done = quincunx("demo", "threshold", "--out", tmp_path / "demo", "--json")
    assert done.exit_code == 0, done.err
    assert done.json["experiments"] == 4 and done.json["state"] == "approve" and done.json["rehearsal"]["covers"]
    page = (tmp_path / "demo" / "report.html").read_text()
    assert page.count("<svg") == 2 and "calibrated" in page and "waits for approval" in page
    assert "http" not in page.split("<svg")[0].replace("http-equiv", "")
    again = quincunx("loop", "threshold", "--run", tmp_path / "demo", "--report", tmp_path / "page.html")
    assert again.exit_code == 0 and "Rehearsal" not in (tmp_path / "page.html").read_text()
