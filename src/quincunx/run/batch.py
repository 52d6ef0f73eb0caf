"""The unit of work: some simulations of a round, run wherever this is called, written to a shard of their own."""

import json
import threading
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from quincunx.errors import QuincunxWarning
from quincunx.model.design import design_at
from quincunx.model.outcome import Outcome
from quincunx.model.probe import Look, look
from quincunx.model.simulator import Simulator
from quincunx.run.chunks import MEMORY, chunk_size, working_bytes
from quincunx.run.clean import CleanPool
from quincunx.run.engine import Piece, Plan, draw_rows, run_jax
from quincunx.run.keys import key_of, round_key, run_seed
from quincunx.run.mining import COSTS, check_gold_values, tells, vein_of
from quincunx.run.order import gold_in
from quincunx.run.parcel import address_in, simulator_in
from quincunx.run.pool import run_alone
from quincunx.run.shards import Shard, write_shard
from quincunx.run.simulations import Simulations
from quincunx.run.tasks import Task, run_task

__all__ = ["Batch", "Done", "Resident", "run_batch", "run_batch_alone"]

# A compiled program has all cores to itself; what others do meanwhile is write their shards.
_computing = threading.Lock()


@dataclass(frozen=True, eq=False)
class Resident:
    """A simulator for batches that stay in this process, told from others by being the same object."""

    simulator: Simulator


@dataclass(frozen=True)
class Batch:
    """Simulations `first` ... `first + n - 1` of a round, and everything that a process needs to run them, as text and numbers.

    `simulator` is a parcel of `parcel_of`, or a `Resident`; `key` the run's, by `key_text`; `design` the settings of all of them, as JSON;
    `folder` that of the shards; `facts` go into the shard's header; `gold` is what is mined on the way, by `gold_text`, and `latents` whether
    they are kept. Gold is assayed by whoever hands batches out, not here.
    """

    simulator: str | Resident
    key: str
    round: int
    first: int
    n: int
    folder: str
    design: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    gold: str | None = None
    latents: bool = False


@dataclass(frozen=True)
class Done:
    """What comes back of a batch: its shard's metadata, and how long its simulations took."""

    shard: Shard
    seconds: float


