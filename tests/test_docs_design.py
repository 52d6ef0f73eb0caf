"""Every command and example of the page on designing experiments is run."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

import quincunx as qx
from quincunx.cli.main import app

PAGE = (Path(__file__).parents[1] / "docs" / "design.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The page's folder, in which all of it happens."""
    folder = tmp_path_factory.mktemp("design")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def names(place):
    found: dict = {}
    for language, text in BLOCKS:
        if language == "python":
            exec(compile(text, "design.md", "exec"), found)
    return found


def test_the_choice_is_what_the_page_says(names):
    assert abs(names["one"].value - 0.66) < 0.005 and names["one"].se == 0.0
    assert names["choice"].design["dose"] == pytest.approx(0.0, abs=1e-9) and len(names["curve"]) > 10


def test_the_loops_end_where_the_page_says(names):
    assert [row["decided_by"] for row in names["timeline"]] == ["quincunx"] * 2
    assert names["knowledge"].told == 1 and names["state"] == "propose"
    with qx.lab.open_book("tried", read_only=True) as book:
        assert len(book.artefacts("data")) == 2 and len(book.artefacts("knowledge")) == 3


def test_the_rehearsal_gets_narrower(names):
    mean, _ = names["rehearsal"].width()
    assert mean.shape == (3, 1) and mean[2, 0] < mean[0, 0] and set(names["shares"]) == {0.68, 0.95}


def test_the_policy_adapts_and_beats_chance(names):
    assert names["then"]["dose"] < names["first"]["dose"] and names["gap"] > 3 * names["error"]
    assert names["following"].policy is names["adaptive"]


def test_what_is_scarce_decides(names):
    assert names["by_events"].design == {"energy": 40.0}
    assert names["by_time"].design == {"energy": 45.6}


def test_the_commands(place):
    (text,) = (text for language, text in BLOCKS if language == "csv")
    (place / "answers.csv").write_text(text)
    for language, lines in BLOCKS:
        for line in lines.splitlines() if language == "sh" else ():
            name, *arguments = shlex.split(line)
            done = CliRunner().invoke(app, arguments)
            assert name == "quincunx" and done.exit_code == 0, (line, done.output)
            if "--tell" in line:
                assert "Ada" not in done.stderr and "proposed: level" in done.stdout
            if "status" in line:
                assert "1 of 2" in done.stdout
