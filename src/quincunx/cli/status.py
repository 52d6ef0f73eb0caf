"""``quincunx status``: how a run stands, without touching it."""

import time
from datetime import datetime
from typing import Annotated, Any

import typer

from quincunx.cli.console import emit, tabulate
from quincunx.cli.options import Json, Run, RunName


def status(
    run: Run,
    name: RunName = None,
    watch: Annotated[
        float | None, typer.Option("--watch", metavar="SECONDS", min=0.2, help="Again and again, until all is done.")
    ] = None,
    json: Json = False,
) -> None:
    """Say how a run stands.

    What is done, who works on it, what failed, how fast it goes, what recovery has mended, and the last events. Nothing is written, so
    it may be asked at any time.
    """
    from quincunx.cli.handle import opened
    from quincunx.lab import standing

    with opened(run, name=name, read_only=True) as book:
        while True:
            now = standing(book)
            if json:
                emit(now.to_dict())
            else:
                _show(now)
            if watch is None or not (now.batches["todo"] or now.batches["leased"]):
                return
            time.sleep(watch)


def _show(now: Any) -> None:
    share = 100 * now.failed / now.done if now.done else 0.0
    rows: list[list[Any]] = [
        ["simulations", f"{now.done:,} of {now.planned:,}"],
        ["failed", f"{now.failed:,} ({share:.3g} %)" + _counted(now.failed_by_status)],
        ["batches", ", ".join(f"{count:,} {state}" for state, count in now.batches.items())],
        ["rate", "" if now.rate is None else f"{now.rate:.3g} a second" + _left(now.eta)],
        ["coordinator", now.coordinator or "none"],
    ]
    tabulate(["run", now.run], rows)
    if now.holders:
        held = [[h.owner, h.batches, f"{h.seconds_left:.0f} s{' (gone)' if h.gone else ''}"] for h in now.holders]
        tabulate(["who works on it", "batches", "lease"], held)
    mended = [[_clock(event.t), event.kind, _facts(event.facts)] for event in now.mended]
    if mended:
        tabulate(["mended", "what", ""], mended)
    tabulate(["last events", "what", ""], [[_clock(event.t), event.kind, _facts(event.facts)] for event in now.events])


def _counted(statuses: Any) -> str:
    """
    >>> _counted({"timeout": 3, "raised": 1})
    ': 3 timeout, 1 raised'
    """
    return f": {', '.join(f'{count:,} {status}' for status, count in statuses.items())}" if statuses else ""


def _left(eta: float | None) -> str:
    return f", {eta:.0f} s left" if eta else ""


def _clock(t: float) -> str:
    return datetime.fromtimestamp(t).isoformat(sep=" ", timespec="seconds")


def _facts(facts: Any) -> str:
    text = ", ".join(f"{name} {value}" for name, value in facts.items() if value not in ([], 0, None))
    return text if len(text) <= 80 else f"{text[:77]}..."
