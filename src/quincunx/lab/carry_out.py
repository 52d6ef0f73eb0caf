"""Carry a round out: lease its batches one after the other, simulate them, and report their shards."""

import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from quincunx._verb import make_callable
from quincunx.errors import FailureWarning, UsageError
from quincunx.lab.book import Book, Lease, new_owner
from quincunx.lab.failure_budget import FAILURE_BUDGET, keep_to_budget
from quincunx.model.simulator import Simulator
from quincunx.run.shards import write_shard
from quincunx.run.simulate import simulate

__all__ = ["CarriedOut", "carry_out"]

_BATCHES = 20
_LEASE = 600.0

Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class CarriedOut:
    """What came of it: simulations done now, how many of them failed, how many were there before, how often workers were replaced, why it
    stopped before the end ("interrupted", or None), and the address of a dashboard if there is one.
    """

    done: int
    failed: int
    saved: int
    rebuilds: int = 0
    stopped: str | None = None
    dashboard: str | None = None


def carry_out(
    book: Book,
    simulator: Simulator,
    n: int | None = None,
    *,
    round: int = 0,
    design: Mapping[str, Any] | None = None,
    executor: Any = None,
    workers: int | None = None,
    dask: str | None = None,
    batch: int | None = None,
    failure_budget: float = FAILURE_BUDGET,
    progress: Progress | None = None,
) -> CarriedOut:
    """Run what a round still lacks of `n` simulations (or of what is planned), batch by batch, into the book.

    The first Ctrl-C (or SIGTERM) finishes the batch that is running, the second stops at once and gives it back.

    Raises:
        TooManyFailures: if more than the share `failure_budget` of them fail.
        SecondCoordinator: if another leads the run. SimulatorChanged: if the code is not that of the run's simulations.
        UsageError: for an executor or a Dask cluster, which this implementation does not use.
        KeyboardInterrupt: on the second Ctrl-C.

    >>> import tempfile, quincunx as qx
    >>> book = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)
    >>> carry_out(book, qx.gallery.load("gaussian_linear").simulator, 100, batch=50)
    CarriedOut(done=100, failed=0, saved=0, rebuilds=0, stopped=None, dashboard=None)
    """
    if executor is not None or dask is not None:
        raise UsageError("got an executor or a Dask address; expected none; leave it out, this runs in one process")
    if n is not None:
        book.plan(n, size=batch or max(1, -(-n // _BATCHES)), simulator=simulator, round=round, design=design)
    before, _ = _counts(book, round)
    planned = sum(row["n"] for row in book.batches(round))
    with book.coordinator(duration=_LEASE) as leader, _asked_to_stop() as asked:
        owner = new_owner()
        while not asked.is_set() and (held := book.lease(owner, _LEASE, round=round)) is not None:
            leader.stay()
            _run(book, simulator, held, design, workers)
            done, failed = _counts(book, round)
            if progress is not None:
                progress({"done": done, "total": planned, "failed": failed})
            keep_to_budget(book, failure_budget, round=round)
    done, failed = _counts(book, round)
    return CarriedOut(
        done - before, failed, before, stopped="interrupted" if asked.is_set() and done < planned else None
    )


def _run(book: Book, simulator: Simulator, held: Lease, design: Mapping[str, Any] | None, workers: int | None) -> None:
    try:
        with warnings.catch_warnings():
            # Failures are counted over the whole run, and told once.
            warnings.simplefilter("ignore", FailureWarning)
            sims = simulate(
                simulator, held.n, key=book.key, design=design, round=held.round, start=held.first, workers=workers
            )
        if sims.stopped is not None:
            raise KeyboardInterrupt
        book.complete(held, write_shard(sims, book.shard_folder, key=book.key, round=held.round))
    except BaseException:
        book.release(held)
        raise


def _counts(book: Book, round: int) -> tuple[int, int]:
    batches = book.batches(round)
    return sum(row["rows"] or 0 for row in batches), sum(row["failed"] or 0 for row in batches)


@contextmanager
def _asked_to_stop() -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets; the second is a KeyboardInterrupt."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def hear(number: int, frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# The function and its module share a name: whichever of them `quincunx.lab.carry_out` is, it can be called.
make_callable(__name__, carry_out)
