"""Worker processes for plain simulators: started clean, and replaced when a simulation kills one."""

import contextlib
import importlib
import importlib.util
import json
import multiprocessing
import os
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

from quincunx.errors import QuincunxWarning, SimulatorError
from quincunx.model.caller import Caller
from quincunx.model.simulator import Simulator
from quincunx.run.engine import Piece
from quincunx.run.tasks import IDLE, Task, dead, part_of, run_task
from quincunx.values import Value, pack, unpack

__all__ = ["Address", "Description", "address_of", "run_pool"]

_IN_FLIGHT = 3
_NOT_STARTED = -2


@dataclass(frozen=True)
class Address:
    """Where another process finds a function: its module (and file), its name there, and what it is called."""

    module: str
    file: str | None
    qualname: str
    name: str


@dataclass(frozen=True)
class Description:
    """A function that is a value, such as a command: all that it is, as JSON, and what it is called."""

    text: str
    name: str

    @property
    def module(self) -> str:
        """What it is called in messages, in the place of a module."""
        return self.name


def address_of(simulator: Simulator) -> Address | Description | None:
    """How a worker process comes by this simulator, or None if it cannot: a lambda, a local function, a notebook's, a
    script's.

    >>> import numpyro.distributions as dist
    >>> from quincunx.model import Prior
    >>> address_of(Simulator(lambda theta, *, rng: theta["a"], Prior(a=dist.Normal(0.0, 1.0)))) is None
    True
    """
    function = simulator.function
    if isinstance(function, Value) and not isinstance(function, type):
        packed, arrays = pack(function, "")
        return None if arrays else Description(json.dumps(packed), simulator.name)
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


_caller: Caller | None = None
_marker: Any = None


def _start(address: Address | Description, marker: Any) -> None:
    """Prepare a worker process: Ctrl-C is the parent's business, and the simulator is imported once."""
    global _caller, _marker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _caller, _marker = _resolve(address), marker
    marker.value = IDLE


def _resolve(address: Address | Description) -> Caller:
    if isinstance(address, Description):
        return Caller.of(unpack(json.loads(address.text), {}, ""), address.name)
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
        yield from _run_suspects(address, caller, suspects)


def _run_suspects(address: Address | Description, caller: Caller, tasks: list[Task]) -> Iterator[Piece]:
    """Run tasks by one worker at a time, which notes where it is: a simulation that ends its process twice is lost.

    Somebody else may have ended it the first time, and the same seed once more favours no outcome.
    """
    waiting = list(reversed(tasks))
    deaths: Counter[int] = Counter()
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
        if n > 1 and at == IDLE:
            # A batch runs as a whole: which of its rows it was is found by halving.
            waiting += [part_of(task, n // 2, n), part_of(task, 0, n // 2)]
            continue
        row = 0 if n == 1 else at - task.rows.start
        deaths[task.rows.start + row] += 1
        ends = [(row + 1, n), (row, row + 1), (0, row)]
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
