"""Carrying a round out: planned, handed to workers, and kept in the book, through crashes and interruptions."""

import json
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from quincunx._verb import make_callable
from quincunx.errors import CannotTravel, FailureWarning, QuincunxWarning, TooManyFailures, UsageError
from quincunx.lab.book.book import Book
from quincunx.lab.book.fingerprint import fingerprint
from quincunx.lab.book.leases import Lease
from quincunx.lab.book.owner import new_owner
from quincunx.lab.book.progress import Progress, progress_of
from quincunx.lab.failure_budget import FAILURE_BUDGET, keep_to_budget
from quincunx.lab.mined import Mined, mined_in
from quincunx.lab.sizes import Size
from quincunx.lab.supervisor import Supervisor
from quincunx.learn.interrupt import interrupts
from quincunx.model.assay import assay
from quincunx.model.reference import Reference
from quincunx.model.simulator import Simulator
from quincunx.notebook import from_fields
from quincunx.run.batch import Batch, Resident
from quincunx.run.executors import Crew, crew_for
from quincunx.run.keys import key_text
from quincunx.run.parcel import parcel_of

__all__ = ["CarriedOut", "carry_out"]

_SIZED = "batch size"


@dataclass(frozen=True)
class CarriedOut:
    """What became of a round: simulations `done` in this call and how many of them `failed`, those `saved` before, how often workers had
    to be replaced (`rebuilds`), why it `stopped` before the end, if it did, and the address of Dask's `dashboard`, if there was one.

    `stopped` is "interrupted" after Ctrl-C, when what was under way has been finished; the run can be resumed.
    """

    done: int
    failed: int
    saved: int
    rebuilds: int
    stopped: str | None = None
    dashboard: str | None = None

    _repr_html_ = from_fields


