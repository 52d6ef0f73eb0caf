"""A task of a plain simulator: some rows, run one after the other, with exceptions, failures and NaN kept as data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
import numpy as np

from quincunx.errors import (
    BatchAxisError,
    CommandNotFound,
    NameMismatch,
    ScratchError,
    SimulationFailed,
    SomeFailed,
    UnknownPlaceholder,
)
from quincunx.model.caller import Caller
from quincunx.model.design import design_at
from quincunx.model.outcome import Outcome, flatten_outcome
from quincunx.model.probe import said_by
from quincunx.run.engine import Piece
from quincunx.run.keys import host_rng
from quincunx.run.status import LOST, NON_FINITE, OK, code_of

__all__ = ["IDLE", "Task", "dead", "part_of", "run_task"]

_NO_FAULT_OF_ANY_ROW = (BatchAxisError, CommandNotFound, NameMismatch, ScratchError, UnknownPlaceholder)

IDLE = -1
"""What a marker says when it is at no single row."""


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


def run_task(caller: Caller, task: Task, *, mark: Callable[[int], None] = lambda row: None) -> Piece:
    """Run some rows one after the other (or as one batch), keeping exceptions and NaN as what they are: data."""
    n = task.rows.stop - task.rows.start
    k = 1 if task.events is None else task.events
    flat = np.full((n * k, task.outcome.dim), np.nan, np.float32)
    status = np.zeros(n, np.uint8)
    messages: dict[int, str] = {}

    def note(row: int, error: BaseException) -> None:
        status[row] = code_of(error)
        messages[task.rows.start + row] = str(error) if isinstance(error, SimulationFailed) else said_by(error)

    batches = [np.arange(n * k)] if caller.batched else [np.array([i]) for i in range(n * k)]
    while batches:
        which = batches.pop()
        mark(task.rows.start + int(which[0]) // k if len(which) == 1 else IDLE)
        try:
            flat[which] = _run_some(caller, task, which, k)
        except _NO_FAULT_OF_ANY_ROW:
            raise
        except SomeFailed as some:
            if some.x is not None:
                flat[which] = flatten_outcome(some.x, 1)
            for place, failure in some.failures.items():
                note(int(which[place]) // k, failure)
        except (Exception, SystemExit) as error:
            if len(which) > 1:
                # One bad row must not cost its neighbours their outcomes.
                batches += [np.array([i]) for i in which]
                continue
            note(int(which[0]) // k, error)
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
        raise SimulationFailed("bad_output", f"returned shape {got}; expected {expected} as from the first simulation")
    return np.asarray(flat)


def part_of(task: Task, first: int, last: int) -> Task:
    """The task of rows `first` to `last` of another's."""
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


_DIED = "the simulation ended its whole process (a crash in compiled code, or out of memory)"


def dead(task: Task, status: int = LOST, said: str = _DIED) -> Piece:
    """What is known of one simulation that ended its process, or had to be ended with it."""
    k = () if task.events is None else (task.events,)
    x = task.outcome.unflatten(np.full((1, *k, task.outcome.dim), np.nan, np.float32))
    return Piece(task.rows, x, np.full(1, status, np.uint8), {task.rows.start: said})
