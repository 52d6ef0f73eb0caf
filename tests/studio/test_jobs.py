"""What is done from the page is a command of the command line, in words that no shell reads, and only one at a time on a run."""

import json
import time

import pytest
from starlette.testclient import TestClient

import quincunx as qx
from quincunx.errors import UsageError
from quincunx.studio import Shelf, studio_app
from quincunx.studio.actions import loop_words, start_words
from quincunx.studio.guard import TOKEN_HEADER
from quincunx.studio.jobs import Jobs

from .conftest import loop_in

BASE = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("acts")
    loop_in(root / "loop", told=0)
    shelf = Shelf([str(root)])
    (place,) = shelf.places()
    return place, shelf.book(place)


@pytest.mark.parametrize(
    ("action", "told", "words"),
    [
        ("approve", {}, ["--approve", "--once"]),
        ("approve", {"design": "level=1"}, ["--override=level=1", "--once"]),
        ("approve", {"design": "--help"}, ["--override=--help", "--once"]),
        ("go on", {}, ["--no-approve"]),
        ("go on", {"approve": True}, ["--approve"]),
        ("overrule", {"why": "a; rm -rf ."}, ["--overrule=a; rm -rf .", "--no-approve"]),
        ("set aside", {"why": "$(x)", "experiment": 2}, ["--set-aside=2", "--why=$(x)", "--no-approve"]),
        ("stop", {"why": "--stop"}, ["--stop=--stop", "--no-approve"]),
    ],
)
def test_an_action_is_a_command(run, action, told, words):
    place, book = run
    found, files = loop_words(action, {"by": "Ada", **told}, place, book)
    assert found == ["loop", "threshold", "--run", place.where, "--by=Ada", *words] and files == []


def test_data_are_handed_over_in_a_file_that_is_removed(run):
    place, book = run
    told = {"by": "Ada", "file": "../../x.csv", "content": "yes\n1\n", "design": "level=0", "again": True}
    words, (path,) = loop_words("tell", told, place, book)
    assert path.read_text() == "yes\n1\n" and path.suffix == ".csv"
    assert words[5:] == ["--tell", str(path), "--design=level=0", "--again", "--no-approve"]
    jobs = Jobs(path.parent)
    jobs.wait(jobs.start(["--version"], place=None, leftovers=[path]))
    assert not path.exists()


@pytest.mark.parametrize(
    ("action", "told"),
    [
        ("approve", {}),
        ("approve", {"by": " "}),
        ("approve", {"by": "a\nb"}),
        ("approve", {"by": "a" * 3000}),
        ("approve", {"by": ["a"]}),
        ("stop", {"by": "a"}),
        ("set aside", {"by": "a", "why": "b", "experiment": "2"}),
        ("set aside", {"by": "a", "why": "b", "experiment": True}),
        ("tell", {"by": "a", "file": "x.qx", "content": "1"}),
        ("tell", {"by": "a", "file": "x.csv", "content": " "}),
        ("delete", {"by": "a"}),
    ],
)
def test_what_makes_no_sense_is_refused(run, action, told):
    with pytest.raises(UsageError):
        loop_words(action, told, *run)


def test_a_run_that_was_begun_from_python_is_gone_on_with_there(tmp_path):
    qx.lab.begin_book(tmp_path / "run", key=0)
    shelf = Shelf([str(tmp_path)])
    (place,) = shelf.places()
    with pytest.raises(UsageError, match="from Python"):
        loop_words("stop", {"by": "a", "why": "b"}, place, shelf.book(place))


def test_what_is_begun(tmp_path):
    (tmp_path / "mine.py").write_text("")
    told = {"source": "weinberg_toy", "name": "a", "seed": 3}
    assert start_words({**told, "verb": "demo"}, tmp_path) == ["demo", "weinberg_toy", "--out", "a", "--seed", "3"]
    assert start_words({**told, "verb": "loop", "mock": True, "rounds": 2}, tmp_path)[3:] == [
        "a",
        "--mock",
        "--rounds",
        "2",
        "--seed",
        "3",
    ]
    assert start_words({**told, "verb": "simulate", "source": "mine.py"}, tmp_path)[1] == str(tmp_path / "mine.py")


@pytest.mark.parametrize(
    "told",
    [
        {"verb": "bench"},
        {"verb": "simulate", "source": "/etc/passwd"},
        {"verb": "simulate", "source": "../x.py"},
        {"verb": "simulate", "source": "--help"},
        {"verb": "simulate", "name": "../x"},
        {"verb": "simulate", "name": "-x"},
        {"verb": "simulate", "name": ""},
        {"verb": "simulate", "name": "there"},
        {"verb": "simulate", "budget": "many"},
        {"verb": "simulate", "budget": -1},
    ],
)
def test_what_must_not_be_begun(tmp_path, told):
    (tmp_path / "there").mkdir()
    (tmp_path.parent / "x.py").write_text("")
    with pytest.raises(UsageError):
        start_words({"source": "two_moons", "name": "new", **told}, tmp_path)


def test_commands_on_a_run_come_one_after_another_and_ctrl_c_ends_one(tmp_path):
    jobs = Jobs(tmp_path)
    slow = tmp_path / "slow.py"
    slow.write_text("import time\ntime.sleep(60)\n")
    first = jobs.start(["simulate", str(slow), "--run", "x"], place="p")
    second, third = (jobs.start(["--version"], place="p") for _ in range(2))
    elsewhere = jobs.start(["--version"], place="q")
    assert jobs.wait(elsewhere)["code"] == 0
    assert not second.facts()["begun"] and first.facts()["ended"] is None
    jobs.interrupt(third.number)
    jobs.interrupt(first.number)
    assert jobs.wait(first)["code"] not in (0, None)
    assert jobs.wait(second)["code"] == 0 and jobs.wait(third)["code"] is None
    with pytest.raises(UsageError, match="no such command"):
        jobs.interrupt(first.number)
    many = [jobs.start(["simulate", str(slow), "--run", "x"], place="p") for _ in range(8)]
    with pytest.raises(UsageError, match="under way already"):
        jobs.start(["--version"], place="q")
    jobs.close()
    assert all(jobs.wait(job)["ended"] for job in many)


def test_from_the_page_to_the_book(run, tmp_path):
    place, book = run
    app = studio_app([place.where], allow_run=True, folder=tmp_path)
    headers = {TOKEN_HEADER: app.token, "origin": BASE}
    with TestClient(app, base_url=BASE) as client:
        job = client.post(
            f"/api/places/{place.id}/do", headers=headers, json={"action": "stop", "by": "Ada", "why": "enough"}
        )
        assert job.status_code == 200
        late = client.post(
            f"/api/places/{place.id}/do", headers=headers, json={"action": "stop", "by": "Bob", "why": "too"}
        )
        assert late.status_code == 200
        number = job.json()["number"]
        while (found := client.get("/api/jobs", headers=headers).json()["jobs"])[0]["ended"] is None:
            time.sleep(0.1)
        assert found[-1]["number"] == number and found[-1]["code"] == 0, found
        assert client.get(f"/api/places/{place.id}", headers=headers).json()["loop"]["stopped"] == "enough"
        broken = client.post("/api/start", headers={**headers, "content-type": "application/json"}, content=b"[1]")
        assert (
            broken.status_code == 400
            and client.post(
                "/api/start", headers={**headers, "content-type": "application/json"}, content=b"{"
            ).status_code
            == 400
        )
    assert [event.facts["by"] for event in book.events("loop stopped")] == ["Ada"]
    assert json.loads(json.dumps(found))