def carry_out(
    book: Book,
    simulator: Simulator,
    n: int | None = None,
    *,
    round: int = 0,
    design: Mapping[str, Any] | None = None,
    gold: bool | Reference | None = None,
    latents: bool | None = None,
    executor: Executor | Callable[[], Executor] | None = None,
    workers: int | None = None,
    dask: str | None = None,
    batch: int | None = None,
    failure_budget: float = FAILURE_BUDGET,
    progress: Callable[[dict[str, Any]], None] | None = None,
    timeout: float | None = None,
) -> CarriedOut:
    """Make the simulations 0 ... n-1 of a round that are not in the book yet; the same call goes on after whatever ended the last.

    Simulations that fail are kept and marked. Those whose worker was lost are run again with the same seeds; one that ends its process
    twice is found, and marked as lost. The first Ctrl-C finishes what is under way and returns, the second stops at once.

    Args:
        n: how many there are to be in the round; by default those that are planned.
        design: the settings of the round, the same for all of its simulations.
        gold, latents: what is mined on the way, as in `simulate`; by default what the round was begun with, else nothing.
        executor: any `concurrent.futures.Executor`, or a function that opens one, which is called again when it breaks.
        workers: processes for a plain simulator, as many as cores by default; 0 for this process, where JAX simulators run.
        dask: a scheduler's address, "local", or "slurm", "htcondor", "pbs", "kubernetes" by configuration, each with :MIN-MAX.
        batch: simulations in a batch; by default the first few are timed, and batches take 1 to 10 s and a shard of up to 64 MB.
        failure_budget: the share of simulations that may fail before the run is stopped.
        progress: is told {"done", "total", "failed", "rate"} as it goes.
        timeout: seconds for a batch in a pool; the simulation that is still not done after as long again, alone, is marked so.

    Raises:
        TooManyFailures: with the first three messages, when more fail than the budget allows; the run can be resumed.
        ExecutorBroken: if workers end ten times without anything done in between.
        SecondCoordinator: if another process carries this run out. SimulatorChanged: if the round was begun by another simulator.
        CannotTravel: if other processes were asked for and cannot be given the simulator.
        KeyboardInterrupt: on the second Ctrl-C; the run can be resumed after it, too.
        UsageError: for arguments that make no sense together, other gold than the round was begun with, or if nothing is planned and n is
            not given.
        NoGold and others: as `model.assay`, for gold that is not there or would be wrong.
        Others that the simulator, the disk or the database give, as no fault of any one simulation.

    >>> import tempfile, quincunx as qx
    >>> book = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)
    >>> simulator = qx.gallery.load("two_moons").simulator
    >>> carry_out(book, simulator, 1000, batch=500)
    CarriedOut(done=1000, failed=0, saved=0, rebuilds=0, stopped=None, dashboard=None)
    >>> carry_out(book, simulator, 1500).saved, book.simulations().x.shape
    (1000, (1500, 2))
    """
    _check(n, batch, timeout)
    parcel, refusal = _parcel(simulator)
    owner = new_owner()
    with book.coordinator(owner=owner) as leader:
        number = book.use(simulator)
        before = progress_of(book.ledger, round)
        if n is None and not before.planned:
            raise UsageError(
                f"nothing is planned in round {round}; expected a number of simulations; say how many: n=..."
            )
        mined = mined_in(book, round).asked(gold, latents, round=round, begun=before.planned > 0)
        mined.check(simulator)
        if mined.gold and simulator.kind == "jax" and before.done < max(n or 0, before.planned):
            assay(simulator, key=0, design=design)
        keep_to_budget(book, failure_budget, round=round)
        crew = crew_for(simulator.kind, travels=parcel is not None, executor=executor, workers=workers, dask=dask)
        try:
            if crew.sends and parcel is None:
                raise refusal or CannotTravel(simulator.name)
            if parcel is None and simulator.kind == "host" and workers is None and executor is None:
                warnings.warn(
                    f"simulations run in this process, one after another: {refusal}", QuincunxWarning, stacklevel=2
                )
            _note(book, parcel, crew, number, mined, round)
            supervisor = Supervisor(
                book,
                crew,
                batches_of(book, simulator, parcel if parcel is not None and crew.sends else Resident(simulator)),
                owner,
                round,
                timeout=timeout,
                beat=leader.stay,
                tell=_teller(book, round, before, n, failure_budget, progress),
            )
            stopped = _run(supervisor, lambda: _plan_and_run(supervisor, simulator, n, round, design, batch))
        finally:
            crew.close()
        now = progress_of(book.ledger, round)
        stopped = stopped if now.done < max(n or 0, now.planned) else None
        result = CarriedOut(
            supervisor.done, supervisor.failed, before.done, supervisor.rebuilds, stopped, crew.dashboard
        )
        book.note("carried out", round=round, **{k: v for k, v in vars(result).items() if k != "dashboard"})
    if result.failed:
        warnings.warn(
            f"{result.failed} of {result.done} simulations failed; they are kept and marked in `status`; see book.failures()",
            FailureWarning,
            stacklevel=2,
        )
    return result


def batches_of(book: Book, simulator: Simulator, sent: str | Resident) -> Callable[[Lease], Batch]:
    """A function that makes the work of a lease: what is sent to workers, with the settings of its round."""
    key, folder, facts = key_text(book.key), str(book.shard_folder.resolve()), {"fingerprint": fingerprint(simulator)}
    designs: dict[int, str | None] = {}
    mines: dict[int, Mined] = {}

    def make(held: Lease) -> Batch:
        if held.round not in designs:
            designs.update({r.round: json.dumps(dict(r.design)) if r.design else None for r in book.rounds})
        if held.round not in mines:
            mines[held.round] = mined_in(book, held.round)
        design, mined = designs[held.round], mines[held.round]
        told = facts if mined == Mined() else facts | vars(mined)
        return Batch(
            sent, key, held.round, held.first, held.n, folder, design, told, gold=mined.gold, latents=mined.latents
        )

    return make


