"""``quincunx resume``: go on with whatever a run lacks: simulations first, then the answer."""

from typing import Annotated, Any

import typer

from quincunx.cli.console import emit, say
from quincunx.cli.options import Batch, Dask, Json, Run, RunName, Workers
from quincunx.errors import UsageError


def resume(
    run: Run,
    budget: Annotated[
        int | None, typer.Option("--budget", "--n", "-n", min=1, help="More simulations than were planned.")
    ] = None,
    workers: Workers = None,
    dask: Dask = None,
    batch: Batch = None,
    failure_budget: Annotated[
        float | None, typer.Option("--failure-budget", min=0.0, max=1.0, help="Another share that may fail.")
    ] = None,
    name: RunName = None,
    json: Json = False,
) -> None:
    """Go on with a run, up to its answer.

    What is missing of its simulations comes first; what is done is not done again. The
    answer is learned if the study has an experiment, and kept in the run with a report.
    """
    from quincunx.cli.carrying import carry
    from quincunx.cli.handle import opened, source_of
    from quincunx.cli.looping import go_on
    from quincunx.cli.studying import study_of
    from quincunx.lab import standing
    from quincunx.run.order import gold_in

    with opened(run, name=name) as book:
        config = book.config
        if config.get("loop"):
            source = config["source"]
            raise UsageError(f"{run} holds a loop of experiments; go on with it: {go_on(source, run, name)}")
        found = source_of(book)
        study = study_of(found)
        before = standing(book)
        if again := book.requeue():
            say(
                f"{again} batch{'es' if again > 1 else ''} that failed as a whole will be tried again, with the same seeds"
            )
        n = max(budget or 0, before.planned, config.get("budget") or 0)
        if before.done < n:
            say(f"{before.done:,} of {n:,} simulations are there already")
        share = config.get("failure_budget", 0.05) if failure_budget is None else failure_budget
        carry(
            book,
            found.simulator,
            n,
            run=run,
            name=name,
            workers=workers,
            dask=dask,
            batch=batch or config.get("batch"),
            failure_budget=share,
            # A run of an older version does not say.
            gold=gold_in(config["gold"]) if "gold" in config else None,
        )
        now = standing(book)
        told: dict[str, Any] = {"run": run, "simulations": now.done, "failed": now.failed, "saved": before.done}
        if study.experiment is None:
            say(f"{now.done:,} simulations; the study has no experiment: quincunx infer {run} --data FILE --out DIR")
        else:
            told |= _answer(book, study, run, name, as_text=not json)
    if json:
        emit(told)


def _answer(book: Any, study: Any, run: str, name: str | None, *, as_text: bool) -> dict[str, Any]:
    from quincunx.cli.carrying import resume_with
    from quincunx.cli.progress import progress
    from quincunx.errors import Interrupted
    from quincunx.lab import from_run, write_report
    from quincunx.lab.answer import answer
    from quincunx.lab.drawn import keep_drawn

    try:
        with progress("training") as tell:
            posterior, sha256 = answer(book, study, pictures=False, progress=tell)
        drawn = posterior.standard_run()
        keep_drawn(book, study, posterior, sha256, run=drawn)
        report = book.folder / "report.html"
        content = from_run(posterior, None, book.simulations(), run=drawn, title=f"{study.simulator.name}: {book.name}")
        write_report(report, content)
    except (KeyboardInterrupt, Interrupted):
        raise Interrupted(
            "stopped before the answer; all simulations are kept", resume=resume_with(run, name)
        ) from None
    summary = posterior.summary(drawn)
    if as_text:
        typer.echo(repr(summary))
        say(f"{report} is the report; the posterior is artefact {sha256[:16]} of the run")
    return {
        "posterior": sha256,
        "report": str(report),
        "summary": summary.to_dict(),
        "warnings": list(posterior.warnings),
    }
