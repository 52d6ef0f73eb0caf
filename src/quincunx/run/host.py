"""Running a plain Python simulator: row by row with one generator each, here or in worker processes."""

import contextlib
import importlib
import importlib.util
import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from quincunx.errors import BatchAxisError, NameMismatch, QuincunxWarning, ShapeMismatch, SimulatorError
from quincunx.model.caller import Caller
from quincunx.model.design import design_at
from quincunx.model.outcome import Outcome, flatten_outcome
from quincunx.model.probe import said_by
from quincunx.model.simulator import Simulator
from quincunx.run.engine import Piece, Plan
from quincunx.run.keys import host_rng
from quincunx.run.simulations import NON_FINITE, OK, RAISED

__all__ = ["Address", "address_of", "run_host"]

_PIECE_SECONDS = 0.5
_WORTH_A_POOL_SECONDS = 4.0
_IN_FLIGHT = 3
_NOT_STARTED, _IDLE = -2, -1
"""What a worker's marker says when it is at no single row."""


@dataclass(frozen=True)
class Address:
    """Where another process finds a function: its module (and file), its name there, and what it is called."""

    module: str
    file: str | None
    qualname: str
    name: str


@dataclass(frozen=True)
class Task:
    """Rows to run: everything a worker needs besides the simulator."""

    rows: slice
    theta: Mapping[str, np.ndarray]
    design: Mapping[str, np.ndarray] | None
    seed: int
    round: int
    start: int
    events: int | None
    outcome: Outcome


def address_of(simulator: Simulator) -> Address | None:
    """Where a worker process finds this simulator, or None if it cannot: a lambda, a local function, a notebook's, a
    script's.

    >>> import numpyro.distributions as dist
    >>> address_of(Simulator(lambda theta, *, rng: theta["a"], Prior(a=dist.Normal(0.0, 1.0)))) is None
    True
    """
    function = simulator.function
    module, qualname = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    # A script's own functions would make each worker run the script again.
    if (
        not module
        or not qualname
        or "<" in qualname
        or module in ("__main__", "__mp_main__")
        or module not in sys.modules
    ):
        return None
    found: Any = sys.modules[module]
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if found is not function and getattr(found, "function", None) is not function:
        return None
    return Address(module, getattr(sys.modules[module], "__file__", None), qualname, simulator.name)


def run_host(
    plan: Plan,
    theta: Mapping[str, np.ndarray],
    design: Any,
    outcome: Outcome,
    seed: int,
    round: int,
    workers: int | None,
) -> Iterator[Piece]:
    """Run a plan's rows: the first few here, to see what they cost, and the rest in processes where that pays.

    The outcome of a row depends on [seed, round, its index] alone, never on where or with what it is run.
    """

    def task(first: int, last: int) -> Task:
        rows = slice(first, last)
        some = {name: value[rows] for name, value in theta.items()}
        settings = None if design is None else {name: value[rows] for name, value in design.items()}
        return Task(rows, some, settings, seed, round, plan.start, plan.events, outcome)

    done, piece = 0, 1
    seconds_each = float("inf")
    while done < plan.n and (done < 3 or workers == 0 or seconds_each * (plan.n - done) < _WORTH_A_POOL_SECONDS):
        last = min(done + piece, plan.n)
        tick = time.monotonic()
        yield run_task(plan.simulator.caller, task(done, last))
        # The least seen: first calls pay for imports and caches.
        seconds_each = min(seconds_each, (time.monotonic() - tick) / (last - done))
        piece = max(1, min(4 * piece, int(_PIECE_SECONDS / max(seconds_each, 1e-7)), 65_536))
        done = last
    if done == plan.n:
        return
    address = address_of(plan.simulator)
    count = os.cpu_count() or 1 if workers is None else workers
    if address is None or count < 2:
        for first in range(done, plan.n, piece):
            yield run_task(plan.simulator.caller, task(first, min(first + piece, plan.n)))
        return
    tasks = [task(first, min(first + piece, plan.n)) for first in range(done, plan.n, piece)]
    yield from _run_pool(address, plan.simulator.caller, tasks, min(count, len(tasks)))


