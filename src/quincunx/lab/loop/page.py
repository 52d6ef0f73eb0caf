"""The page of a loop: what is known, how it came about, what to measure next, and whether the intervals can be believed; one file without a network."""

import html
from pathlib import Path
from typing import Any

import numpy as np

from quincunx import values
from quincunx.errors import UnexplainedData
from quincunx.lab.loop.loop import Loop
from quincunx.lab.loop.record import PROPOSED
from quincunx.lab.loop.rehearsal import Rehearsal
from quincunx.lab.loop.standing import widths_spent
from quincunx.lab.report.pictures import embed
from quincunx.lab.report.stylesheet import stylesheet
from quincunx.plot import widths

__all__ = ["loop_page", "write_loop_page"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def loop_page(loop: Loop, command: str, rehearsal: Rehearsal | None = None) -> str:
    """HTML with the state, the posterior, the curve of the last proposal with the designs before it, the timeline, and a rehearsal's coverage.

    >>> import tempfile, quincunx as qx
    >>> study = qx.Study(qx.gallery.load("threshold").simulator, designer=qx.Designer(qx.Space(level=[-1.0, 0.0])))
    >>> page = loop_page(Loop(study, qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)), "quincunx <loop>")
    >>> "to be proposed" in page, "quincunx &lt;loop&gt;" in page, page.count("<svg")
    (True, True, 1)
    """
    title = f"The loop on {loop.study.simulator.name}"
    parts = [_state(loop), _known(loop), _next(loop), _timeline(loop)]
    if rehearsal is not None:
        parts.append(_rehearsed(rehearsal))
    parts.append(f"<h2>Reproduce</h2><pre>{html.escape(command)}</pre>")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<title>{html.escape(title)}</title><style>{stylesheet()}</style></head><body><header><h1>{html.escape(title)}</h1>"
        '<p class="question">What is known after the experiments so far, and what should be measured next?</p></header>'
        f"<main>{''.join(parts)}</main></body></html>\n"
    )


def write_loop_page(path: Path, loop: Loop, command: str, rehearsal: Rehearsal | None = None) -> Path:
    """Write the page to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(loop_page(loop, command, rehearsal), encoding="utf-8")
    return path


_SAID = {
    "propose": "to be proposed",
    "approve": "waits for approval",
    "measure": "waits for data",
    "update": "data to be learned from",
}


def _state(loop: Loop) -> str:
    record = loop.record
    kind = {"needs attention": "fail", "stopped": "pass"}.get(loop.state, "unchecked")
    said = record.stopped or ""
    if record.in_doubt is not None:
        facts = record.in_doubt.facts
        said = f"no parameter explains the data of experiment {facts['step']} (p = {facts['p_value']:.2g})"
    return f'<p class="verdict"><span class="chip {kind}">{_SAID.get(loop.state, loop.state)}</span> {html.escape(said)}</p>'


def _known(loop: Loop) -> str:
    try:
        known = loop.knowledge()
    except UnexplainedData as error:
        return f"<h2>What is known</h2><p>{html.escape(str(error))}</p>"
    rows = [
        [name, *(f"{row[key]:.4g}" for key in ("mean", "sd", "68% low", "68% high", "95% low", "95% high"))]
        for name, row in known.summary().to_dict().items()
    ]
    table = _table(["parameter", "mean", "sd", "68 % from", "to", "95 % from", "to"], rows)
    picture = embed(known.plot(), alt="Posterior draws, with the prior behind.", prefix="known")
    return f"<h2>What is known</h2>{table}<figure>{picture}<figcaption>The posterior after {known.told} experiments.</figcaption></figure>"


def _next(loop: Loop) -> str:
    proposed = loop.record.of(PROPOSED)
    if not proposed:
        return ""
    choice: Any = values.load(loop.book.artefact_file(proposed[-1].facts["sha256"]))
    where = loop.designer.space.label(choice.designs[0])
    one = choice.information
    bracket = f", between {one.lower:.3g} and {one.upper:.3g}" if one.is_bracketed else ""
    said = f"{where}: expected to teach {one.value:.3g} +- {one.se:.1g} nats{bracket}. {choice.reason}"
    past = [row["design"] for row in loop.timeline()]
    told = {} if not past else {"past": {name: [design[name] for design in past] for name in past[0]}}
    varying = [name for name, column in choice.curve.columns.items() if len(set(column.tolist())) > 1]
    if loop.designer.space.lengths or not 1 <= len(varying) <= 2:
        return f"<h2>The last proposal</h2><p>{html.escape(said)}</p>{_widths(loop)}"
    picture = embed(choice.plot(**told), alt="Expected information by design.", prefix="design")
    return (
        f"<h2>The last proposal</h2><p>{html.escape(said)}</p><figure>{picture}<figcaption>Expected information by design when it was "
        "made; marks below are the designs of all experiments.</figcaption></figure>"
    )


def _widths(loop: Loop) -> str:
    """What was learned for what was spent, where there is no curve of designs to be drawn."""
    names, cost, sd = widths_spent(loop.record)
    if len(cost) < 2:
        return ""
    picture = embed(widths(np.asarray(cost), np.asarray(sd), names), alt="Width by cost.", prefix="widths")
    return (
        f"<figure>{picture}<figcaption>What was learned for what was spent: the standard deviations after every experiment; its settings are "
        "in the timeline.</figcaption></figure>"
    )


def _timeline(loop: Loop) -> str:
    rows, columns = [], loop.study.simulator.prior.columns
    for row in loop.timeline():
        decided = row["decided_by"] + (" (overridden)" if row["overridden"] else "")
        label = loop.designer.space.label(row["design"]) + ("" if row["counts"] else " (set aside)")
        sd = ["" if row["sd"] is None else f"{row['sd'][name]:.3g}" for name in columns]
        p = "" if row["p_value"] is None else f"{row['p_value']:.2g}"
        rows.append([str(row["experiment"]), label, decided, str(row["events"]), f"{row['cost']:g}", *sd, p])
    if not rows:
        return ""
    head = ["experiment", "design", "decided by", "events", "cost", *(f"sd of {name}" for name in columns), "p"]
    return (
        f"<h2>Timeline</h2>{_table(head, rows)}<p class='note'>p: how often data simulated from the posterior are at least as unlikely as "
        "those that were told.</p>"
    )


def _rehearsed(found: Rehearsal) -> str:
    mean, error = found.width()
    widths = [
        [str(k), *(f"{mean[k, i]:.3g} +- {error[k, i]:.1g}" for i in range(len(found.columns)))]
        for k in range(len(mean))
    ]
    shares = [
        [f"{level:.0%}", *(f"{share:.1%}" for share in held.values())] for level, held in found.coverage().items()
    ]
    kind, verdict = ("pass", "calibrated") if found.covers() else ("fail", "not calibrated")
    return (
        f'<h2>Rehearsal</h2><p class="verdict"><span class="chip {kind}">{verdict}</span> {len(found)} loops on parameters drawn from the '
        "prior</p>"
        + _table(["interval", *(f"holds {name}" for name in found.columns)], shares)
        + _table(["experiments", *(f"sd of {name}" for name in found.columns)], widths)
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    above = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{above}</tr></thead><tbody>{body}</tbody></table></div>'
