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
            looped = _loop(book)
            if json:
                emit(now.to_dict() if looped is None else {**now.to_dict(), "loop": looped})
            else:
                _show(now, looped)
            if watch is None or not (now.batches["todo"] or now.batches["leased"]):
                return
            time.sleep(watch)


def _loop(book: Any) -> dict[str, Any] | None:
    """Where the loop of a run stands, if it has one."""
    from quincunx.lab.loop.standing import loop_standing

    found = loop_standing(book)
    if found is None:
        return None
    awaited = found["awaited"]
    told = ("state", "stopped", "simulator", "space", "experiments", "rounds", "spent")
    return {**{name: found[name] for name in told}, "awaited": None if awaited is None else awaited["design"]}


_WAITS = {
    "propose": "the next experiment is to be proposed",
    "approve": "a proposal waits to be approved",
    "measure": "waits for data at",
    "update": "data are there to learn from",
    "needs attention": "needs attention: the newest data failed their check",
    "stopped": "stopped:",
}


def _said(value: Any) -> str:
    return f"[{', '.join(map(_said, value))}]" if isinstance(value, list) else f"{value:.4g}"


def _show_loop(looped: dict[str, Any]) -> None:
    at = looped["awaited"] if looped["state"] == "measure" else None
    more = looped["stopped"] or ("" if at is None else ", ".join(f"{n} = {_said(v)}" for n, v in at.items()))
    rows: list[list[Any]] = [
        ["of", looped["simulator"]],
        ["experiments", f"{looped['experiments']} of {looped['rounds']}"],
        ["spent", f"{looped['spent']:.4g}"],
        ["state", f"{_WAITS[looped['state']]} {more}".strip()],
    ]
    tabulate(["loop", ""], rows)


def _show(now: Any, looped: dict[str, Any] | None) -> None:
    if looped is not None:
        _show_loop(looped)
    if looped is None or now.planned:
        _show_simulations(now)
    mended = [[_clock(event.t), event.kind, _facts(event.facts)] for event in now.mended]
    if mended:
        tabulate(["mended", "what", ""], mended)
    tabulate(["last events", "what", ""], [[_clock(event.t), event.kind, _facts(event.facts)] for event in now.events])


def _show_simulations(now: Any) -> None:
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
    """
    >>> _facts({"design": {"level": 0.25}, "by": "Ada", "sha256": "8bcf7d", "step": 2})
    'level 0.25, by Ada, step 2'
    >>> _facts({"design": {"times": [0.5, 24.0]}, "p_value": 0.29685157421289354})
    'times [0.5, 24], p_value 0.2969'
    """
    shown: dict[str, Any] = {}
    for name, value in facts.items():
        if isinstance(value, dict):
            # a design; what else is nested, or only a hash, says nothing in a line
            shown |= {n: _said(v) for n, v in value.items() if isinstance(v, float | list) and name == "design"}
        elif name not in ("sha256", "data", "numbers", "columns", "likelihood") and value not in ([], 0, None):
            shown[name] = f"{value:.4g}" if isinstance(value, float) else value
    text = ", ".join(f"{name} {value}" for name, value in shown.items())
    return text if len(text) <= 80 else f"{text[:77]}..."