def run_task(caller: Caller, task: Task, *, mark: Callable[[int], None] = lambda row: None) -> Piece:
    """Run some rows one after the other (or as one batch), keeping exceptions and NaN as what they are: data."""
    n = task.rows.stop - task.rows.start
    k = 1 if task.events is None else task.events
    flat = np.full((n * k, task.outcome.dim), np.nan, np.float32)
    status = np.zeros(n, np.uint8)
    messages: dict[int, str] = {}
    batches = [np.arange(n * k)] if caller.batched else [np.array([i]) for i in range(n * k)]
    while batches:
        which = batches.pop()
        mark(task.rows.start + int(which[0]) // k if len(which) == 1 else _IDLE)
        try:
            flat[which] = _run_some(caller, task, which, k)
        except (BatchAxisError, NameMismatch):
            raise
        except (Exception, SystemExit) as error:
            if len(which) > 1:
                # One bad row must not cost its neighbours their outcomes.
                batches += [np.array([i]) for i in which]
                continue
            row = int(which[0]) // k
            status[row] = RAISED
            messages[task.rows.start + row] = said_by(error)
    finite = np.isfinite(flat).reshape(n, -1).all(axis=1)
    status[(status == OK) & ~finite] = NON_FINITE
    shaped = flat if task.events is None else flat.reshape(n, k, -1)
    return Piece(task.rows, task.outcome.unflatten(shaped), status, messages)


def _run_some(caller: Caller, task: Task, which: np.ndarray, k: int) -> np.ndarray:
    rngs = [
        host_rng(
            task.seed,
            task.round,
            task.start + task.rows.start + int(i) // k,
            None if task.events is None else int(i) % k,
        )
        for i in which
    ]
    rows = which // k
    if caller.batched:
        theta = {name: value[rows] for name, value in task.theta.items()}
        design = None if task.design is None else {name: value[rows] for name, value in task.design.items()}
        x = caller.run_batch(theta, rngs, design)
        got = jax.tree.map(lambda a: a.shape[1:], x)
        flat = flatten_outcome(x, 1)
    else:
        row = int(rows[0])
        theta = {name: value[row] for name, value in task.theta.items()}
        x = caller.run_one(theta, rngs[0], design_at(task.design, row))
        got = jax.tree.map(lambda a: a.shape, x)
        flat = flatten_outcome(x, 0)[None]
    expected = task.outcome.shapes if task.outcome.keyed else task.outcome.shape_list[0]
    if got != expected:
        raise ShapeMismatch(f"returned shape {got}; expected {expected} as from the first simulation")
    return np.asarray(flat)


_caller: Caller | None = None
_marker: Any = None


def _start(address: Address, marker: Any) -> None:
    """Prepare a worker process: Ctrl-C is the parent's business, and the simulator is imported once."""
    global _caller, _marker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _caller, _marker = _resolve(address), marker
    marker.value = _IDLE


def _resolve(address: Address) -> Caller:
    try:
        module = importlib.import_module(address.module)
    except ModuleNotFoundError:
        spec = None if address.file is None else importlib.util.spec_from_file_location(address.module, address.file)
        if spec is None or spec.loader is None:
            raise
        module = importlib.util.module_from_spec(spec)
        sys.modules[address.module] = module
        spec.loader.exec_module(module)
    found: Any = module
    for part in address.qualname.split("."):
        found = getattr(found, part)
    function = found.function if isinstance(found, Simulator) else found
    return Caller.of(function, address.name)


def _work(task: Task) -> Piece:
    if _caller is None:
        raise SimulatorError("a worker was asked to run before it was given a simulator")
    return run_task(_caller, task, mark=lambda row: setattr(_marker, "value", row))


def _run_pool(address: Address, caller: Caller, tasks: list[Task], workers: int) -> Iterator[Piece]:
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
        yield from _run_suspects(address, caller, suspects)


def _run_suspects(address: Address, caller: Caller, tasks: list[Task]) -> Iterator[Piece]:
    """Run tasks by one worker at a time, which notes where it is: a simulation that ends its process is a failed one."""
    waiting = list(reversed(tasks))
    while waiting:
        with _pool(address, 1) as (submit, marker):
            try:
                while waiting:
                    yield submit(waiting[-1]).result()
                    waiting.pop()
            except BrokenProcessPool:
                at = marker.value
        if not waiting:
            return
        if at == _NOT_STARTED:
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
        if n == 1:
            yield _dead(task)
        elif at == _IDLE:
            # A batch runs as a whole: which of its rows it was is found by halving.
            waiting += [_part(task, n // 2, n), _part(task, 0, n // 2)]
        else:
            row = at - task.rows.start
            yield _dead(_part(task, row, row + 1))
            waiting += [_part(task, *ends) for ends in ((row + 1, n), (0, row)) if ends[0] < ends[1]]


def _dead(task: Task) -> Piece:
    k = () if task.events is None else (task.events,)
    x = task.outcome.unflatten(np.full((1, *k, task.outcome.dim), np.nan, np.float32))
    said = {task.rows.start: "the simulation ended its whole process (a crash in compiled code, or out of memory)"}
    return Piece(task.rows, x, np.full(1, RAISED, np.uint8), said)


def _part(task: Task, first: int, last: int) -> Task:
    cut = slice(first, last)
    return Task(
        slice(task.rows.start + first, task.rows.start + last),
        {name: value[cut] for name, value in task.theta.items()},
        None if task.design is None else {name: value[cut] for name, value in task.design.items()},
        task.seed,
        task.round,
        task.start,
        task.events,
        task.outcome,
    )


@contextlib.contextmanager
def _pool(address: Address, workers: int) -> Iterator[tuple[Callable[[Task], Future], Any]]:
    context = multiprocessing.get_context("spawn")
    marker = context.Value("q", _NOT_STARTED, lock=False)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(address, marker))

    def submit(task: Task) -> Future:
        # Processes are started as tasks are handed in.
        with _quiet_start():
            return pool.submit(_work, task)

    try:
        yield submit, marker
    except BaseException:
        for process in list((getattr(pool, "_processes", None) or {}).values()):
            process.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _quiet_start() -> Iterator[None]:
    """Start workers with one thread each, and without running the user's script again in every one of them.

    `spawn` imports the main script anew, with all it does; nothing of it is needed here, so it is hidden meanwhile.
    """
    main = sys.modules["__main__"]
    names: tuple[str, ...] = ("__file__", "__spec__")
    hidden = {name: main.__dict__.pop(name) for name in names if name in main.__dict__}
    main.__spec__ = None
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    before = {name: os.environ.get(name) for name in (*threads, "JAX_PLATFORMS")}
    os.environ.update(threads, JAX_PLATFORMS=os.environ.get("JAX_PLATFORMS", "cpu"))
    try:
        yield
    finally:
        main.__dict__.update(hidden)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
