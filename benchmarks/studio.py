"""The studio on a large run: seconds until its page stands, the server's CPU seconds for it, and the server's memory.

    python benchmarks/studio.py [SIMULATIONS] [EVENTS]

By default a run of 1e6 simulations in 100 batches with 10,000 events and an answer in its lab book, made in a temporary folder. The page is opened in
Chromium where there is one, else its requests are made one by one. Exit code 1 above 2 seconds or 200 MB.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
import numpyro.distributions as dist

import quincunx as qx
from quincunx.lab.answer_standing import DRAWN
from quincunx.lab.drawn import AnswerDraws
from quincunx.model import Prior, wrap
from quincunx.run import Simulations, write_shard


def normal(theta, *, rng):
    return rng.normal(theta["mu"], 1.0, 4)


def make(folder: Path, simulations: int, events: int) -> None:
    """A finished run whose simulations fail here and there."""
    simulator = wrap(normal, Prior(mu=dist.Normal(0.0, 1.0), width=dist.HalfNormal(1.0)), name="normal")
    rng = np.random.default_rng(0)
    with qx.lab.begin_book(folder, key=0) as book:
        book.plan(simulations, size=max(1, simulations // 100), simulator=simulator)
        while held := book.lease("worker", 600.0):
            theta = {name: rng.normal(size=held.n).astype(np.float32) for name in ("mu", "width")}
            x = rng.normal(size=(held.n, 4)).astype(np.float32)
            x[theta["mu"] > 2.5] = np.nan
            sims = Simulations.of(theta, x)
            sims = type(sims)(**{**vars(sims), "index": np.arange(held.first, held.first + held.n)})
            book.complete(held, write_shard(sims, book.shard_folder, key=book.key, round=held.round))
        shown = AnswerDraws(
            ("mu", "width"), rng.normal(size=(4000, 2)), rng.normal(size=(4000, 2)), ("x[0]", "x[1]", "x[2]", "x[3]"), np.zeros(4),
            rng.normal(size=(200, 4)),
        )  # fmt: skip
        row = {"mean": 0.0, "sd": 1.0, "68% low": -1.0, "68% high": 1.0, "95% low": -2.0, "95% high": 2.0}
        facts = {"posterior": "0" * 64, "columns": ["mu", "width"], "method": "npe", "simulations": simulations}
        book.artefact(
            shown, DRAWN, facts=facts | {"summary": {"mu": row, "width": row}, "warnings": [], "replicates": 200}
        )
        for number in range(events):
            book.note("seen", number=number, said="something happened, of which a line is written down")


def cpu_seconds(process: int) -> float:
    """User and system time of a process so far."""
    told = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


def memory(process: int) -> float:
    """The most that a process had in memory, in MB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def by_browser(address: str) -> tuple[float, float]:
    """Seconds until a run's page stands, and until its pictures do."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as made:
        browser = made.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector(".card h2 a")
        began = time.perf_counter()
        page.click(".card h2 a")
        page.wait_for_selector("h2:text-is('Simulations')")
        stands = time.perf_counter() - began
        page.wait_for_selector("[aria-busy]", state="detached", timeout=60_000)
        drawn = time.perf_counter() - began
        page.click("#tab-events")
        page.wait_for_selector("table.events")
        browser.close()
    return stands, drawn


def by_requests(address: str) -> tuple[float, float]:
    """The same without a browser."""
    host, token = address.split("/#token=")

    def get(path: str) -> bytes:
        return urllib.request.urlopen(
            urllib.request.Request(host + path, headers={"x-quincunx-token": token}), timeout=60
        ).read()

    (place,) = json.loads(get("/api/places"))["places"]
    began = time.perf_counter()
    about = json.loads(get(f"/api/places/{place['id']}"))
    stands = time.perf_counter() - began
    for sheet in about["pictures"]:
        get(f"/api/places/{place['id']}/pictures/{sheet['name']}.svg")
    drawn = time.perf_counter() - began
    get(f"/api/places/{place['id']}/events")
    return stands, drawn


def main() -> int:
    simulations, events = (int(float(text)) for text in (sys.argv[1:3] + ["1e6", "1e4"][len(sys.argv[1:3]) :]))
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder) / "run", simulations, events)
        command = [sys.executable, "-m", "quincunx.cli", "studio", folder]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            before = cpu_seconds(server.pid)
            browser = shutil.which("chromium") is not None
            stands, drawn = by_browser(address) if browser else by_requests(address)
            used, held = cpu_seconds(server.pid) - before, memory(server.pid)
        finally:
            server.terminate()
            server.wait()
    print(f"{simulations:,} simulations, {events:,} events, {'in a browser' if browser else 'by requests'}")
    print(f"page stands after {stands:.2f} s, its pictures after {drawn:.2f} s")
    print(f"server: {used:.2f} CPU s, at most {held:.0f} MB")
    return int(stands > 2.0 or held > 200.0)


if __name__ == "__main__":
    sys.exit(main())
