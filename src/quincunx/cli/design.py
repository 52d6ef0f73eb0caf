"""``quincunx design``: what to measure next, as a curve of expected information with its bracket, and one choice."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from quincunx.cli.console import emit, say, tabulate
from quincunx.cli.options import ChoosingSettings, Events, Json
from quincunx.errors import OutputNotEmpty, UsageError

_PICTURES = (".svg", ".png", ".pdf")
_MOST = 2_000
_BEST = 10


def design(
    source: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE.py|RUN",
            help="A gallery problem, a Python file with a simulator or a study, or a run, whose newest posterior is then what is believed.",
        ),
    ],
    settings: ChoosingSettings = None,
    events: Events = None,
    posterior: Annotated[
        Path | None,
        typer.Option("--posterior", help="What is believed: a saved posterior, instead of the prior.", dir_okay=False),
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="What is believed: the newest posterior of a run.")
    ] = None,
    grid: Annotated[int | None, typer.Option("--grid", min=1, help="So many points along every interval.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Every random number follows from this integer.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="A picture of the curve (.svg, .png, .pdf), or all of it (.qx).", dir_okay=False),
    ] = None,
    json: Json = False,
) -> None:
    """Say what to measure next.

    The expected information gain of every design, in nats, with its bounds; the design that is chosen, the runner-up, and why.
    """
    _refuse(posterior, run, out)
    from quincunx.cli.designing import designed
    from quincunx.cli.handle import is_run, opened, source_of
    from quincunx.cli.looping import asked_in
    from quincunx.cli.source import read_source
    from quincunx.lab.loop.planning import proposal

    if is_run(source):
        if posterior is not None or run is not None:
            raise UsageError(
                f"got the run {source} and another posterior; expected one; leave --posterior and --run out"
            )
        with opened(source, read_only=True) as book:
            found, before = source_of(book), asked_in(book)
            run = source if book.artefacts("knowledge") or book.artefacts("posterior") else None
        if before is not None:
            settings, events = settings or list(before.settings), events or before.events
    else:
        found = read_source(source)
    study = designed(found, settings, events=events)
    assert study.designer is not None
    # a curve is what this verb shows; a policy proposes in the loop
    designer = dataclasses.replace(study.designer, policy=None)
    study = dataclasses.replace(study, designer=designer)
    where = None if grid is None else designer.space.grid(_within(grid, designer.space.intervals))
    choice = proposal(study, _belief(posterior, run, study), seed, where=where)
    if out is not None:
        _write(choice, out)
    if json:
        emit({**choice.to_dict(), "curve": choice.curve.to_dict(), "out": None if out is None else str(out)})
        return
    show_choice(choice, designer)


def show_choice(choice: Any, designer: Any) -> None:
    """The curve as a table, or the ten best designs of a search, the chosen design marked in it, and then the choice in words."""
    eigs, names = choice.curve.eigs, list(choice.curve.designs)
    # Bounds that are known of no design need no columns.
    bounds = [name for name in ("lower", "upper") if any(e is not None for e in (getattr(one, name) for one in eigs))]
    costs = [] if designer.cost is None else ["cost"]
    rows: list[list[Any]] = []
    labels = dict(designer.space.labels)
    listed = list(zip(choice.curve.rows, eigs, strict=True))
    if designer.space.intervals > 2:
        # what was searched is no curve to be read along
        listed = sorted(listed, key=lambda pair: -pair[1].value)[:_BEST]
    for row, one in listed:
        shown = [
            labels[n][round(v)]
            if n in labels
            else designer.space.said(n, v)
            if isinstance(v, tuple)
            else float(f"{v:.6g}")
            for n, v in row.items()
        ]
        mark = "chosen" if row == choice.design else "runner-up" if row == choice.runner_up else ""
        cost = [designer.cost_of(row)] if costs else []
        rows.append([*shown, one.value, one.se, *(getattr(one, name) for name in bounds), *cost, mark])
    tabulate([*names, "nats", "+-", *bounds, *costs, ""], rows)
    typer.echo(f"chosen: {designer.space.label(choice.design)}")
    typer.echo(f"with fresh draws: {choice.information!r}")
    if choice.runner_up is not None:
        typer.echo(f"runner-up: {designer.space.label(choice.runner_up)}")
    typer.echo(choice.reason)


def _refuse(posterior: Path | None, run: str | None, out: Path | None) -> None:
    if posterior is not None and run is not None:
        raise UsageError("got --posterior and --run; expected one posterior; give one of them")
    if out is None:
        return
    if out.suffix not in (*_PICTURES, ".qx"):
        raise UsageError(f"got --out {out}; expected a name ending in {', '.join(_PICTURES)} or .qx; rename it")
    if out.exists():
        raise OutputNotEmpty(f"{out} exists and will not be overwritten; choose another --out")


def _within(grid: int, intervals: int) -> int:
    if grid**intervals > _MOST:
        raise UsageError(
            f"got --grid {grid} along {intervals} intervals, {grid**intervals:,} designs; expected at most {_MOST:,}; leave --grid out, and the "
            "space is searched"
        )
    return grid


def _belief(posterior: Path | None, run: str | None, study: Any) -> Any:
    """What is believed: a file's or a run's newest posterior, or the prior if there is none."""
    from quincunx.values import load

    if posterior is not None:
        found = load(posterior)
    elif run is not None:
        from quincunx.cli.handle import opened

        with opened(run, read_only=True) as book:
            kept = book.artefacts("knowledge") or book.artefacts("posterior")
            if not kept:
                raise UsageError(
                    f"the run {run} holds no posterior yet; expected one; go on with it (quincunx loop, quincunx resume), or leave --run out "
                    "for the prior"
                )
            found = load(book.artefact_file(kept[-1].sha256))
    else:
        return None
    prior = getattr(found, "prior", None)
    if prior is None or tuple(prior.names) != tuple(study.simulator.prior.names):
        said = f"a {type(found).__name__}" if prior is None else f"a posterior of {', '.join(prior.names)}"
        raise UsageError(
            f"got {said} in {posterior or run}; expected a posterior of {', '.join(study.simulator.prior.names)}; give one of this simulator"
        )
    return getattr(found, "belief", found)


def _write(choice: Any, out: Path) -> None:
    if out.suffix == ".qx":
        choice.save(out)
    else:
        choice.plot().savefig(out)
    say(f"{out} is the {'choice with its curve' if out.suffix == '.qx' else 'picture'}")
