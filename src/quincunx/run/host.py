"""Running a plain Python simulator: row by row with one generator each, here or in worker processes."""

import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from quincunx.model.outcome import Outcome
from quincunx.run.address import address_of
from quincunx.run.engine import Piece, Plan
from quincunx.run.pace import Pace
from quincunx.run.pool import run_pool
from quincunx.run.tasks import Task, run_task

__all__ = ["run_host"]

_WORTH_A_POOL_SECONDS = 4.0


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

    told = plan.simulator.caller.told
    shapes = told.shapes(plan.simulator.prior) if told is not None and plan.told else None

    def task(first: int, last: int) -> Task:
        rows = slice(first, last)
        some = {name: value[rows] for name, value in theta.items()}
        settings = None if design is None else {name: value[rows] for name, value in design.items()}
        return Task(rows, some, settings, seed, round, plan.start, plan.events, outcome, told, shapes)

    done, pace = 0, Pace(plan.simulator.batched)

    def here() -> bool:
        cheap = pace.seconds_each * (plan.n - done) < _WORTH_A_POOL_SECONDS
        return done < 3 or workers == 0 or cheap or (pace.batched and pace.growing)

    while done < plan.n and here():
        last = min(done + pace.size, plan.n)
        tick = time.monotonic()
        yield run_task(plan.simulator.caller, task(done, last))
        pace = pace.after(last - done, time.monotonic() - tick)
        done = last
    if done == plan.n:
        return
    piece = pace.size
    address = address_of(plan.simulator)
    count = os.cpu_count() or 1 if workers is None else workers
    if address is None or count < 2:
        for first in range(done, plan.n, piece):
            yield run_task(plan.simulator.caller, task(first, min(first + piece, plan.n)))
        return
    tasks = [task(first, min(first + piece, plan.n)) for first in range(done, plan.n, piece)]
    yield from run_pool(address, plan.simulator.caller, tasks, min(count, len(tasks)))
