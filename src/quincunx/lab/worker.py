"""Pull workers: processes that come to the run for work, from wherever a batch system starts them, and need no open port."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from quincunx.errors import CannotTravel, SimulatorChanged, TooManyFailures, UsageError
from quincunx.lab.book.book import Book
from quincunx.lab.book.fingerprint import fingerprint
from quincunx.lab.book.owner import new_owner
from quincunx.lab.book.progress import progress_of
from quincunx.lab.carry_out import batches_of
from quincunx.lab.failure_budget import FAILURE_BUDGET, keep_to_budget
from quincunx.lab.supervisor import Supervisor
from quincunx.learn.interrupt import interrupts
from quincunx.model.simulator import Simulator
from quincunx.notebook import from_fields
from quincunx.run.batch import Resident
from quincunx.run.executors import crew_for
from quincunx.run.parcel import parcel_of, simulator_in

__all__ = ["Worked", "simulator_of", "work"]

_MARGIN = 1.5


@dataclass(frozen=True)
class Worked:
    """What a worker did: simulations `done`, how many of them `failed`, and why it `stopped` before the run's end, if it did: "time" when
    the next batch might not have been finished in time, "interrupted" after Ctrl-C.
    """

    done: int
    failed: int
    stopped: str | None = None

    _repr_html_ = from_fields


def work(
    book: Book,
    simulator: Simulator | None = None,
    *,
    workers: int | None = None,
    seconds: float | None = None,
    failure_budget: float = FAILURE_BUDGET,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> Worked:
    """Do batches of a run, one for each process at a time, until none is left: one of many workers, on this machine or others.

    Batches are leased by the database's clock and renewed every 20 s, so that those of a worker that is killed go to another. With
    `seconds`, no batch is begun in the last one and a half times what the longest has taken. The first Ctrl-C finishes what is under
    way; SIGTERM gives it back at once.

    Args:
        simulator: by default the one that `carry_out` wrote down in the book.
        workers: processes for a plain simulator, one by default; JAX simulators run in this process.
        seconds: how long there is, as a batch system allows it.

    Raises:
        UsageError: if nothing is planned. SimulatorChanged: if the simulator is not the one the run was planned with.
        KeyboardInterrupt: on SIGTERM and on the second Ctrl-C, when batches have been given back.
        TooManyFailures, ExecutorBroken, CannotTravel and others: as `carry_out`.

    >>> import tempfile, quincunx as qx
    >>> book = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)
    >>> simulator = qx.gallery.load("two_moons").simulator
    >>> _ = book.plan(1000, size=500, simulator=simulator)
    >>> work(book, simulator)
    Worked(done=1000, failed=0, stopped=None)
    """
    began = time.monotonic()
    simulator = simulator_of(book) if simulator is None else simulator
    round = _round_of(book, simulator)
    travels = _travels(simulator)
    crew = crew_for(simulator.kind, travels=travels, workers=_processes(simulator, travels, workers))
    sent = parcel_of(simulator) if crew.sends else Resident(simulator)

    def may_take() -> bool:
        return seconds is None or time.monotonic() - began + _MARGIN * supervisor.longest < seconds

    def tell(supervisor: Supervisor) -> None:
        if progress is not None:
            now = progress_of(book.ledger, round)
            rate = supervisor.done / max(time.monotonic() - began, 1e-9)
            progress({"done": now.done, "total": now.planned, "failed": now.failed, "rate": rate})
        if supervisor.failed and supervisor.stopping is None:
            try:
                for each in {planned.round for planned in book.rounds} if round is None else {round}:
                    keep_to_budget(book, failure_budget, round=each)
            except TooManyFailures as error:
                supervisor.refuse(error)

    supervisor = Supervisor(
        book, crew, batches_of(book, simulator, sent), new_owner(), round, ahead=1, tell=tell, may_take=may_take
    )

    def stop() -> None:
        if supervisor.stopping is not None:
            raise KeyboardInterrupt
        supervisor.stopping = "interrupted"

    now = True
    try:
        # batch systems send SIGTERM shortly before they kill
        with interrupts(stop, numbers=[signal.SIGINT], at_once=[signal.SIGTERM]):
            supervisor.run()
        now = False
    finally:
        supervisor.close(now=now)
        crew.close()
    left = progress_of(book.ledger, round)
    stopped = supervisor.stopping or ("time" if left.done < left.planned and not may_take() else None)
    return Worked(supervisor.done, supervisor.failed, stopped)


def simulator_of(book: Book) -> Simulator:
    """The simulator that `carry_out` wrote down in the book.

    Raises:
        UsageError: if it wrote none. CannotTravel: if its code is not found here.

    >>> import tempfile, quincunx as qx
    >>> book = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)
    >>> _ = qx.lab.carry_out(book, qx.gallery.load("two_moons").simulator, 100, batch=100)
    >>> simulator_of(book)
    Simulator(two_moons: jax, parameters theta)
    """
    told = book.events("simulator")
    if not told:
        raise UsageError(
            f"run '{book.name}' does not say what its simulator is; expected one that carry_out or `quincunx simulate` began; begin it so, "
            "or call work(book, simulator)"
        )
    return simulator_in(told[-1].facts["parcel"])


def _round_of(book: Book, simulator: Simulator) -> int | None:
    """The round to work on: all, where they are of one simulator, else the last.

    Raises:
        SimulatorChanged: if that was planned with another. UsageError: if there is none.
    """
    rounds = book.rounds
    if not rounds:
        raise UsageError(f"nothing is planned in run '{book.name}'; expected batches to do; plan or simulate first")
    ours, last = fingerprint(simulator), rounds[-1]
    if ours != last.fingerprint:
        raise SimulatorChanged(
            f"got the simulator '{simulator.name}' {simulator.version} ({ours[:12]}...); expected '{last.simulator}' {last.version} "
            f"({last.fingerprint[:12]}...), with which round {last.round} was planned; put the same code where this worker runs"
        )
    return None if all(each.fingerprint == ours for each in rounds) else last.round


def _travels(simulator: Simulator) -> bool:
    try:
        parcel_of(simulator)
    except CannotTravel:
        return False
    return True


def _processes(simulator: Simulator, travels: bool, workers: int | None) -> int | None:
    # A process of its own, so that a simulation that ends it does not end the worker.
    return 1 if workers is None and simulator.kind == "host" and travels else workers
