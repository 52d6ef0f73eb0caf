"""What the pages say is what the books and files say: lines, runs, events in pages, failures, artefacts, answers, comparisons, pictures."""

import re
import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import quincunx as qx
from quincunx.errors import CorruptFile, UnknownRun, UsageError
from quincunx.lab.loop.standing import loop_standing
from quincunx.studio import Shelf
from quincunx.studio.facts import answer_facts, compared, events_page, failures_page, line_of, made_page, run_facts
from quincunx.studio.pictures import comparison, sheets_of
from quincunx.studio.run_pictures import run_sheets
from quincunx.studio.sheet import Drawer

from .conftest import EVIL, book_of, fill, loop_in


@pytest.fixture
def shelf(folder):
    found = Shelf([str(folder)])
    yield found
    found.close()


@pytest.fixture
def by_name(shelf):
    return {place.name: place for place in shelf.places()}


def test_a_shelf_finds_runs_and_answers_and_a_damaged_book_says_so(shelf, by_name):
    assert {name: place.kind for name, place in by_name.items()} == {
        "answer": "answer",
        "broken": "run",
        "loop": "run",
        "simulated": "run",
        "study": "run",
    }
    lines = {name: line_of(shelf, place) for name, place in by_name.items()}
    assert lines["loop"]["status"] == "approve" and lines["loop"]["said"] == "2 of 4 experiments"
    assert lines["simulated"]["status"] == "done" and lines["simulated"]["failed"] == 60
    assert lines["answer"]["status"] == "pass" and "NPE" in lines["answer"]["said"]
    assert lines["broken"]["status"] == "damaged" and "not a database" in lines["broken"]["said"]


def test_an_id_stays_the_same_and_a_strange_one_is_refused(folder, by_name):
    again = Shelf([str(folder)])
    assert {place.id for place in again.places()} == {place.id for place in by_name.values()}
    with pytest.raises(UnknownRun):
        again.place("0" * 12)


def test_a_root_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no folder"):
        Shelf([str(tmp_path), str(tmp_path / "gone")])


def test_links_are_not_followed(tmp_path, folder):
    (tmp_path / "link").symlink_to(folder)
    assert Shelf([str(tmp_path)]).places() == []


def test_a_run_is_told_as_its_loop_tells_it(tmp_path):
    loop = loop_in(tmp_path / "loop")
    about = run_facts(book_of(tmp_path / "loop"))
    told = about["loop"]
    assert told["timeline"] == loop.timeline() and told["state"] == loop.state == "approve"
    assert told["proposal"]["design"] == loop.ask().designs[0]
    assert told["known"]["summary"].keys() == loop.knowledge().summary().to_dict().keys()
    loop.approve(by="Ada")
    assert loop_standing(book_of(tmp_path / "loop"))["awaited"]["by"] == "Ada"


def test_pictures_name_parameters_in_the_order_of_the_prior(tmp_path):
    def log_likelihood(theta, x, design):
        return jax.scipy.stats.norm.logpdf(x[0], theta["b"] + design["d"] * theta["a"], 0.5)

    @qx.simulator(
        qx.Prior(b=dist.Normal(10.0, 1.0), a=dist.Normal(0.0, 0.1)),
        tractable=types.SimpleNamespace(log_likelihood=log_likelihood),
    )
    def line(theta, *, key, design):
        return jnp.array([theta["b"] + design["d"] * theta["a"] + 0.5 * jax.random.normal(key)])

    designer = qx.Designer(qx.Space(d=[0.0, 1.0]), rounds=2, n=64, inner=64)
    loop = qx.Loop(qx.Study(line, designer=designer), qx.lab.begin_book(tmp_path / "run", key=0))
    loop.approve(by="Ada")
    loop.tell([10.2], by="Ada")
    drawn = {sheet.name: sheet.draw() for sheet in run_sheets(book_of(tmp_path / "run"))}
    below = {axes.get_xlabel(): axes.get_xlim() for axes in drawn["posterior"].axes if axes.get_xlabel()}
    assert list(below) == ["b", "a"] and below["b"][0] > 5.0 and below["a"][1] < 2.0
    first = {axes.get_ylabel(): axes.lines[-1].get_ydata()[0] for axes in drawn["widths"].axes}
    assert first["sd of b"] > 0.8 and first["sd of a"] < 0.2 and list(first) == ["sd of b", "sd of a"]


def test_events_come_in_pages_that_hold_each_once(tmp_path):
    book = qx.lab.begin_book(tmp_path / "run", key=0)
    for number in range(1200):
        book.note("odd" if number % 2 else "even", number=number)
    seen, before = [], None
    while True:
        page = events_page(book, before=before, most=500)
        if not page["events"]:
            break
        seen += [event["facts"]["number"] for event in page["events"]]
        before = page["events"][-1]["id"]
    assert seen == list(range(1199, -1, -1)) and page["total"] == 1200 and page["kinds"] == {"even": 600, "odd": 600}
    assert len(events_page(book, most=10**9)["events"]) == 500
    assert {event["kind"] for event in events_page(book, kind="odd")["events"]} == {"odd"}


