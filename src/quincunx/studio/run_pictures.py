"""The pictures of a run: its loop, where its simulations fail, and what was measured while it went on."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from quincunx import plot
from quincunx._container import read_container
from quincunx.lab.answer_standing import answer_standing
from quincunx.lab.book.reading import Reading, Remembered
from quincunx.lab.loop.record import BELIEVED, Record
from quincunx.lab.loop.standing import loop_standing, widths_spent
from quincunx.run.archive import read_arrays
from quincunx.studio.answer_pictures import predictive_figure
from quincunx.studio.sheet import DRAWS, PARAMETERS, Sheet

__all__ = ["run_sheets"]

_SIMULATIONS = 40_000


def run_sheets(book: Reading) -> list[Sheet]:
    """What can be drawn of a run at this moment."""
    looped = loop_standing(book)
    found: list[Sheet] = []
    if looped is not None:
        found += _of_loop(book, looped)
    answer = answer_standing(book)
    if answer is not None:
        found += _of_answer(book, answer)
    done = book.state["done"]
    if done:
        note = f"up to {_SIMULATIONS:,} simulations of all batches that are done"
        caption = f"The share of simulations that failed along each parameter, of {note}. Where it is not flat, answers are conditional on success."
        found.append(
            Sheet(
                "failures",
                "Failures against parameters",
                caption,
                "Share of failed simulations by parameter.",
                f"{done}",
                lambda: _failures(book),
            )
        )
    metrics = book.metrics()
    if metrics:
        size = sum(len(one["step"]) for one in metrics.values())
        said = f"Numbers that were written down while the run went on: {', '.join(metrics)}."
        found.append(Sheet("metrics", "Losses", said, said, f"{size}", lambda: _metrics(book)))
    return found


def _of_loop(book: Reading, looped: Mapping[str, Any]) -> list[Sheet]:
    found = []
    known, proposal, rows = looped["known"], looped["proposal"], looped["timeline"]
    # A book from before columns were written down does not say which draws are whose.
    if known is not None and "columns" in known:
        first = next((e.facts["sha256"] for e in book.events(BELIEVED) if e.facts["told"] == 0), None)
        caption = "Shaded regions hold 68 and 95 % of the posterior; dotted: the prior."
        said = "; ".join(f"{name} {row['mean']:.4g} +- {row['sd']:.2g}" for name, row in known["summary"].items())
        found.append(
            Sheet(
                "posterior",
                f"What is known after {known['told']} experiment{'' if known['told'] == 1 else 's'}",
                caption,
                f"Posterior: {said}.",
                known["sha256"][:16],
                lambda: _knowledge(book, known, first),
            )
        )
    # Of more numbers than two no picture says more than the proposal itself.
    if proposal is not None and sum(np.size(value) for value in proposal["design"].values()) <= 2:
        where = ", ".join(f"{name} = {_number(value)}" for name, value in proposal["design"].items())
        one = proposal["information"]
        bracket = (
            ""
            if one["lower"] is None or one["upper"] is None
            else f", between {one['lower']:.3g} and {one['upper']:.3g}"
        )
        found.append(
            Sheet(
                "design",
                "What the next experiment is expected to teach",
                f"Proposed: {where}, {one['value']:.3g} +- {one['se']:.1g} nats{bracket}. {proposal['reason']} Marks: designs run before.",
                f"Expected information by design; the proposal is {where}.",
                f"{proposal['sha256'][:16]}-{len(rows)}",
                lambda: _design(book, proposal, rows),
            )
        )
    if rows:
        told = "The posterior's standard deviation against what was spent"
        more = "; the band is what rehearsed loops had." if looped["rehearsal"] is not None else "."
        version = f"{len(rows)}-{sum(row['counts'] for row in rows)}-{looped['rehearsal'] is not None}"
        found.append(
            Sheet("widths", "Width against cost", told + more, told + more, version, lambda: _widths(book, looped))
        )
    return found


def _of_answer(book: Reading, answer: Mapping[str, Any]) -> list[Sheet]:
    rows = [(name, answer["summary"][name]) for name in answer["columns"]]
    said = "; ".join(f"{name} {row['mean']:.4g} +- {row['sd']:.2g}" for name, row in rows)
    version, caption = answer["sha256"][:16], "Shaded regions hold 68 and 95 % of the posterior; dotted: the prior."
    found = [
        Sheet("answer", "Posterior", caption, f"Posterior: {said}.", version, lambda: _answer(book, answer["sha256"]))
    ]
    if answer["replicates"]:
        caption = f"The observation beside {answer['replicates']} simulations at draws of the posterior: bands hold 50 and 90 %."
        found.append(
            Sheet(
                "predictive",
                "Posterior predictive",
                caption,
                caption,
                version,
                lambda: _predicted(book, answer["sha256"]),
            )
        )
    return found


def _answer(book: Reading, sha256: str) -> Figure:
    _, spec, arrays = read_container(book.artefact_file(sha256))
    some = np.s_[:DRAWS, :PARAMETERS]
    names = spec["columns"][:PARAMETERS]
    bounds = arrays["bounds"][:PARAMETERS].tolist()
    return plot.corner(arrays["draws"][some], names, bounds=bounds, prior=arrays["prior"][some], name="posterior")


def _predicted(book: Reading, sha256: str) -> Figure:
    _, spec, arrays = read_container(book.artefact_file(sha256))
    return predictive_figure(arrays["observed"], arrays["replicates"], "posterior", spec["observables"])


def _number(value: Any) -> str:
    return "[" + ", ".join(f"{one:.4g}" for one in np.ravel(value)) + "]" if np.ndim(value) else f"{value:.4g}"


def _knowledge(book: Reading, known: Mapping[str, Any], first: str | None) -> Figure:
    names = known["columns"][:PARAMETERS]
    arrays = read_container(book.artefact_file(known["sha256"]))[2]
    draws, before = arrays["draws"][:DRAWS, :PARAMETERS], None
    # a book of an older version does not say them
    bounds = arrays["bounds"][:PARAMETERS].tolist() if "bounds" in arrays else None
    if first is not None and first != known["sha256"]:
        before = read_container(book.artefact_file(first))[2]["draws"][:DRAWS, :PARAMETERS]
    return plot.corner(draws, names, bounds=bounds, prior=before, name="posterior")


def _design(book: Reading, proposal: Mapping[str, Any], rows: list[dict[str, Any]]) -> Figure:
    arrays = read_container(book.artefact_file(proposal["sha256"]))[2]
    start = "curve/designs/"
    designs = {name[len(start) :]: a for name, a in arrays.items() if name.startswith(start)}
    told = {name: arrays[f"curve/eigs/{name}"] for name in ("lower", "upper", "se")}
    before = {name: [row["design"][name] for row in rows] for name in designs} if rows else None
    chosen = proposal["design"] if set(proposal["design"]) == set(designs) else None
    return plot.designs_compared(designs, arrays["curve/eigs/value"], **told, chosen=chosen, past=before)


def _widths(book: Reading, looped: Mapping[str, Any]) -> Figure:
    names, cost, sd = widths_spent(Record(Remembered.of(book)))
    shown, told, expected = names[:PARAMETERS], looped["rehearsal"], None
    if told is not None and told["parameters"] == names:
        mean, error = (np.asarray(told[name])[:, : len(shown)] for name in ("sd", "sd_se"))
        expected = (np.asarray(told["cost"]), mean, error)
    return plot.widths(np.asarray(cost), np.asarray(sd)[:, : len(shown)], shown, expected=expected)


def _failures(book: Reading) -> Figure | None:
    batches = [batch for batch in book.batches() if batch["state"] == "done" and batch["shard"]]
    if not batches:
        return None
    # Of very many, some from every part of the run.
    kept = batches[:: max(1, len(batches) // 64)]
    each = max(1, _SIMULATIONS // len(kept))
    columns: dict[str, list[np.ndarray]] = {}
    failed = []
    for batch in kept:
        arrays = read_arrays(book.shard_folder / batch["shard"], only=("theta", "status"))
        some = slice(0, each)
        failed.append(arrays["status"][some] != 0)
        for name, array in arrays.items():
            if name.startswith("theta/"):
                flat = array[some].reshape(len(array[some]), -1)
                for i in range(flat.shape[1]):
                    label = name.removeprefix("theta/") + (f"[{i}]" if array.ndim > 1 else "")
                    # a view would keep all of its shard
                    columns.setdefault(label, []).append(flat[:, i].copy())
    names = list(columns)[:PARAMETERS]
    theta = np.stack([np.concatenate(columns[name]) for name in names], axis=1)
    return plot.failures(theta, np.concatenate(failed), names)


def _metrics(book: Reading) -> Figure | None:
    found = book.metrics()
    train, held = (found.get(name) for name in ("train", "validation"))
    if train is not None and held is not None:
        n = min(len(train["value"]), len(held["value"]))
        best = int(np.nanargmin(held["value"][:n])) if n else 0
        return plot.losses(train["value"][:n, None], held["value"][:n, None], np.array([best])) if n else None
    values = next(iter(found.values()), None)
    if values is None or not len(values["value"]):
        return None
    return plot.losses(values["value"][:, None], values["value"][:, None], None, name=next(iter(found)))
