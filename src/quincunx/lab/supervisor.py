"""The supervisor: batches go out to workers, shards come back, and what is lost on the way goes out again with the same seeds."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from dataclasses import dataclass, field

from quincunx.errors import ChecksumMismatch, DataFileError, ExecutorBroken, LeaseLost
from quincunx.lab.book.book import Book
from quincunx.lab.book.leases import Lease
from quincunx.run.batch import Batch, Done, run_batch, run_batch_alone
from quincunx.run.executors import Crew

__all__ = ["Supervisor"]

LEASE = 120.0
"""Seconds for which batches are leased; they are renewed long before."""

_LOOK = 0.5
_RENEW = 20.0
_LONGEST_PAUSE = 60.0
_GIVE_UP = 10
_SUSPECT = 2


@dataclass
class Supervisor:
    """Hands a book's batches to workers until none is left, or there is a reason to stop.

    At most `ahead` batches for each worker are out at a time. When workers die, what they had is run again, by new ones, after a pause
    that doubles. A batch that was under way at two deaths is run alone, in processes of its own, where the simulation that ends them is
    found and marked. An exception from a batch, which is no fault of any one simulation, ends the run.

    `batch_of` makes the work of a lease, `tell` is called after each batch, `beat` every 20 s, and `may_take` is asked before a batch is
    taken. `stopping` set by anyone lets what is under way be finished, and nothing else be begun.
    """

    book: Book
    crew: Crew
    batch_of: Callable[[Lease], Batch]
    owner: str
    round: int | None = None
    ahead: int = 4
    timeout: float | None = None
    tell: Callable[["Supervisor"], None] = lambda supervisor: None
    beat: Callable[[], object] = lambda: None
    may_take: Callable[[], bool] = lambda: True

    done: int = 0
    failed: int = 0
    rebuilds: int = 0
    longest: float = 0.0
    finished: list[tuple[int, float, int]] = field(default_factory=list)
    stopping: str | None = None

    _executor: Executor | None = None
    _alone: Executor = field(default_factory=lambda: ThreadPoolExecutor(1, "alone"))
    _out: dict[Future, Lease] = field(default_factory=dict)
    _lone: set[Future] = field(default_factory=set)
    _since: dict[Future, float] = field(default_factory=dict)
    _suspects: set[int] = field(default_factory=set)
    _fruitless: int = 0
    _error: BaseException | None = None
    _beaten: float = field(default_factory=time.monotonic)

    def run(self) -> None:
        """Work until nothing is left to do, also by others, or there is a reason to stop.

        Raises:
            ExecutorBroken: if workers die ten times without one batch done in between.
            Whatever a batch raises.
        """
        while True:
            if self.stopping is None:
                self._take()
            else:
                self._give_back()
            if not self._out:
                if self._error is not None:
                    raise self._error
                counts = self.book.state if self.round is None else self.book.state_of(self.round)
                if self.stopping is not None or not (self.may_take() and counts["todo"] + counts["leased"]):
                    return
                if not counts["todo"]:
                    # The rest is with others, who may lose it.
                    self._pause(_LOOK)
                continue
            self._receive(wait(list(self._out), _LOOK, FIRST_COMPLETED).done)
            self._keep()

    def close(self, *, now: bool = False) -> None:
        """Let go of the workers, after their work or at once, and of every lease."""
        if self._executor is not None:
            self.crew.stop(self._executor, now)
            self._executor = None
        self._alone.shutdown(wait=not now, cancel_futures=True)
        for held in self._out.values():
            self.book.release(held)
        self._out.clear()

    def _take(self) -> None:
        while len(self._out) < self.ahead * self.crew.workers and self.stopping is None and self.may_take():
            held = self.book.lease(self.owner, LEASE, round=self.round)
            if held is None:
                return
            batch = self.batch_of(held)
            if self.crew.sends and (held.attempt > _SUSPECT or held.batch in self._suspects):
                future = self._alone.submit(run_batch_alone, batch, self.timeout)
                self._lone.add(future)
                self._out[future] = held
                continue
            try:
                if self._executor is None:
                    self._executor = self.crew.start()
                future = self._executor.submit(run_batch, batch)
            except (BrokenExecutor, RuntimeError) as error:
                self._break(error, [held])
                return
            self._out[future] = held

    def _give_back(self) -> None:
        """Take back what no worker has begun."""
        if not self.crew.recalls:
            return
        for future in [future for future in self._out if future.cancel()]:
            self.book.release(self._out.pop(future))

    def _receive(self, done: Iterable[Future]) -> None:
        order = list(self._out.items())
        broken: BaseException | None = None
        for future in done:
            held = self._out.pop(future)
            lone = future in self._lone
            self._lone.discard(future)
            self._since.pop(future, None)
            error = CancelledError() if future.cancelled() else future.exception()
            if error is None:
                self._finish(held, future.result(), lone)
            elif not _is_loss(error):
                self.book.release(held)
                self.refuse(error)
            elif lone or _blames_one(error):
                self._suspects.add(held.batch)
                self.book.fail(held, _said(error), again=True)
                self._count_fruitless(error)
            else:
                broken = error
                self._out[future] = held
        if broken is not None:
            # Workers take batches in order, one each and one ahead: the others were not begun.
            lost = self._withdraw(order)
            for held in lost[self.crew.workers + 1 :]:
                self.book.release(held)
            self._break(broken, lost[: self.crew.workers + 1])

    def _finish(self, held: Lease, made: Done, lone: bool = False) -> None:
        try:
            self.book.complete(held, made.shard)
        except (DataFileError, ChecksumMismatch) as error:
            self.book.fail(held, _said(error), again=True)
            self._count_fruitless(error)
            return
        # That a batch can be done alone does not say that the workers are any good.
        self._fruitless = self._fruitless if lone else 0
        self.done += made.shard.rows
        self.failed += made.shard.failed
        self.longest = max(self.longest, made.seconds)
        self.finished.append((made.shard.rows, made.seconds, made.shard.size))
        self.tell(self)

    def refuse(self, error: BaseException) -> None:
        """Begin nothing else, and raise this when what is under way is done."""
        self._error = self._error or error
        self.stopping = self.stopping or "error"

    def _withdraw(self, order: list[tuple[Future, Lease]]) -> list[Lease]:
        """Take everything back from workers that are gone, oldest first, but what they had finished."""
        lost = []
        for future, held in order:
            if future not in self._out or future in self._lone:
                continue
            del self._out[future]
            self._since.pop(future, None)
            if future.done() and not future.cancelled() and future.exception() is None:
                self._finish(held, future.result())
            else:
                lost.append(held)
        return lost

    def _break(self, error: BaseException, under_way: list[Lease]) -> None:
        """Go on with new workers; `under_way` is what the old ones may have died of, the rest of what they had is free again."""
        for held in under_way:
            self.book.fail(held, _said(error), again=True)
        self._restart()
        if not self.crew.again:
            self._give_up(f"the executor that was handed in is broken ({_said(error)})", error)
            return
        self.rebuilds += 1
        self._count_fruitless(error)

    def _restart(self) -> None:
        if self._executor is not None:
            self.crew.stop(self._executor, True)
            self._executor = None
        for held in self._withdraw(list(self._out.items())):
            self.book.release(held)

    def _count_fruitless(self, error: BaseException) -> None:
        self._fruitless += 1
        if self._fruitless > _GIVE_UP:
            self._give_up(
                f"workers ended {self._fruitless} times with no batch done in between ({_said(error)})", error
            )
        else:
            self._pause(min(2.0 ** (self._fruitless - 1), _LONGEST_PAUSE))

    def _give_up(self, what: str, error: BaseException) -> None:
        told = ExecutorBroken(
            f"{what}; expected workers that stay; look whether the simulator can be imported and run in a process of its own, and how much "
            "memory there is, and resume the run: what is done is kept"
        )
        told.__cause__ = error
        self.refuse(told)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self.stopping is None and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))
            self._keep()

    def _keep(self) -> None:
        """Keep leases alive, and end what takes too long."""
        now = time.monotonic()
        if now - self._beaten > _RENEW:
            self._beaten = now
            self.beat()
            for future, held in list(self._out.items()):
                try:
                    self._out[future] = self.book.renew(held, LEASE)
                except LeaseLost:
                    # Whoever has it now does the same; the first report counts.
                    continue
        if self.timeout is None or not self.crew.ends:
            return
        for future in self._out:
            if future.running() and future not in self._lone:
                self._since.setdefault(future, now)
        late = [future for future, since in self._since.items() if now - since > self.timeout]
        if late:
            self._suspects |= {self._out[future].batch for future in late}
            self._restart()


def _is_loss(error: BaseException) -> bool:
    """Whether an error tells of a worker's end rather than of the work: of executors in general, or of Dask, by their names."""
    return isinstance(error, (BrokenExecutor, CancelledError)) or type(error).__module__.startswith("distributed")


def _blames_one(error: BaseException) -> bool:
    # Dask has gone on with everything else.
    return type(error).__name__ == "KilledWorker"


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