def test_failures_and_artefacts_are_those_of_the_book(shelf, by_name):
    book = shelf.book(by_name["simulated"])
    found = failures_page(book)
    assert found["kinds"] == {"not finite": 60} and len(found["failures"]) == 60
    assert any(EVIL in (failure["said"] or "") for failure in found["failures"])
    made = made_page(shelf.book(by_name["loop"]))
    kinds = [one["kind"] for one in made["artefacts"]]
    assert kinds.count("data") == 2 and kinds.count("knowledge") == 3 and kinds.count("choice") == 3
    hashes = {one["sha256"] for one in made["artefacts"]}
    assert all(set(one["parents"]) <= hashes for one in made["artefacts"])
    assert all(one["parents"] for one in made["artefacts"] if one["kind"] == "choice")


def test_an_answer_is_told_with_its_checks(shelf, by_name, folder):
    about = answer_facts(folder / "answer", shelf.record(by_name["answer"]))
    assert [row["status"] for row in about["checks"]["tests"]] == ["pass"] * 3
    assert {file["name"] for file in about["files"]} == {"draws.csv", "checks.qx"}


def test_an_answer_without_a_record_is_refused(tmp_path):
    (tmp_path / "run.json").write_text("{")
    shelf = Shelf([str(tmp_path)])
    with pytest.raises(CorruptFile, match=r"run\.json"):
        shelf.record(shelf.places()[0])


def test_places_side_by_side(shelf, by_name):
    found = compared(shelf, [by_name["loop"].id, by_name["answer"].id])
    assert found["parameters"] == ["theta", "b"]
    assert found["places"][0]["summary"]["theta"]["sd"] > 0 and "b" not in found["places"][0]["summary"]


def test_a_study_is_told_with_its_answer_and_stands_beside_others(shelf, by_name):
    told = run_facts(shelf.book(by_name["study"]))["answer"]
    assert told["columns"] == ["b", EVIL] and told["simulations"] == 200 and told["replicates"] == 50
    assert run_facts(shelf.book(by_name["simulated"]))["answer"] is None
    found = compared(shelf, [by_name["study"].id, by_name["answer"].id])
    assert found["places"][0]["summary"]["b"]["sd"] == 1.0 and set(found["parameters"]) == {"b", EVIL, "theta"}


def test_every_picture_is_drawn_and_asks_for_nothing_from_elsewhere(shelf, by_name):
    drawer, drawn = Drawer(), {}
    for name in ("loop", "simulated", "study", "answer"):
        for sheet in sheets_of(shelf, by_name[name]):
            drawn[f"{name} {sheet.name}"] = drawer.svg(by_name[name].id, sheet)
            assert sheet.alt and sheet.caption
    drawn["compare"] = drawer.svg("", comparison(shelf, [by_name["loop"].id, by_name["answer"].id]))
    assert set(drawn) == {
        "loop posterior",
        "loop design",
        "loop widths",
        "simulated failures",
        "study answer",
        "study predictive",
        "study failures",
        "answer posterior",
        "answer calibration",
        "answer coverage",
        "answer posterior-predictive",
        "compare",
    }
    for name, svg in drawn.items():
        assert set(re.findall(r"https?://[^\s\"']+", svg)) <= {"http://www.w3.org/2000/svg"}, name
        assert "<script" not in svg and len(svg) > 2000


def test_a_picture_is_drawn_anew_when_what_it_shows_has_changed(tmp_path):
    book = fill(qx.lab.begin_book(tmp_path / "run", key=0), 200, size=100, failing=5)
    shelf = Shelf([str(tmp_path)])
    (place,) = shelf.places()
    first = sheets_of(shelf, place)[0]
    fill(book, 400, size=100, failing=5)
    book.measure(0, train=2.0, validation=2.5)
    book.measure(1, train=1.0, validation=1.5)
    now = {sheet.name: sheet for sheet in sheets_of(shelf, place)}
    assert now["failures"].version != first.version
    assert "<svg" in Drawer().svg("", now["metrics"])


def test_failures_of_very_many_simulations_are_drawn_from_some_of_all_parts(tmp_path):
    fill(qx.lab.begin_book(tmp_path / "run", key=0), 30_000, size=300, failing=30)
    shelf = Shelf([str(tmp_path)])
    (sheet,) = sheets_of(shelf, shelf.places()[0])
    shown = sheet.draw()
    # Each batch fails in its last tenth, where mu > 1.6; a panel a parameter.
    assert np.max([line.get_ydata() for line in shown.axes[0].lines[-1:]]) == 1.0


def test_what_serves_pages_loads_nothing_that_simulates():
    code = "import sys, quincunx.studio.app, quincunx.studio.serving; print([m for m in ('jax', 'equinox', 'pandas') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
