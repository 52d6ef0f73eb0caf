"""Who runs the batches: this process, a pool of clean processes, Dask, or any executor that is handed in."""

import os
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from quincunx.errors import UsageError
from quincunx.run.clean import CleanPool

__all__ = ["Crew", "crew_for"]

_THREADS = 2
"""Batches that a JAX simulator runs at once in this process: one computes while the other is written."""


@dataclass(frozen=True)
class Crew:
    """Workers, by what it takes to have them.

    `start` opens an executor, `again` says whether it can do so after one broke. `stop(executor, now)` lets go of one, after its work
    or at once. `sends` says whether simulators have to travel, `ends` whether a worker that hangs can be ended, `recalls` whether what no worker has
    begun can be told and taken back. `close` lets go of what
    all executors rest on.
    """

    name: str
    workers: int
    start: Callable[[], Executor]
    stop: Callable[[Executor, bool], None]
    again: bool = True
    sends: bool = True
    ends: bool = False
    recalls: bool = True
    dashboard: str | None = None
    close: Callable[[], None] = lambda: None


def crew_for(
    kind: str, *, travels: bool = True, executor: Any = None, workers: int | None = None, dask: str | None = None
) -> Crew:
    """Choose the workers: an executor (or a function that opens one), Dask, so many processes, or this process.

    Args:
        kind: "jax" or "host", as simulators say it. If nothing is asked for, the former run in this process, where two batches at once
            keep it computing while shards are written, and the latter in as many processes as there are cores.
        travels: whether other processes can be given the simulator; if not, and nothing is asked for, it runs in this process.
        executor: any `concurrent.futures.Executor`, used as it is and left open, or a function without arguments that opens one, which
            is called again when it breaks.
        workers: how many processes; 0 for this process. With Dask, how many it may have; with an executor, how many it has.
        dask: the address of a scheduler, "local", or "slurm", "htcondor", "pbs" or "kubernetes" by configuration.

    Raises:
        UsageError: for two of them at once, or what is no executor. MissingExtra: if Dask or a part of it is not installed.

    >>> crew_for("jax").name, crew_for("host").name, crew_for("host", workers=3).workers
    ('in process', 'pool', 3)
    """
    if executor is not None and dask is not None:
        raise UsageError("got an executor and Dask; expected one of them; leave the other out")
    if workers is not None and workers < 0:
        raise UsageError(f"got workers={workers}; expected 0 for this process, or how many; choose such a number")
    if dask is not None:
        from quincunx.run.clusters import dask_crew

        return dask_crew(dask, workers)
    if executor is not None:
        return _given(executor, workers)
    if workers == 0 or (workers is None and (kind == "jax" or not travels)):
        slots = _THREADS if kind == "jax" else 1
        return Crew("in process", slots, lambda: ThreadPoolExecutor(slots, "simulate"), _stop, sends=False)
    count = workers or os.cpu_count() or 1
    return Crew("pool", count, lambda: CleanPool(count), _stop_pool, ends=True)


def _given(executor: Any, workers: int | None) -> Crew:
    opens = callable(executor) and not isinstance(executor, Executor)
    if not opens and not isinstance(executor, Executor):
        raise UsageError(
            f"got a {type(executor).__name__} as executor; expected a concurrent.futures.Executor or a function that opens one; for Dask "
            "give client.get_executor(), or dask=ADDRESS"
        )
    # Executors keep how many workers they have under this name, as far as they tell at all.
    count = workers or getattr(executor, "_max_workers", None) or os.cpu_count() or 1
    sends = not isinstance(executor, ThreadPoolExecutor)
    recalls = not type(executor).__module__.startswith("distributed")
    if opens:
        return Crew("given", count, executor, _stop)
    return Crew("given", count, lambda: executor, lambda given, now: None, again=False, sends=sends, recalls=recalls)


def _stop_pool(executor: Any, now: bool) -> None:
    if now:
        executor.kill()
    else:
        executor.shutdown(wait=True)


def _stop(executor: Executor, now: bool) -> None:
    executor.shutdown(wait=not now)
