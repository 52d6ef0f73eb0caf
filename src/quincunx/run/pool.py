"""Worker processes for plain simulators: started clean, and replaced when a simulation kills one."""

import contextlib
import multiprocessing
import signal
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from quincunx.errors import QuincunxWarning, SimulatorError
from quincunx.model.caller import Caller
from quincunx.run.address import Address, Description, caller_at
from quincunx.run.clean import clean_start, die_with_parent, end_workers
from quincunx.run.engine import Piece
from quincunx.run.status import TIMEOUT
from quincunx.run.tasks import IDLE, Task, dead, part_of, run_task

__all__ = ["run_alone", "run_pool"]

_IN_FLIGHT = 3
_NOT_STARTED = -2

_caller: Caller | None = None
_marker: Any = None


def _start(address: Address | Description, marker: Any) -> None:
    """Prepare a worker process: Ctrl-C is the parent's business, and the simulator is imported once."""
    global _caller, _marker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    _caller, _marker = caller_at(address), marker
    marker.value = IDLE


def _work(task: Task) -> Piece:
    if _caller is None:
        raise SimulatorError("a worker was asked to run before it was given a simulator")
    return run_task(_caller, task, mark=lambda row: setattr(_marker, "value", row))


def run_pool(address: Address | Description, caller: Caller, tasks: list[Task], workers: int) -> Iterator[Piece]:
    """Every task once; when a worker dies, what was under way is run by one worker, and the rest goes on as before."""
    waiting = list(reversed(tasks))
    while waiting:
        running: dict[Future, Task] = {}
        suspects: list[Task] = []
        with _pool(address, workers) as (submit, _):
            try:
                while waiting or running:
                    while waiting and len(running) < _IN_FLIGHT * workers:
                        running[submit(waiting[-1])] = waiting[-1]
                        waiting.pop()
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        piece = future.result()
                        del running[future]
                        yield piece
            except BrokenProcessPool:
                suspects = list(running.values())
        yield from run_alone(address, caller, suspects)


def run_alone(
    address: Address | Description, caller: Caller | None, tasks: list[Task], *, timeout: float | None = None
) -> Iterator[Piece]:
    """Run tasks by one worker at a time, which notes where it is: a simulation that ends its process twice is lost.

    Somebody else may have ended it the first time, and the same seed once more favours no outcome. One that is not done within
    `timeout` seconds, if given, is ended and marked so. Where workers cannot even start, the tasks are run here by `caller`.

    Raises:
        BrokenProcessPool: if workers cannot start and there is no `caller`.
    """
    waiting = list(reversed(tasks))
    deaths: Counter[int] = Counter()
    while waiting:
        late = False
        try:
            with _pool(address, 1) as (submit, marker):
                while waiting:
                    yield submit(waiting[-1]).result(timeout)
                    waiting.pop()
                return
        except BrokenProcessPool:
            at = marker.value
        except TimeoutError:
            at, late = marker.value, True
        if at == _NOT_STARTED:
            if caller is None:
                raise BrokenProcessPool(f"worker processes end, or hang, while importing '{address.module}'")
            warnings.warn(
                f"worker processes end while importing '{address.module}', so simulations run in this process, one after "
                "another; keep work that is not a definition out of that module",
                QuincunxWarning,
                stacklevel=2,
            )
            for task in reversed(waiting):
                yield run_task(caller, task)
            return
        task = waiting.pop()
        n = task.rows.stop - task.rows.start
        if n > 1 and at == IDLE:
            # A batch runs as a whole: which of its rows it was is found by halving.
            waiting += [part_of(task, n // 2, n), part_of(task, 0, n // 2)]
            continue
        row = 0 if n == 1 else at - task.rows.start
        deaths[task.rows.start + row] += 1
        ends = [(row + 1, n), (row, row + 1), (0, row)]
        if n == 1 and late:
            yield dead(task, TIMEOUT, f"no outcome within {timeout:g} s")
            continue
        if deaths[task.rows.start + row] > 1:
            yield dead(part_of(task, *ends.pop(1)))
        waiting += [part_of(task, *each) for each in ends if each[0] < each[1]]


@contextlib.contextmanager
def _pool(address: Address | Description, workers: int) -> Iterator[tuple[Callable[[Task], Future], Any]]:
    context = multiprocessing.get_context("spawn")
    marker = context.Value("q", _NOT_STARTED, lock=False)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(address, marker))

    def submit(task: Task) -> Future:
        # Processes are started as tasks are handed in.
        with clean_start():
            return pool.submit(_work, task)

    try:
        yield submit, marker
    except BaseException:
        end_workers(pool)
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown(wait=True, cancel_futures=True)
