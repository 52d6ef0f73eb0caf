"""``quincunx worker``: do a run's batches, one of many workers that nobody has to reach."""

import shlex
from typing import Annotated

import typer

from quincunx.cli.console import emit, say
from quincunx.cli.duration import seconds_of
from quincunx.cli.options import Json
from quincunx.errors import Interrupted


def worker(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="The folder of a run on a shared disk, or the URL of its database.")
    ],
    max_time: Annotated[
        str | None, typer.Option("--max-time", metavar="3h50m", help="Begin nothing that might not be done by then.")
    ] = None,
    n: Annotated[
        int | None, typer.Option("--n", "-n", min=0, help="Processes; 1 by default, 0 to run in this one.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--run", metavar="NAME", help="Which run, where a database holds several.")
    ] = None,
    failure_budget: Annotated[
        float,
        typer.Option("--failure-budget", min=0.0, max=1.0, help="Stop when more than this share of simulations fails."),
    ] = 0.05,
    json: Json = False,
) -> None:
    """Work on a run until its batches are done or the time is up.

    Start as many as there are nodes, by hand or with `quincunx submit`. SIGTERM gives batches back at once; exit code 4 then.
    """
    seconds = None if max_time is None else seconds_of(max_time)
    from quincunx.cli.progress import progress
    from quincunx.cli.source import read_again
    from quincunx.lab import open_book, work

    again = shlex.join(["quincunx", "worker", run, *(("--run", name) if name else ())])
    with open_book(run, run=name) as book:
        config = book.config
        simulator = read_again(config).simulator if "source" in config else None
        try:
            with progress("working") as tell:
                came = work(book, simulator, workers=n, seconds=seconds, failure_budget=failure_budget, progress=tell)
        except KeyboardInterrupt:
            raise Interrupted("stopped; batches under way were given back", resume=again) from None
        if came.stopped == "interrupted":
            raise Interrupted(f"stopped after {came.done:,} simulations, which are kept", resume=again)
        if json:
            emit({"run": run, "simulations": came.done, "failed": came.failed, "stopped": came.stopped})
        else:
            ended = "the time is up" if came.stopped == "time" else "nothing is left to do"
            say(f"{came.done:,} simulations ({came.failed:,} failed) done here; {ended}")
