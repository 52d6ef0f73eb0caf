"""Carrying a run out from the command line: progress, Ctrl-C, and the command that goes on afterwards."""

import shlex
from typing import Any

from quincunx.cli.console import say
from quincunx.cli.progress import progress
from quincunx.errors import Interrupted


def carry(
    book: Any,
    simulator: Any,
    n: int | None,
    *,
    run: str,
    name: str | None = None,
    workers: int | None = None,
    dask: str | None = None,
    batch: int | None = None,
    failure_budget: float = 0.05,
    gold: Any = None,
) -> Any:
    """Run what is missing of ``n`` simulations into a book; the first Ctrl-C finishes the batches in flight, the second stops.

    Raises:
        Interrupted: after either, with the command that goes on. TooManyFailures: as ``quincunx.lab.carry_out``.
    """
    from quincunx.lab.carry_out import carry_out

    again = resume_with(run, name)
    try:
        with progress("simulating") as tell:
            came = carry_out(
                book,
                simulator,
                n,
                workers=workers,
                dask=dask,
                batch=batch,
                failure_budget=failure_budget,
                gold=gold,
                progress=tell,
            )
    except (KeyboardInterrupt, Interrupted):
        raise Interrupted("stopped; every batch that was done is kept", resume=again) from None
    if came.dashboard:
        say(f"Dask's dashboard was at {came.dashboard}")
    if came.stopped:
        raise Interrupted(f"{came.stopped}; {came.saved + came.done:,} simulations are kept", resume=again)
    return came


def resume_with(run: str, name: str | None) -> str:
    """The command that goes on with a run.

    >>> resume_with("a run", None)
    "quincunx resume 'a run'"
    """
    return shlex.join(["quincunx", "resume", run, *(("--run", name) if name else ())])