def run_batch(batch: Batch) -> Done:
    """Run a batch and write its shard; the same batch anywhere and at any time gives the same simulations.

    Simulations that fail are data: they are in the shard with their status, also when all of them do.

    Raises:
        CannotTravel: if the simulator is not found in this process.
        NoGold, NonFiniteGold, OutsideReference: for gold that is not there or not finite.
        SimulatorError, CommandNotFound, DiskFull and others: for what is no fault of any one simulation.

    >>> import tempfile, quincunx as qx
    >>> from quincunx.run.parcel import parcel_of
    >>> parcel = parcel_of(qx.gallery.load("two_moons").simulator)
    >>> run_batch(Batch(parcel, "0", 0, 100, 50, tempfile.mkdtemp())).shard.rows
    50
    """
    simulator, design = _simulator(batch), _design(batch)
    with warnings.catch_warnings():
        # Everything a batch could warn of is said once, by the one who handed it out.
        warnings.simplefilter("ignore", QuincunxWarning)
        seen = _seen(batch.simulator, batch.key, batch.design)
        if simulator.kind == "jax":
            plan = _plan(batch, simulator, design)
            each = working_bytes(seen.program) + 16 * seen.outcome.dim + 8 * simulator.prior.dim + 64
            each = each if not simulator.batched else max(1, each // 7)
            each = each if plan.vein is None else COSTS * each
            with _computing:
                began = time.perf_counter()
                pieces = list(run_jax(plan, chunk_size(batch.n, each, MEMORY)))
            theta = _joined([piece.theta for piece in pieces])
        else:
            theta, task = _task(batch, simulator, design, seen.outcome)
            began = time.perf_counter()
            pieces = [run_task(simulator.caller, task)]
        seconds = time.perf_counter() - began
    return Done(_write(batch, simulator, seen.outcome, theta, design, pieces), seconds)


def run_batch_alone(batch: Batch, timeout: float | None = None) -> Done:
    """Run a batch in processes of its own, one at a time, so that whatever a simulation does to its process is found and marked.

    A simulation that ends its process twice has the status lost, one that is not done within `timeout` seconds timeout. The
    others have the outcomes they have anywhere.

    Raises:
        BrokenProcessPool: if processes end before any simulation is begun. Others as `run_batch`.

    >>> import tempfile, quincunx as qx
    >>> from quincunx.run.parcel import parcel_of
    >>> parcel = parcel_of(qx.gallery.load("galton_generalised").simulator)
    >>> run_batch_alone(Batch(parcel, "0", 0, 0, 3, tempfile.mkdtemp())).shard.failed
    0
    """
    simulator, design = _simulator(batch), _design(batch)
    began = time.perf_counter()
    if simulator.kind == "jax":
        with CleanPool(1) as pool:
            return pool.submit(run_batch, batch).result(timeout)
    with CleanPool(1) as pool:
        outcome = pool.submit(_outcome, batch).result(timeout)
    theta, task = _task(batch, simulator, design, outcome)
    pieces = sorted(
        run_alone(address_in(str(batch.simulator)), None, [task], timeout=timeout), key=lambda piece: piece.rows.start
    )
    shard = _write(batch, simulator, outcome, theta, design, pieces)
    return Done(shard, time.perf_counter() - began)


def _simulator(batch: Batch) -> Simulator:
    return batch.simulator.simulator if isinstance(batch.simulator, Resident) else simulator_in(batch.simulator)


def _design(batch: Batch) -> dict[str, np.ndarray] | None:
    """A round's settings for every one of its simulations; an axis as long as the batch is no axis of simulations."""
    told = json.loads(batch.design or "{}")
    values = {name: np.asarray(value) for name, value in told.items()}
    single = {name: a.astype(np.float32) if a.dtype.kind == "f" else a for name, a in values.items()}
    return {name: np.broadcast_to(a, (batch.n, *a.shape)) for name, a in single.items()} or None


@lru_cache(maxsize=16)
def _seen(simulator: str | Resident, key: str, design: str | None) -> Look:
    """What outcomes look like, found out once in each process, always by the same trials."""
    one = Batch(simulator, key, 0, 0, 1, "", design)
    trial = jax.random.fold_in(key_of(key), 0x6C6F6F6B)
    return look(_simulator(one), key=trial, design=design_at(_design(one), 0))


def _outcome(batch: Batch) -> Outcome:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QuincunxWarning)
        return _seen(batch.simulator, batch.key, batch.design).outcome


def _plan(batch: Batch, simulator: Simulator, design: Any) -> Plan:
    asked = gold_in(batch.gold), batch.latents
    told = tells(simulator, *asked)
    vein = None if told else vein_of(simulator, *asked, None)
    key = round_key(key_of(batch.key), batch.round)
    return Plan(simulator, batch.n, key, batch.first, None, design, vein=vein, told=told)


def _task(batch: Batch, simulator: Simulator, design: Any, outcome: Outcome) -> tuple[dict[str, np.ndarray], Task]:
    """The parameters, and all rows as one task: a batch is as large as it pays to hand to one process."""
    plan = _plan(batch, simulator, design)
    theta, told = draw_rows(plan)[0] or {}, simulator.caller.told
    shapes = told.shapes(simulator.prior) if told is not None and plan.told else None
    rows, seed = slice(0, batch.n), run_seed(key_of(batch.key))
    return theta, Task(rows, theta, design, seed, batch.round, batch.first, None, outcome, told, shapes)


def _joined(parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else jax.tree.map(lambda *some: np.concatenate(some), *parts)


def _write(batch: Batch, simulator: Simulator, outcome: Outcome, theta: Any, design: Any, pieces: list[Piece]) -> Shard:
    sims = Simulations(
        theta,
        _joined([piece.x for piece in pieces]),
        np.concatenate([piece.status for piece in pieces]),
        np.arange(batch.first, batch.first + batch.n),
        outcome,
        simulator.prior,
        design,
        _joined([piece.gold for piece in pieces]),
        _joined([piece.latents for piece in pieces]),
        simulator=f"{simulator.name} {simulator.version}" if simulator.version != "0" else simulator.name,
        messages={row: said for piece in pieces for row, said in piece.messages.items()},
    )
    if sims.gold is not None:
        check_gold_values(sims.gold, sims.theta, ~sims.failed, simulator.name)
    return write_shard(sims, batch.folder, key=key_of(batch.key), round=batch.round, facts=batch.facts)