def _check(n: int | None, batch: int | None, timeout: float | None) -> None:
    for name, value in (("n", n), ("batch", batch), ("timeout", timeout)):
        if value is not None and value <= 0:
            raise UsageError(f"got {name}={value}; expected more than zero; choose such a number, or leave it out")


def _parcel(simulator: Simulator) -> tuple[str | None, CannotTravel | None]:
    try:
        return parcel_of(simulator), None
    except CannotTravel as error:
        return None, error


def _note(book: Book, parcel: str | None, crew: Crew, number: int, mined: Mined, round: int) -> None:
    # Before anything is planned: whoever finds a batch finds what is mined.
    mined.note(book, round)
    told = book.events("simulator")
    if parcel is not None and (not told or told[-1].facts["parcel"] != parcel):
        book.note("simulator", decision=True, number=number, parcel=parcel)
    if crew.dashboard is not None:
        book.note("dashboard", address=crew.dashboard)


def _plan_and_run(
    supervisor: Supervisor,
    simulator: Simulator,
    n: int | None,
    round: int,
    design: Mapping[str, Any] | None,
    batch: int | None,
) -> None:
    """Plan what is missing, in batches of the size asked for or, found by trials that count, of one that pays; and run it."""
    book, workers = supervisor.book, supervisor.crew.workers

    def plan(up_to: int, size: int) -> None:
        book.plan(up_to, size=size, simulator=simulator, round=round, design=design)

    planned = progress_of(book.ledger, round).planned
    if n is not None and planned < n and batch is None:
        noted = [event.facts["size"] for event in book.events(_SIZED) if event.facts["round"] == round]
        batch = noted[-1] if noted else None
        # What is planned is done first: it may hold trials of an earlier call.
        if planned:
            supervisor.run()
        size = Size(simulator.batched, n=256 if simulator.kind == "jax" else 1)
        while batch is None and planned < n and supervisor.stopping is None:
            supervisor.finished.clear()
            planned = min(n, planned + (workers + 1) * size.n)
            plan(planned, size.n)
            supervisor.run()
            # The least of several: the first pays for imports and compilation.
            full = [trial for trial in supervisor.finished if trial[0] == size.n]
            if not full:
                break
            rows, seconds, written = min(full, key=lambda trial: trial[1])
            size = size.after(rows, seconds, written)
            if size.found or size.n * (workers + 1) >= n - planned:
                batch = size.shared(max(1, n - planned), workers)
                book.note(_SIZED, round=round, size=batch, seconds_each=size.each)
        batch = batch or size.n
    if supervisor.stopping is None:
        if n is not None:
            plan(n, batch or n)
        supervisor.run()


def _run(supervisor: Supervisor, work: Callable[[], None]) -> str | None:
    """Do the work, with Ctrl-C as it is promised; returns why it was stopped, if it was."""

    def stop() -> None:
        supervisor.stopping = supervisor.stopping or "interrupted"

    now = True
    try:
        with interrupts(stop):
            work()
        now = False
    finally:
        supervisor.close(now=now)
    return supervisor.stopping


def _teller(
    book: Book,
    round: int,
    before: Progress,
    n: int | None,
    budget: float,
    progress: Callable[[dict[str, Any]], None] | None,
) -> Callable[[Supervisor], None]:
    began = time.monotonic()
    total = max(n or 0, before.planned)

    def tell(supervisor: Supervisor) -> None:
        if progress is not None:
            rate = supervisor.done / max(time.monotonic() - began, 1e-9)
            done, failed = before.done + supervisor.done, before.failed + supervisor.failed
            progress({"done": done, "total": total, "failed": failed, "rate": rate})
        if supervisor.failed and supervisor.stopping is None:
            try:
                keep_to_budget(book, budget, round=round)
            except TooManyFailures as error:
                supervisor.refuse(error)

    return tell


# The function and its module share a name: whichever of them `quincunx.lab.carry_out` is, it can be called.
make_callable(__name__, carry_out)
