"""What the pages say, as plain facts: of all places in a line each, of one run, of one answer, and of several side by side."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from quincunx.errors import QuincunxError
from quincunx.lab.answer_standing import answer_standing
from quincunx.lab.book import schema
from quincunx.lab.book.notes import Event
from quincunx.lab.book.progress import progress_of
from quincunx.lab.book.reading import Reading
from quincunx.lab.book.standing import standing
from quincunx.lab.loop.standing import loop_standing
from quincunx.studio.shelf import Place, Shelf

__all__ = [
    "ANSWER_FILES",
    "answer_facts",
    "compared",
    "events_page",
    "failures_page",
    "line_of",
    "made_page",
    "run_facts",
]

ANSWER_FILES = (
    "report.html",
    "draws.csv",
    "posterior.qx",
    "checks.qx",
    "observation.json",
    "reference.csv",
    "simulations.qx",
)
"""What of an answer may be saved from the page."""

_MOST = 500


def line_of(shelf: Shelf, place: Place) -> dict[str, Any]:
    """One place in the list: what it is, how far it is, and what it waits for; a damaged one says what is wrong with it."""
    line: dict[str, Any] = {"id": place.id, "kind": place.kind, "name": place.name, "where": place.where}
    try:
        return line | (_run_line(shelf.book(place)) if place.kind == "run" else _answer_line(shelf.record(place)))
    except QuincunxError as error:
        return line | {"status": "damaged", "said": str(error), "about": "", "changed": 0.0}


def _run_line(book: Reading) -> dict[str, Any]:
    now = progress_of(book.ledger)
    counts = book.state
    begun = book.events("loop begun")
    status, said = "idle", f"{now.done:,} of {now.planned:,} simulations" if now.planned else "nothing planned yet"
    about = str(book.config.get("source", ""))
    if begun:
        looped = loop_standing(book)
        assert looped is not None
        status, about = looped["state"], looped["simulator"]
        said = f"{looped['experiments']} of {looped['rounds']} experiments"
    elif counts["leased"]:
        status = "running"
    elif now.planned and now.done == now.planned:
        status = "done"
    elif counts["failed"]:
        status = "failed"
    return {
        "status": status,
        "said": said,
        "about": about,
        "changed": _last_change(book),
        "done": now.done,
        "planned": now.planned,
        "failed": now.failed,
        "loop": bool(begun),
    }


def _answer_line(record: dict[str, Any]) -> dict[str, Any]:
    options = record["options"]
    return {
        "status": record.get("checked") or record.get("status", "unknown"),
        "said": f"{str(options.get('method', '')).upper()}, {options.get('budget', 0):,} simulations",
        "about": str(options.get("source", "")),
        "started": record.get("started"),
    }


def _last_change(book: Reading) -> float:
    """When something was noted last, in seconds since 1970."""
    table = schema.event
    with book.ledger.database.read() as connection:
        return connection.execute(select(func.max(table.c.t)).where(table.c.run_id == book.ledger.run)).scalar() or 0.0


def run_facts(book: Reading) -> dict[str, Any]:
    """Everything of a run but its events, failures and artefacts, which have pages of their own."""
    now = standing(book)
    facts = {name: value for name, value in now.to_dict().items() if name not in ("events", "mended")}
    surroundings = book.folder / "env.json"
    return {
        "standing": facts,
        "mended": [_event(event) for event in now.mended][-20:],
        "loop": loop_standing(book),
        "answer": answer_standing(book),
        "rounds": [vars(made) | {"done": progress_of(book.ledger, made.round).done} for made in book.rounds],
        "config": book.config,
        "environment": json.loads(surroundings.read_text()) if surroundings.is_file() else {},
        "folder": str(book.folder),
        "artefacts": len(book.artefacts()),
        "read": time.time(),
    }


def _event(event: Event) -> dict[str, Any]:
    return {"id": event.id, "t": event.t, "kind": event.kind, "facts": dict(event.facts)}


def events_page(
    book: Reading, *, before: int | None = None, kind: str | None = None, most: int = 200
) -> dict[str, Any]:
    """The newest events first, at most `most`, older than the one numbered `before`; with the number of all and of each kind."""
    table = schema.event
    here = [table.c.run_id == book.ledger.run]
    asked = select(table).where(*here).order_by(table.c.id.desc()).limit(min(most, _MOST))
    if before is not None:
        asked = asked.where(table.c.id < before)
    if kind is not None:
        asked = asked.where(table.c.kind == kind)
    with book.ledger.database.read() as connection:
        rows = connection.execute(asked).mappings().all()
        kinds = connection.execute(select(table.c.kind, func.count()).where(*here).group_by(table.c.kind)).all()
    return {
        "events": [{"id": r["id"], "t": r["t"], "kind": r["kind"], "facts": json.loads(r["facts"])} for r in rows],
        "kinds": {name: int(count) for name, count in sorted(kinds)},
        "total": sum(int(count) for _, count in kinds),
    }


def failures_page(book: Reading, *, most: int = 200) -> dict[str, Any]:
    """Failed simulations that are written down one by one, the newest batches first, and how many of each kind there are."""
    batch, table = schema.batch, schema.failure
    here = batch.c.run_id == book.ledger.run
    joined = table.join(batch, batch.c.id == table.c.batch_id)
    asked = (
        select(batch.c.round, table).select_from(joined).where(here).order_by(table.c.id.desc()).limit(min(most, _MOST))
    )
    counted = select(table.c.status, func.count()).select_from(joined).where(here).group_by(table.c.status)
    with book.ledger.database.read() as connection:
        rows = connection.execute(asked).all()
        kinds = {status: int(count) for status, count in connection.execute(counted)}
    failures = [
        {"round": r.round, "simulation": r.sim_index, "theta": json.loads(r.theta), "status": r.status, "said": r.said}
        for r in rows
    ]
    return {"failures": failures, "kinds": kinds}


def made_page(book: Reading) -> dict[str, Any]:
    """What is kept, with what each was made from: shards are counted, not listed."""
    table, links = schema.artifact, schema.parent
    here = table.c.run_id == book.ledger.run
    listed = select(table).where(here, table.c.kind != "shard").order_by(table.c.created, table.c.sha256)
    shards = select(table.c.sha256).where(here, table.c.kind == "shard")
    with book.ledger.database.read() as connection:
        rows = connection.execute(listed).all()
        shard = set(connection.execute(shards).scalars())
        pairs = connection.execute(select(links.c.child, links.c.parent).where(links.c.run_id == book.ledger.run)).all()
    parents: dict[str, list[str]] = {}
    for child, parent in pairs:
        parents.setdefault(child, []).append(parent)
    made = []
    for row in rows:
        above = parents.get(row.sha256, [])
        made.append(
            {
                "sha256": row.sha256,
                "kind": row.kind,
                "name": Path(row.path).name.partition("-")[2],
                "created": row.created,
                "facts": json.loads(row.facts),
                "parents": [one for one in above if one not in shard],
                "shards": sum(one in shard for one in above),
            }
        )
    return {"artefacts": made, "shards": len(shard)}


def answer_facts(folder: Path, record: dict[str, Any]) -> dict[str, Any]:
    """Everything of an answer: how it was made, its table, its checks, and which files there are."""
    checks = folder / "checks.json"
    found = json.loads(checks.read_text()) if checks.is_file() else None
    return {
        "record": record,
        "checks": None
        if found is None
        else {name: found.get(name) for name in ("status", "warnings", "tests", "simulated")},
        "files": [
            {"name": name, "size": (folder / name).stat().st_size}
            for name in ANSWER_FILES
            if (folder / name).is_file() and not (folder / name).is_symlink()
        ],
        "folder": str(folder),
    }


def compared(shelf: Shelf, ids: Sequence[str]) -> dict[str, Any]:
    """Places side by side: what is known of each parameter in each, and what they were made with."""
    columns: list[dict[str, Any]] = []
    for id in ids:
        place = shelf.place(id)
        line = line_of(shelf, place)
        if place.kind == "run":
            looped = loop_standing(shelf.book(place))
            known = answer_standing(shelf.book(place)) if looped is None else looped["known"]
            line |= {
                "summary": None if known is None else known["summary"],
                "spent": None if looped is None else looped["spent"],
            }
        else:
            record = shelf.record(place)
            line |= {
                "summary": record.get("summary"),
                "options": record["options"],
                "seconds": record.get("cpu_seconds"),
            }
        columns.append(line)
    parameters = list(dict.fromkeys(name for one in columns for name in (one.get("summary") or {})))
    return {"places": columns, "parameters": parameters}
