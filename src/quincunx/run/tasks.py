"""A task of a plain simulator: some rows, run one after the other, with exceptions, failures and NaN kept as data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from quincunx.errors import (
    BatchAxisError,
    CommandNotFound,
    NameMismatch,
    ScratchError,
    ShapeMismatch,
    SimulationFailed,
    SomeFailed,
    UnknownPlaceholder,
)
from quincunx.model.caller import Caller
from quincunx.model.design import design_at
from quincunx.model.outcome import Outcome, flatten_outcome
from quincunx.model.probe import said_by
from quincunx.model.told import Told
from quincunx.run.engine import Piece
from quincunx.run.keys import host_rng
from quincunx.run.status import LOST, NON_FINITE, OK, code_of

__all__ = ["IDLE", "Task", "dead", "part_of", "run_task"]

_NO_FAULT_OF_ANY_ROW = (BatchAxisError, CommandNotFound, NameMismatch, ScratchError, UnknownPlaceholder)

IDLE = -1
"""What a marker says when it is at no single row."""


@dataclass(frozen=True)
class Task:
    """Rows to run: everything a worker needs besides the simulator.

    `told` says which entries of what the simulator returns are gold; they are kept where `gold` has their shapes.
    """

    rows: slice
    theta: Mapping[str, np.ndarray]
    design: Mapping[str, np.ndarray] | None
    seed: int
    round: int
    start: int
    events: int | None
    outcome: Outcome
    told: Told | None = None
    gold: Mapping[str, tuple[int, ...]] | None = None


def run_task(caller: Caller, task: Task, *, mark: Callable[[int], None] = lambda row: None) -> Piece:
    """Run some rows one after the other (or as one batch), keeping exceptions and NaN as what they are: data."""
    n = task.rows.stop - task.rows.start
    k = 1 if task.events is None else task.events
    # How many events one call makes: all of a simulation's, where the function is told their number.
    each = k if caller.makes_events else 1
    # A worker that was told where to find the function does not know what else was said of it.
    caller = caller if caller.told == task.told else replace(caller, told=task.told)
    gold = _unknown(task, n * k)
    flat = np.full((n * k, task.outcome.dim), np.nan, np.float32)
    status = np.zeros(n, np.uint8)
    messages: dict[int, str] = {}

    def note(row: int, error: BaseException) -> None:
        status[row] = code_of(error)
        messages[task.rows.start + row] = str(error) if isinstance(error, SimulationFailed) else said_by(error)

    calls = n * k // each
    batches = [np.arange(calls)] if caller.batched else [np.array([i]) for i in range(calls)]
    while batches:
        which = batches.pop()
        events = (which[:, None] * each + np.arange(each)).ravel()
        mark(task.rows.start + int(events[0]) // k if len(which) == 1 else IDLE)
        try:
            flat[events] = _run_some(caller, task, events, each, gold)
        except _NO_FAULT_OF_ANY_ROW:
            raise
        except SomeFailed as some:
            if some.x is not None:
                flat[events] = flatten_outcome(some.x if task.told is None else task.told.rest(some.x, caller.name), 1)
                _keep_gold(task, some.x, events, len(events), caller.name, gold)
            for place, failure in some.failures.items():
                note(int(which[place]) * each // k, failure)
        except (Exception, SystemExit) as error:
            if len(which) > 1:
                # One bad row must not cost its neighbours their outcomes.
                batches += [np.array([i]) for i in which]
                continue
            note(int(events[0]) // k, error)
    finite = np.isfinite(flat).reshape(n, -1).all(axis=1)
    status[(status == OK) & ~finite] = NON_FINITE
    shaped = flat if task.events is None else flat.reshape(n, k, -1)
    return Piece(task.rows, task.outcome.unflatten(shaped), status, messages, gold=_shaped(task, gold))


def _run_some(
    caller: Caller, task: Task, which: np.ndarray, each: int, gold: dict[str, np.ndarray] | None
) -> np.ndarray:
    k = 1 if task.events is None else task.events
    together = task.events is not None and caller.makes_events
    rngs = [
        host_rng(
            task.seed,
            task.round,
            task.start + task.rows.start + int(i) // k,
            None if task.events is None or together else int(i) % k,
        )
        for i in which[::each]
    ]
    rows = which[::each] // k
    if caller.batched:
        theta = {name: value[rows] for name, value in task.theta.items()}
        design = None if task.design is None else {name: value[rows] for name, value in task.design.items()}
        random: Any = rngs
    else:
        row = int(rows[0])
        theta = {name: value[row] for name, value in task.theta.items()}
        design, random = design_at(task.design, row), rngs[0]
    raw = caller.call_for(k, theta, random, design) if together else caller.call(theta, random, design)
    n = len(which) if caller.batched or together else None
    x = caller.tidy(raw, n)
    got = jax.tree.map(lambda a: a.shape if n is None else a.shape[1:], x)
    flat = flatten_outcome(x, 0)[None] if n is None else flatten_outcome(x, 1)
    expected = task.outcome.shapes if task.outcome.keyed else task.outcome.shape_list[0]
    if got != expected:
        raise SimulationFailed("bad_output", f"returned shape {got}; expected {expected} as from the first simulation")
    _keep_gold(task, raw, which, n, caller.name, gold)
    return np.asarray(flat)


def _keep_gold(
    task: Task, raw: Any, which: np.ndarray, n: int | None, name: str, into: dict[str, np.ndarray] | None
) -> None:
    if task.told is None or task.gold is None or into is None:
        return
    try:
        found = task.told.read(raw, n, task.gold, name)
    except ShapeMismatch as error:
        raise SimulationFailed("bad_output", str(error)) from error
    for part, values in found.items():
        into[part][which] = values


def _unknown(task: Task, n: int) -> dict[str, np.ndarray] | None:
    if task.gold is None:
        return None
    return {part: np.full((n, *shape), np.nan, np.float32) for part, shape in task.gold.items()}


def _shaped(task: Task, gold: dict[str, np.ndarray] | None) -> dict[str, np.ndarray] | None:
    if gold is None or task.events is None:
        return gold
    return {part: values.reshape((-1, task.events, *values.shape[1:])) for part, values in gold.items()}


def part_of(task: Task, first: int, last: int) -> Task:
    """The task of rows `first` to `last` of another's."""
    cut = slice(first, last)
    return replace(
        task,
        rows=slice(task.rows.start + first, task.rows.start + last),
        theta={name: value[cut] for name, value in task.theta.items()},
        design=None if task.design is None else {name: value[cut] for name, value in task.design.items()},
    )


_DIED = "the simulation ended its whole process (a crash in compiled code, or out of memory)"


def dead(task: Task, status: int = LOST, said: str = _DIED) -> Piece:
    """What is known of one simulation that ended its process, or had to be ended with it."""
    k = () if task.events is None else (task.events,)
    x = task.outcome.unflatten(np.full((1, *k, task.outcome.dim), np.nan, np.float32))
    gold = _shaped(task, _unknown(task, task.events or 1))
    return Piece(task.rows, x, np.full(1, status, np.uint8), {task.rows.start: said}, gold=gold)
