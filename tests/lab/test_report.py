"""The report's page, read back with the standard library's HTML parser."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.figure import Figure

from quincunx import plot
from quincunx.errors import UsageError
from quincunx.lab import CheckRow, ComparisonRow, ParameterRow, Picture, ReportContent, render_report, write_report
from quincunx.lab.report.pictures import embed
from quincunx.lab.report.stylesheet import stylesheet

EVIL = "<script>alert('x')</script><img src=http://evil.example/a.png onerror=alert(1)>\"'&"
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Elements in order, their attributes, visible text, and whether every element is closed."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.headings: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if self.open and self.open[-1] in ("style",):
            return
        self.text.append(data)
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def content() -> ReportContent:
    random = np.random.default_rng(0)
    draws = random.normal(size=(400, 2))
    return ReportContent(
        title="Influenza",
        question="How fast?",
        data={"day": np.arange(1, 15), "in bed": np.arange(14.0)},
        design={"population": 763},
        warnings=["3 simulations failed."],
        posterior=[ParameterRow("beta", "1/day", 1.73, 0.05, (1.68, 1.78), (1.63, 1.83), 4000.0, 1.001)],
        derived=[ParameterRow("R0", "", 3.2, 0.3, (2.9, 3.5), (2.7, 3.8))],
        pictures={
            "Posterior": Picture(plot.corner(draws, ["beta", "gamma"]), "Regions.", "Two Gaussians.", "posterior"),
            "Loss": Picture(plot.losses(draws[:20, :1], draws[:20, 1:]), "Falls.", "Two curves.", "training"),
        },
        checks=[CheckRow("sbc: beta", "pass", 0.1, 0.4, 1.0),
                CheckRow("coverage", "fail", -0.1, 1e-9, 1e-8, "overconfident", "Covers?")],
        comparison=[ComparisonRow("beta", 1.73, 0.05, 1.74, 0.05)],
        comparison_name="long MCMC",
        simulations={"simulations": 10_000},
        training={"epochs": 80},
        provenance={"seed": 0, "versions": {"jax": "0.10"}},
        command="quincunx demo boarding_school --seed 0",
    )  # fmt: skip


@pytest.fixture(scope="module")
def page(content) -> Page:
    return Page(render_report(content))


def test_every_element_is_closed_and_the_page_is_one_document(page, content):
    assert page.open == []
    assert [tag for tag, _ in page.elements].count("html") == 1
    assert page.all("html")[0]["lang"] == "en" and any("viewport" in str(m.get("name")) for m in page.all("meta"))


def test_warnings_come_first_and_provenance_and_command_last(page):
    assert page.headings[:2] == ["Influenza", "Warnings"]
    assert page.headings[2:] == [
        "Data", "Posterior", "Compared with long MCMC", "Is the answer right?", "Simulations", "Training", "Provenance",
        "To reproduce this report",
    ]  # fmt: skip
    text = "".join(page.text)
    assert text.rstrip().endswith("quincunx demo boarding_school --seed 0")
    assert text.index("3 simulations failed.") < text.index("Data")


def test_a_failed_check_is_among_the_warnings_and_heads_the_table(page):
    text = "".join(page.text)
    assert "Check failed: coverage: overconfident" in text and "2 checks: 1 failed, 1 passed." in text
    checks = text[text.index("Is the answer right?") :]
    assert checks.index("coverage") < checks.index("sbc: beta")


def test_nothing_is_loaded_from_anywhere_and_nothing_runs(content):
    text = render_report(content)
    page = Page(text)
    assert not re.search(r"https?:|//[a-z]", text, re.IGNORECASE), "no address at all"
    assert not {"script", "iframe", "object", "embed", "link", "form", "base"} & {tag for tag, _ in page.elements}
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "xlink:href", "srcset", "action"):
                assert value.startswith(("#", "data:image/png;base64,")), (tag, name, value[:60])
    assert "@import" not in text and "url(http" not in text
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy


def test_text_of_others_cannot_become_markup(content):
    evil = replace(
        content,
        title=EVIL, question=EVIL, summary=EVIL, data_note=EVIL, warnings=[EVIL], posterior_note=EVIL, checks_note=EVIL,
        comparison_note=EVIL, comparison_name=EVIL, command=EVIL, data={EVIL: np.array([EVIL])}, design={EVIL: EVIL},
        posterior=[ParameterRow(EVIL, EVIL, 1.0, 0.1, (0.9, 1.1), (0.8, 1.2))],
        checks=[CheckRow(EVIL, "warn", effect=EVIL, question=EVIL)],
        comparison=[ComparisonRow(EVIL, 1.0, 0.1, 1.0, 0.1)],
        simulations={EVIL: {EVIL: [EVIL]}}, training={EVIL: EVIL}, provenance={EVIL: EVIL},
        pictures={EVIL: Picture(Figure(figsize=(1, 1)), EVIL, EVIL, "posterior")},
    )  # fmt: skip
    page = Page(render_report(evil))
    assert page.open == []
    assert not page.all("script") and not page.all("img")
    assert all(not name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert "".join(page.text).count("alert('x')") >= 20


def test_names_in_figures_cannot_become_markup():
    name = "</svg><script>alert(1)</script>"
    markup = embed(plot.corner(np.random.default_rng(0).normal(size=(50, 1)), [name], name=name), alt=name, prefix="p")
    page = Page(markup)
    assert page.open == [] and not page.all("script")


def test_pictures_have_captions_alternatives_and_their_own_identifiers(page):
    figures = page.all("figure")
    drawings = [attributes for attributes in page.all("svg") if attributes.get("role") == "img"]
    assert len(figures) == len(drawings) == len(page.all("figcaption")) == 2
    assert [attributes["aria-label"] for attributes in drawings] == ["Two Gaussians.", "Two curves."]
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for _, attributes in page.elements:
        reference = attributes.get("href") or ""
        if reference.startswith("#"):
            assert reference[1:] in identifiers


def test_pictures_follow_the_page_from_light_to_dark(content):
    markup = embed(content.pictures["Posterior"].figure, alt="a", prefix="p")
    assert "var(--posterior)" in markup and "var(--ink)" in markup
    left = set(re.findall(r"(?:fill|stroke): (#[0-9a-fA-F]{6})", markup))
    assert not left, f"colours that dark mode cannot change: {left}"
    assert "prefers-color-scheme: dark" in render_report(content) and "@media print" in render_report(content)


def test_the_style_has_whole_rules():
    rules = stylesheet()
    assert rules.count("{") == rules.count("}")
    assert all(line.count('"') % 2 == 0 for line in rules.splitlines()), "a string cut by a line end voids its rule"
    assert "max-width: 62rem" in rules and "url(" not in rules


def test_a_heavy_picture_is_embedded_as_png():
    figure = Figure(figsize=(3, 3))
    axes = figure.add_subplot()
    random = np.random.default_rng(0)
    axes.scatter(*random.uniform(size=(2, 8000)), s=1)
    markup = embed(figure, alt="A cloud.", prefix="p")
    assert markup.startswith('<img class="ground" alt="A cloud."') and len(markup) < 300_000


def test_twelve_parameters_make_a_page_well_below_five_megabytes():
    draws = np.random.default_rng(1).normal(size=(1500, 12)) @ np.random.default_rng(2).normal(size=(12, 12))
    picture = Picture(plot.corner(draws, [f"p{i}" for i in range(12)]), "All.", "All.", "posterior")
    assert len(render_report(ReportContent(title="Twelve", pictures={"Corner": picture}))) < 1_500_000


def test_an_empty_report_says_that_nothing_was_checked():
    page = Page(render_report(ReportContent(title="Nothing")))
    text = "".join(page.text)
    assert page.headings == ["Nothing", "Warnings"]
    assert "nothing has been checked" in text and "No checks were run." in text


def test_a_clean_report_says_so():
    text = "".join(Page(render_report(ReportContent(title="t", checks=[CheckRow("a", "pass")]))).text)
    assert "None." in text and "1 checks" not in text


def test_long_data_are_summarised():
    text = "".join(Page(render_report(ReportContent(title="t", data={"x": np.arange(1000.0)}))).text)
    assert "1000" in text and "999" in text and "998" not in text


def test_writing_replaces_the_file_whole(tmp_path, monkeypatch):
    target = tmp_path / "deep" / "report.html"
    write_report(target, ReportContent(title="first"))
    assert "first" in target.read_text() and oct(target.stat().st_mode)[-3:] == "644"
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_report(target, ReportContent(title="second"))
    assert "first" in target.read_text() and [p.name for p in target.parent.iterdir()] == ["report.html"]


def test_impossible_content_is_refused():
    with pytest.raises(UsageError, match="section"):
        Picture(Figure(), "c", "a", "somewhere")
    with pytest.raises(UsageError, match="alternative"):
        Picture(Figure(), "c", " ", "posterior")
    with pytest.raises(UsageError, match="status"):
        CheckRow("a", "maybe")
