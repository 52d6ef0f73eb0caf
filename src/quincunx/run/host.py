"""Running a plain Python simulator: row by row with one generator each, here or in worker processes."""

import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from quincunx.model.outcome import Outcome
from quincunx.run.engine import Piece, Plan
from quincunx.run.pool import address_of, run_pool
from quincunx.run.tasks import Task, run_task

__all__ = ["run_host"]

_PIECE_SECONDS = 0.5
_BATCH_SECONDS = 5.0
"""A batched function gets larger pieces: a call of it may cost much before the first row is begun."""
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

    def task(first: int, last: int) -> Task:
        rows = slice(first, last)
        some = {name: value[rows] for name, value in theta.items()}
        settings = None if design is None else {name: value[rows] for name, value in design.items()}
        return Task(rows, some, settings, seed, round, plan.start, plan.events, outcome)

    done, piece, growing = 0, 1, True
    seconds_each = float("inf")
    target = _BATCH_SECONDS if plan.simulator.batched else _PIECE_SECONDS
    while done < plan.n and (
        done < 3
        or workers == 0
        or seconds_each * (plan.n - done) < _WORTH_A_POOL_SECONDS
        or (plan.simulator.batched and growing)
    ):
        last = min(done + piece, plan.n)
        tick = time.monotonic()
        yield run_task(plan.simulator.caller, task(done, last))
        # The least seen: first calls pay for imports and caches.
        seconds_each = min(seconds_each, (time.monotonic() - tick) / (last - done))
        before, piece = piece, max(1, min(4 * piece, int(target / max(seconds_each, 1e-7)), 65_536))
        growing = piece > before
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
    yield from run_pool(address, plan.simulator.caller, tasks, min(count, len(tasks)))
