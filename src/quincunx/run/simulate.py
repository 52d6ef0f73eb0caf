"""Draw parameters, run the simulator, keep every outcome and every failure."""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from quincunx._verb import make_callable
from quincunx.errors import (
    AllSimulationsFailed,
    FailureWarning,
    Interrupted,
    QuincunxWarning,
    ShapeMismatch,
    UsageError,
)
from quincunx.model.assay import assay
from quincunx.model.design import design_at, spread_design
from quincunx.model.outcome import Outcome, flatten_outcome
from quincunx.model.prior import Prior
from quincunx.model.probe import check_values, look, one_design
from quincunx.model.reference import Reference
from quincunx.model.simulator import Simulator
from quincunx.run.chunks import MEMORY, chunk_size, working_bytes
from quincunx.run.engine import Piece, Plan, draw_rows, run_jax
from quincunx.run.host import run_host
from quincunx.run.keys import round_key, run_seed
from quincunx.run.mining import COSTS, check_gold_values, tells, vein_of
from quincunx.run.simulations import Simulations
from quincunx.run.status import counted
from quincunx.values import as_key

__all__ = ["simulate"]

Progress = Callable[[dict[str, Any]], None]

_MESSAGES = 1000
_HOPELESS = 1000
"""So many failures without one success end a run."""


