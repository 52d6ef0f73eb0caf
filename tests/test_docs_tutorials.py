"""Every example of the tutorials is run, and prints what the page says."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import quincunx as qx

ROOT = Path(__file__).parents[1]
NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?|\b(?:nan|inf)\b")
PAGES = ("first-five-minutes", "simulate", "infer", "check", "loop", "commands")


def module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = loaded
    spec.loader.exec_module(loaded)
    return loaded


execute = module(ROOT / "docs" / "execute.py")


def words(text):
    """Lines without their numbers, blanks and rules, in any order: tables are sorted by what the processor rounds."""
    lines = (re.sub(r"[\s─]+", " ", NUMBER.sub("#", line)).strip() for line in text.splitlines())
    return sorted(line for line in lines if line)


def exact_posterior(names):
    """Means and standard deviations of the balance: a Gaussian prior and two Gaussian readings."""
    precision = np.eye(2) + 4 * np.array([[2.0, 1.0], [1.0, 1.0]])
    x = np.asarray(names["x_o"], float)
    covariance = np.linalg.inv(precision)
    return covariance @ (4 * np.array([x[0] + x[1], x[1]])), np.sqrt(np.diag(covariance))


def true_infer(names, folder):
    mean, sd = exact_posterior(names)
    flat = np.stack([names["draws"]["mass"], names["draws"]["drift"]], axis=-1)
    # a regression with about twenty coefficients on 2,000 simulations has relative error sqrt(20 / N)
    learned = np.sqrt(20 / 2_000)
    assert np.all(np.abs(flat.mean(0) - mean) < 4 * learned * sd)
    assert np.all(np.abs(flat.std(0) / sd - 1) < 2 * learned)
    assert (folder / "moons" / "posterior.qx").is_file()


def true_simulate(names, folder):
    assert len(names["both"]) == 2_500 and abs(names["z"]).max() < 4
    assert len(qx.load(folder / "moons.qx")) == 1_000


def true_check(names, folder):
    assert names["report"].status == "fail" and not names["posterior"].warnings
    assert (folder / "moons" / "checks.json").is_file()


def true_loop(names, folder):
    for run, told in (("level", 1), ("alone", 3), ("planned", 2)):
        with qx.lab.open_book(folder / run, read_only=True) as book:
            assert len(book.artefacts("data")) == told
    assert "http:" not in (folder / "level.html").read_text()


def true_five_minutes(names, folder):
    with qx.lab.open_book(folder / "night", read_only=True) as book:
        assert len(book.shards()) == 400
    counts = qx.load(folder / "counts.qx")
    assert len(counts) == 20 and not counts.failed.any()


def true_commands(names, folder):
    assert (folder / "moons" / "report.html").is_file()
    with qx.lab.open_book(folder / "decay" / "run", read_only=True) as book:
        assert len(book.shards()) == 100


TRUE = dict(
    zip(PAGES, (true_five_minutes, true_simulate, true_infer, true_check, true_loop, true_commands), strict=True)
)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_does_what_it_says(page, tmp_path):
    names, shown = execute.run_page((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"), tmp_path)
    for one in shown:
        assert words(one.page) == words(one.real)
    TRUE[page](names, tmp_path)


def test_an_example_that_prints_something_else_is_seen(tmp_path):
    page = "```python\nprint('mean', 1.25)\n```\n\n```text\nmean 1.5\n```\n\n```python\nprint('sd')\n```\n\n```text\nmean 1.5\n```\n"
    _, (alike, other) = execute.run_page(page, tmp_path)
    assert words(alike.page) == words(alike.real) and words(other.page) != words(other.real)
    with pytest.raises(RuntimeError, match="exit code"):
        execute.run_page("```sh\nquincunx no-such-verb\n```\n", tmp_path)
