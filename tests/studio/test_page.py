"""The studio in a real browser: every page at both widths and in both schemes, live news, a person's loop, two who approve at once, attacks."""

import contextlib
import os
import shutil
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

import quincunx as qx
from quincunx.cli.main import app

from .conftest import EVIL, book_of

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as made:
        found = made.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


class Watched:
    """A page that remembers what went wrong in it and whom it asked."""

    def __init__(self, browser, *, width=1280, scheme="light"):
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, accept_downloads=True
        )
        self.page = self.context.new_page()
        self.wrong, self.asked = [], []
        self.page.on(
            "console", lambda said: self.wrong.append(said.text) if said.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def open(self, address):
        self.page.goto(address)
        self.page.wait_for_selector("h1")
        self.page.wait_for_selector("text=live")
        return self.page

    def settled(self):
        self.page.wait_for_selector("main h1")
        self.page.wait_for_timeout(200)
        self.page.wait_for_selector("[aria-busy]", state="detached", timeout=60_000)


@pytest.fixture
def watched(browser):
    made = []

    def new(**options):
        made.append(Watched(browser, **options))
        return made[-1]

    yield new
    for one in made:
        one.context.close()


def contrast(page, selector):
    """WCAG's contrast of an element's text with what is behind it."""
    return page.evaluate(
        """selector => {
          const element = document.querySelector(selector);
          const parse = text => text.match(/[\\d.]+/g).map(Number);
          const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
          let behind = element;
          while (parse(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
          const pair = [light(parse(getComputedStyle(element).color)), light(parse(getComputedStyle(behind).backgroundColor))].sort((a, b) => b - a);
          return (pair[0] + 0.05) / (pair[1] + 0.05);
        }""",
        selector,
    )


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_every_page(folder, serve, watched, width, scheme):
    studio = serve(folder, "--allow-run")
    one = watched(width=width, scheme=scheme)
    page = one.open(studio.address)
    assert "token" not in page.url
    pages = ["#/", "#/jobs", "#/begin", "#/compare", "#/nowhere"]
    ids = {a.inner_text(): a.get_attribute("href") for a in page.query_selector_all(".card h2 a")}
    assert set(ids) == {"loop", "simulated", "study", "answer", "broken"}
    for name in ("loop", "simulated", "study"):
        pages += [ids[name] + tab for tab in ("", "/events", "/failures", "/provenance")]
    pages += [ids["answer"], f"#/compare?ids={ids['loop'].split('/')[-1]},{ids['answer'].split('/')[-1]}"]
    for at in pages:
        page.evaluate("at => { location.hash = at }", at)
        one.settled()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, at
        assert page.query_selector_all("img[src='x']") == [] and page.title() != "1", at
        until = time.monotonic() + 120
        whole = "all => all.every(i => i.complete && i.naturalWidth > 100 && i.alt)"
        while not page.eval_on_selector_all("img.picture", whole) and time.monotonic() < until:
            page.wait_for_timeout(100)
        assert page.eval_on_selector_all("img.picture", whole), at
        unnamed = page.eval_on_selector_all(
            "input, select, textarea, button",
            "all => all.filter(e => !(e.labels && e.labels.length) && !e.ariaLabel && !e.textContent.trim()).map(e => e.id)",
        )
        assert unnamed == [], at
    for selector in ("h1", ".note", ".chip", "figcaption", "nav a", "main a"):
        for at in ("#/", pages[-1]):
            page.evaluate("at => { location.hash = at }", at)
            one.settled()
            if page.query_selector(selector):
                assert contrast(page, selector) >= 4.5, (selector, at)
    page.evaluate("at => { location.hash = at }", ids["simulated"] + "/failures")
    page.wait_for_selector(f"text={EVIL}")
    page.evaluate("at => { location.hash = at }", ids["broken"])
    page.wait_for_selector("text=not a database")
    host = studio.address.split("/#")[0]
    assert one.asked and all(url.startswith((host, f"blob:{host}")) for url in one.asked)
    # What a damaged book answers is an error to the browser, too.
    assert all("409" in said for said in one.wrong), one.wrong


def test_a_study_shows_its_answer(folder, serve, watched):
    one = watched()
    page = one.open(serve(folder).address)
    page.click(".card h2 a:has-text('study')")
    page.wait_for_selector("h2:has-text('The answer')")
    one.settled()
    shown = {figure.get_attribute("id"): figure for figure in page.query_selector_all("figure")}
    assert {"answer", "predictive"} <= set(shown)
    for name in ("answer", "predictive"):
        picture = shown[name].query_selector("img.picture")
        assert picture is not None and picture.evaluate("i => i.complete && i.naturalWidth > 100")
    assert "NPE, 200 simulations." in page.inner_text("main") and f"look out {EVIL}" in page.inner_text("main")
    # in the order of the prior
    rows = [row.inner_text() for row in page.query_selector_all("section:has(h2:text('The answer')) tbody th")]
    assert rows == ["b", EVIL] and one.wrong == []


def test_the_list_is_asked_for_once_and_again_after_news(tmp_path, serve, watched):
    book = qx.lab.begin_book(tmp_path / "run", key=0)
    one = watched()
    page = one.open(serve(tmp_path).address)
    page.wait_for_selector(".card h2 a")
    page.wait_for_timeout(1000)

    def lists():
        return sum(url.endswith("/api/places") for url in one.asked)

    before = lists()
    page.click(".card h2 a")
    for tab in ("events", "failures", "provenance", "overview"):
        page.click(f"#tab-{tab}")
        page.wait_for_selector(f"#tab-{tab}[aria-current='page']")
    assert lists() == before <= 2, "once for the page, and once when it was told that it is live"
    page.click("#tab-events")
    page.wait_for_selector("#kind")
    book.note("a thing happened", where="here")
    page.wait_for_selector("td:has-text('a thing happened')", timeout=10_000)
    assert lists() == before + 1 and one.wrong == []


def test_pictures_of_a_page_that_was_left_are_no_longer_waited_for(folder, serve, watched):
    one = watched()
    page = one.open(serve(folder).address)
    page.wait_for_selector(".card h2 a")
    held, given_up = [], []
    page.on("requestfailed", lambda request: given_up.append(request.url))
    page.route("**/pictures/*.svg*", lambda route: held.append(route))
    page.click(".card h2 a:has-text('study')")
    page.wait_for_selector("[aria-busy]")
    until = time.monotonic() + 20
    while len(held) < 3 and time.monotonic() < until:
        page.wait_for_timeout(50)
    page.click("nav a:has-text('Runs')")
    page.wait_for_selector("h1:has-text('Runs and answers')")
    while len(given_up) < 3 and time.monotonic() < until:
        page.wait_for_timeout(50)
    assert sorted(given_up) == sorted(route.request.url for route in held) and len(held) == 3
    page.unroute("**/pictures/*.svg*")
    page.click(".card h2 a:has-text('study')")
    page.wait_for_selector("[aria-busy]")
    one.settled()
    assert len(page.query_selector_all("img.picture[src]")) == 3
    assert all("ERR_FAILED" in said or "aborted" in said.lower() for said in one.wrong), one.wrong


def test_with_the_keyboard_alone(folder, serve, watched):
    one = watched()
    page = one.open(serve(folder).address)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    reached = []
    for _ in range(25):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    assert {"filter", "loop", "answer", "Commands"} <= set(reached)
    page.focus("#filter")
    page.keyboard.type("loop")
    assert [a.inner_text() for a in page.query_selector_all(".card h2 a")] == ["loop"]
    page.focus(".card h2 a")
    page.keyboard.press("Enter")
    page.wait_for_selector("h2:has-text('What is known')")
    assert page.evaluate("document.activeElement.id") == "content"
    assert "Start it with --allow-run" in page.inner_text("main") and page.query_selector("form") is None
    assert one.wrong == []


def test_news_comes_by_itself_and_back_after_the_studio_was_killed(tmp_path, serve, watched):
    book = qx.lab.begin_book(tmp_path / "run", key=0)
    studio = serve(tmp_path)
    one = watched()
    page = one.open(studio.address)
    page.click(".card h2 a")
    page.click("#tab-events")
    page.wait_for_selector("#kind")
    book.note("a thing happened", where="here")
    page.wait_for_selector("td:has-text('a thing happened')", timeout=10_000)
    studio.process.send_signal(signal.SIGTERM)
    page.wait_for_selector("text=not connected", timeout=20_000)
    port = studio.address.split(":")[2].split("/")[0]
    serve(tmp_path, "--port", port)
    # Another start has another token: the page goes back to the door.
    page.wait_for_selector("text=token", timeout=30_000)


def test_a_person_s_loop_and_two_who_approve_at_once(tmp_path, serve, watched):
    begun = CliRunner().invoke(
        app,
        [
            "loop",
            "threshold",
            "--run",
            str(tmp_path / "loop"),
            "--settings",
            "level=[-1,0,1]",
            "--rounds",
            "2",
            "--seed",
            "5",
        ],
    )
    assert begun.exit_code == 0, begun.output
    studio = serve(tmp_path, "--allow-run")
    one, other = watched(), watched()
    for mine, name in ((one, "Ada"), (other, "Bob")):
        page = mine.open(studio.address)
        page.click(".card h2 a")
        page.fill("#by", name)
    other.page.fill("#override", "level=1")
    one.page.click("#approve-send")
    one.page.wait_for_selector("text=Under way")
    other.page.click("#approve-send")
    # Whoever comes second is told that something is under way, or which design stands.
    other.page.wait_for_selector(".said:not(:empty)")
    one.page.wait_for_selector("text=waits for data", timeout=120_000)
    book = book_of(tmp_path / "loop")
    (approved,) = book.events("approved")
    assert approved.facts["by"] == "Ada" and not approved.facts["overridden"]
    one.page.fill("#pasted", "yes\n1\n0\n1\n1\n0\n")
    one.page.fill("#by", "Ada")
    one.page.click("#tell-send")
    one.page.wait_for_selector("text=waits for approval", timeout=120_000)
    (told,) = book.events("told")
    assert told.facts["events"] == 5 and told.facts["by"] == "Ada" and told.facts["answers"] == 0
    one.page.wait_for_selector("h2:has-text('Timeline')")
    assert one.wrong == []


def test_a_browser_that_is_killed_loses_nothing(tmp_path, serve, watched, browser):
    """What it asked for is done to its end, the studio goes on, and whoever comes next sees it."""
    begun = CliRunner().invoke(
        app,
        ["loop", "threshold", "--run", str(tmp_path / "loop"), "--settings", "level=[-1,0,1]", "--rounds", "2"],
    )
    assert begun.exit_code == 0, begun.output
    studio, profile = serve(tmp_path, "--allow-run"), tmp_path / "profile"
    doomed = browser.browser_type.launch_persistent_context(
        str(profile), executable_path=CHROMIUM, args=["--no-sandbox"]
    )
    page = doomed.new_page()
    page.goto(studio.address)
    page.click(".card h2 a:has-text('loop')")
    page.fill("#by", "Ada")
    page.click("#approve-send")
    page.wait_for_selector("text=Under way")
    # its own processes, by the folder that only they have
    mine = [
        int(one.name)
        for one in Path("/proc").iterdir()
        if one.name.isdigit() and f"--user-data-dir={profile}".encode() in _command(one)
    ]
    assert mine
    for process in mine:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    book, until = book_of(tmp_path / "loop"), time.monotonic() + 120
    while not book.events("approved") and time.monotonic() < until:
        time.sleep(0.2)
    (approved,) = book.events("approved")
    assert approved.facts["by"] == "Ada" and studio.process.poll() is None
    other = watched()
    other.open(studio.address).click(".card h2 a:has-text('loop')")
    other.page.wait_for_selector("text=waits for data", timeout=60_000)
    assert other.wrong == []


def _command(process):
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def test_a_page_elsewhere_can_neither_read_nor_do_anything(folder, serve, watched):
    studio = serve(folder, "--allow-run")
    elsewhere = serve(folder)
    one = watched()
    page = one.open(elsewhere.address)
    host, token = studio.address.split("/#token=")
    attack = """async ([host, token]) => {
      const tries = [
        () => fetch(host + "/api/places", {headers: {"x-quincunx-token": token}}),
        () => fetch(host + "/api/start", {method: "POST", body: "{}", headers: {"content-type": "text/plain"}, mode: "no-cors"}),
        () => fetch(host + "/api/session", {method: "POST", body: JSON.stringify({token}), headers: {"content-type": "application/json"}}),
      ];
      const seen = [];
      for (const one of tries) { try { const a = await one(); seen.push([a.type, a.status]); } catch (e) { seen.push("refused"); } }
      return seen;
    }"""
    assert page.evaluate(attack, [host, token]) == ["refused"] * 3
    for headers in ({"Host": "evil.com"}, {}):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(f"{host}/api/places", headers=headers), timeout=10)
        assert refused.value.code in (400, 401)
    frame = page.evaluate(
        "host => new Promise(done => { const f = document.createElement('iframe'); f.src = host + '/'; f.onload = () => done('loaded'); "
        "f.onerror = () => done('error'); document.body.append(f); setTimeout(() => done('nothing'), 1500) })",
        host,
    )
    assert frame in ("loaded", "nothing") and all("Quincunx" not in (f.title() or "") for f in page.frames[1:])