def simulate(
    simulator: Simulator,
    n: int | None = None,
    *,
    key: int | np.integer | PRNGKeyArray,
    design: Mapping[str, Any] | Prior | None = None,
    events: int | None = None,
    theta: Mapping[str, Any] | None = None,
    gold: bool | Reference = False,
    latents: bool = False,
    round: int = 0,
    start: int = 0,
    workers: int | None = None,
    memory: int = MEMORY,
    progress: Progress | None = None,
) -> Simulations:
    """Run a simulator `n` times, at parameters drawn from its prior or at given ones.

    Simulation i has the key fold_in(fold_in(key, round), start + i): its outcome is the same whatever n, the chunking
    or the number of workers, so that `simulate(..., start=1000)` goes on where a run of 1000 ended.

    Args:
        design: settings of the experiment: the same for all, arrays with a leading axis of n, or a `Prior` to draw
        them from. events: k gives k independent outcomes for each theta, and x an axis (n, k, ...).
        theta: parameters by name with a leading axis, instead of draws from the prior.
        gold: True to keep the joint score of every row; a `Reference` to keep the joint log-ratio to it too, with half of the
        rows drawn from the reference (`gold["label"]` 0: their x is not drawn at their theta). latents: keep them.
        workers: processes for a plain Python simulator; by default as many as cores where it pays, 0 for none.
        memory: bytes one chunk of a JAX simulator may take.
        progress: is told {"done", "total", "failed", "rate"} as it goes.

    Raises:
        NameMismatch, ShapeMismatch, SimulatorError, BatchAxisError: as `probe`.
        AllSimulationsFailed: if not one simulation gives a finite outcome.
        NoGold, NonFiniteGold, OutsideReference: for gold that is not there or not finite, or a reference that cannot serve.
        MovingSupport, UnusedParameter, DirectDependence: for gold that would be wrong (see `quincunx.model.assay`).
        Interrupted: on Ctrl-C before anything is done; later, what is done is returned with `stopped` set.

    Warns with `FailureWarning` if some simulations fail; they are kept and marked in `status`.

    >>> import numpyro.distributions as dist
    >>> from quincunx.model import wrap
    >>> prior = Prior(mu=dist.Normal(0.0, 1.0))
    >>> bell = wrap(lambda theta, *, key: theta["mu"] + jax.random.normal(key, (2,)), prior, name="bell")
    >>> simulate(bell, 100, key=0)
    Simulations of bell: 100, none failed
      theta  mu ()
      x      (2,)
    """
    key = as_key(key)
    given = _given_theta(simulator, theta)
    n = _count(n, given)
    if events is not None and events < 1:
        raise UsageError(
            f"got events={events}; expected a number of independent outcomes, at least 1; leave it out for one"
        )
    spread = None if isinstance(design, Prior) else spread_design(design, n)
    settings = one_design(design, key) if isinstance(design, Prior) else design_at(spread, 0)
    seen = look(simulator, key=jax.random.fold_in(key, 0x6C6F6F6B), design=settings)
    told = tells(simulator, gold, latents)
    vein = None if told else vein_of(simulator, gold, latents, events)
    if vein is not None and vein.mined:
        assay(simulator, key=0, design=settings)
    plan = Plan(
        simulator,
        n,
        round_key(key, round),
        start,
        given,
        spread,
        design if isinstance(design, Prior) else None,
        events,
        vein,
        told,
    )
    if simulator.kind == "jax":
        each = (events or 1) * (working_bytes(seen.program) + 16 * seen.outcome.dim + 8 * simulator.prior.dim + 64)
        each = each if not simulator.batched else max(1, each // 7)
        each = each if vein is None else COSTS * each
        pieces = run_jax(plan, chunk_size(n, each, memory))
    else:
        drawn_theta, drawn_design = draw_rows(plan)
        rows, settings = given or drawn_theta or {}, spread if drawn_design is None else drawn_design
        plan = replace(plan, theta=rows, design=settings)
        pieces = run_host(plan, rows, settings, seen.outcome, run_seed(key), round, workers)
    sims = _collect(plan, pieces, seen.outcome, progress)
    flat = sims.x_flat()
    check_values(flat.reshape(-1, flat.shape[-1]), sims.outcome, simulator.name)
    if sims.gold is not None:
        check_gold_values(sims.gold, sims.theta, ~sims.failed, simulator.name)
    _tell_failures(sims)
    return sims


def _given_theta(simulator: Simulator, theta: Mapping[str, Any] | None) -> dict[str, np.ndarray] | None:
    if theta is None:
        return None
    leading = simulator.prior.check(theta)
    if len(leading) != 1:
        raise ShapeMismatch(
            f"got parameters with leading axes {leading}; expected one, a row for each simulation; add or flatten axes"
        )
    return {name: np.asarray(theta[name], np.float32) for name in simulator.prior.names}


def _count(n: int | None, given: Mapping[str, np.ndarray] | None) -> int:
    rows = None if given is None else len(next(iter(given.values())))
    total = rows if n is None else n
    if total is None:
        raise UsageError(
            "got neither a number of simulations nor parameters; expected one; write simulate(simulator, 1000, key=0)"
        )
    if n is not None and rows is not None and n != rows:
        raise UsageError(f"got n={n} and {rows} given parameters; expected the same number; leave n out")
    if total < 1:
        raise UsageError(f"got n={total} simulations; expected at least 1; choose a larger number")
    return int(total)


def _collect(plan: Plan, pieces: Iterator[Piece], outcome: Outcome, progress: Progress | None) -> Simulations:
    """Write the pieces into arrays made once; after Ctrl-C, keep the rows that are done."""
    n, k = plan.n, () if plan.events is None else (plan.events,)
    shapes = outcome.shapes
    arrays = {name: np.empty((n, *k, *shape), np.float32) for name, shape in shapes.items()}
    x: Any = arrays if outcome.keyed else arrays[outcome.names[0]]
    theta: Any = dict(plan.theta) if plan.theta is not None else None
    design = dict(plan.design) if plan.design is not None else None
    gold: Any = None
    latents: Any = None
    status, done = np.zeros(n, np.uint8), np.zeros(n, bool)
    messages: dict[int, str] = {}
    stopped = None
    failed = finished = 0
    began = told = time.monotonic()
    try:
        for piece in pieces:
            rows = piece.rows
            jax.tree.map(lambda into, part, rows=rows: into.__setitem__(rows, part), x, piece.x)
            theta = _fill(theta, piece.theta, rows, n)
            design = _fill(design, piece.design, rows, n)
            gold = _fill(gold, piece.gold, rows, n)
            latents = _fill(latents, piece.latents, rows, n)
            status[rows], done[rows] = piece.status, True
            room = _MESSAGES - len(messages)
            messages.update(list(piece.messages.items())[: max(0, room)])
            finished += rows.stop - rows.start
            failed += int((piece.status != 0).sum())
            now = time.monotonic()
            if progress is not None and (now - told > 0.1 or finished == n):
                told = now
                progress({"done": finished, "total": n, "failed": failed, "rate": finished / max(now - began, 1e-9)})
            if failed == finished and (finished >= _HOPELESS or finished == n):
                _refuse_hopeless(plan, x, done, messages, outcome)
    except KeyboardInterrupt:
        if not done.any():
            raise Interrupted(f"interrupted before the first of {n} simulations was done") from None
        stopped = "interrupted"
        warnings.warn(
            f"interrupted after {int(done.sum())} of {n} simulations, which are kept; run the others with "
            f"start={int(done.sum())}"
            if done[: int(done.sum())].all()
            else f"interrupted after {int(done.sum())} of {n} simulations, which are kept",
            QuincunxWarning,
            stacklevel=3,
        )
    sims = Simulations(
        theta,
        x,
        status,
        np.arange(plan.start, plan.start + n),
        outcome,
        plan.simulator.prior,
        design,
        gold,
        latents,
        events=plan.events is not None,
        simulator=f"{plan.simulator.name} {plan.simulator.version}"
        if plan.simulator.version != "0"
        else plan.simulator.name,
        messages=messages,
    )
    return sims if stopped is None else replace(sims[done], stopped=stopped)


def _fill(into: Any, part: Any, rows: slice, n: int) -> Any:
    if part is None:
        return into
    if into is None:
        into = {name: np.zeros((n, *value.shape[1:]), value.dtype) for name, value in part.items()}
    for name, value in part.items():
        into[name][rows] = value
    return into


def _refuse_hopeless(plan: Plan, x: Any, done: np.ndarray, messages: Mapping[int, str], outcome: Outcome) -> None:
    count, name = int(done.sum()), plan.simulator.name
    if messages:
        first = "; ".join(list(dict.fromkeys(messages.values()))[:3])
        raise AllSimulationsFailed(
            f"all of {count} simulations of '{name}' failed ({first}); expected finite outcomes; "
            "call it once at a known parameter, and check the prior's range"
        )
    flat = np.asarray(flatten_outcome(jax.tree.map(lambda a: a[done], x), 1 if plan.events is None else 2))
    check_values(flat.reshape(-1, flat.shape[-1]), outcome, name)


def _tell_failures(sims: Simulations) -> None:
    bad = int(sims.failed.sum())
    if not bad:
        return
    table = sims.failures()
    worst = max(table, key=lambda column: abs(table[column]["above"] - 0.5), default=None)
    linked = ""
    if worst is not None and abs(table[worst]["above"] - 0.5) > 0.15:
        side = "high" if table[worst]["above"] > 0.5 else "low"
        medians = f"median {table[worst]['failed']:.3g} against {table[worst]['worked']:.3g} where they work"
        linked = f", mostly at {side} {worst} ({medians})"
    first = f"; the first said: {next(iter(sims.messages.values()))}" if sims.messages else ""
    warnings.warn(
        f"{bad} of {len(sims)} simulations ({100 * bad / len(sims):.3g} %) failed "
        f"({counted(sims.status)}){linked}"
        f"{first}; they are kept and marked in `status`; see `failures()`",
        FailureWarning,
        stacklevel=3,
    )


# The function and its module share a name: whichever of them `quincunx.run.simulate` is, it can be called.
make_callable(__name__, simulate)
