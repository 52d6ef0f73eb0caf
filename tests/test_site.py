"""The documentation leads somewhere wherever it points, and its site fetches nothing."""

import importlib.util
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SITE = ROOT / "docs" / "site"


def module(name):
    spec = importlib.util.spec_from_file_location(name, SITE / f"{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


links, reference = module("links"), module("reference")
PAGES = [
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING")),
]


def test_every_link_of_every_page_leads_somewhere():
    assert len(PAGES) >= 14 and links.broken_links(PAGES) == []


def test_what_leads_nowhere_is_found(tmp_path):
    (tmp_path / "other.md").write_text("# A heading: `code`, twice\n\n# A heading\n\n# A heading\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Top\n[a](other.md) [b](other.md#a-heading-code-twice) [c](#top) [d](https://a.org/x#y) [e](other.md#a-heading-1)\n"
        "```\n[not a link](nowhere.md)\n```\n`[nor this](nowhere.md)`\n"
        "[1](gone.md) [2](other.md#gone) [3](#gone) ![4](gone.svg) [5](https:///x) [6](other.md#a-heading-2)\n"
    )
    assert [said.split("'")[1] for said in links.broken_links([page])] == [
        "gone.md", "other.md#gone", "#gone", "gone.svg", "https:///x", "other.md#a-heading-2",
    ]  # fmt: skip


def test_a_site_that_fetches_or_points_nowhere_is_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<h1 id="top">A</h1><a href="#top">1</a><a href="b.html#gone">2</a><a href="c.html">3</a>'
        '<script src="https://cdn.org/x.js"></script><a href="https://a.org">4</a>'
    )
    (tmp_path / "b.html").write_text("<p>B</p>")
    (tmp_path / "s.css").write_text("@import url('https://fonts.org/f.css')")
    assert links.broken_site(tmp_path) == [
        "a.html: fetches 'https://cdn.org/x.js'",
        "a.html: 'b.html#gone' is not there",
        "a.html: 'c.html' is not there",
        "s.css: fetches 'https://fonts.org/f.css'",
    ]


@pytest.mark.parametrize("room", reference.ROOMS)
def test_the_reference_has_every_public_name(room):
    page = reference.room_page(room)
    exported = [n for n in importlib.import_module(room).__all__ if not n.startswith("__")]
    named = {line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")}
    values = {n: getattr(importlib.import_module(room), n) for n in exported}
    modules = {n for n, value in values.items() if inspect.ismodule(value) and not callable(value)}
    assert set(exported) - modules <= named and page.count("```") % 2 == 0 and " at 0x" not in page


def test_a_docstring_becomes_markdown():
    said = reference.markdown("One <line>.\n\nRaises:\n    UsageError: if *so*.\n\n>>> 1 < 2\nTrue\n\nAfter `a < b`.")
    assert said.splitlines() == [
        "One &lt;line>.", "", "", "*Raises*", "", "- UsageError: if \\*so\\*.", "", "", "```pycon", ">>> 1 < 2", "True", "```", "", "",
        "After `a < b`.",
    ]  # fmt: skip


@pytest.mark.slow
def test_the_site_is_built(tmp_path):
    pytest.importorskip("sphinx")
    done = subprocess.run([sys.executable, SITE / "build.py", tmp_path / "site"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "reference" / "quincunx.html").is_file()
