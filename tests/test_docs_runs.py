"""Every command and example of the page on runs is run."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import quincunx as qx
from quincunx.cli.main import app

PAGE = (Path(__file__).parents[1] / "docs" / "runs.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The page's folder after all its commands."""
    place = tmp_path_factory.mktemp("docs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for language, text in BLOCKS:
            for line in text.splitlines() if language == "sh" else ():
                name, *arguments = shlex.split(line)
                done = CliRunner().invoke(app, arguments)
                assert name == "quincunx" and done.exit_code == 0, (line, done.output)
    return place / "decay"


def test_the_run_has_simulations_an_answer_and_exports(folder):
    with qx.lab.open_book(folder / "run", read_only=True) as book:
        assert len(book.shards()) == 600
        (kept,) = book.artefacts("posterior")
        assert qx.load(book.artefact_file(kept.sha256)).names == ("rate", "lifetime")
    assert len(qx.Simulations.load(folder / "simulations.npz")) == 600
    assert (folder / "quick" / "posterior.qx").is_file() and (folder / "trained.qx").is_file()
    assert "rule simulate_batch" in (folder / "workflow" / "Snakefile").read_text()
    assert (folder / "yadage" / "workflow.yml").is_file()


def test_the_study_is_declared_as_the_page_says():
    from quincunx.cli.studies import study_text

    names: dict = {}
    exec(compile(study_text(None), "study.py", "exec"), names)
    written = names["study"]
    exec(next(text for language, text in BLOCKS if language == "python" and "Study(" in text), names)
    told = names["study"]
    assert told is not written and repr(told) == repr(written) and told.simulator is written.simulator


def test_the_example_of_failures(folder):
    names: dict = {}
    text = next(text for language, text in BLOCKS if language == "python" and "restrict" in text)
    exec(compile(text, "runs.md", "exec"), names)
    assert abs(names["sims"].failure_rate - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 1000)
    assert float(names["found"].p_ok({"a": 0.5})) > 0.5 > float(names["found"].p_ok({"a": 0.95}))
    assert abs(names["narrow"].region.share - 0.8) < 0.03 and "restricted" in repr(names["narrow"])
