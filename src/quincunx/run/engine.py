"""Running a JAX simulator: vectorised, compiled once, in chunks of one size, each row with its own key."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Integer, PRNGKeyArray, Shaped

from quincunx.model.caller import Caller
from quincunx.model.prior import Prior
from quincunx.model.simulator import Simulator
from quincunx.run.keys import DESIGN, THETA
from quincunx.run.mining import Vein

__all__ = ["Piece", "Plan", "draw_rows", "run_jax"]


@dataclass(frozen=True)
class Plan:
    """What is to be run: `n` simulations numbered from `start` under one round's key.

    `theta` and `design` are given values with a leading axis of n, or None; `design_prior` draws a setting for each. `vein` says what gold
    is mined on the way, `told` whether the gold that a plain simulator tells is kept.
    """

    simulator: Simulator
    n: int
    key: PRNGKeyArray
    start: int = 0
    theta: Mapping[str, np.ndarray] | None = None
    design: Mapping[str, np.ndarray] | None = None
    design_prior: Prior | None = None
    events: int | None = None
    vein: Vein | None = None
    told: bool = False


@dataclass(frozen=True)
class Piece:
    """Some rows of a run, done: outcomes, how each went, what was said, parameters and settings where drawn, gold and latents where mined."""

    rows: slice
    x: Any
    status: np.ndarray
    messages: Mapping[int, str] = field(default_factory=dict)
    theta: Mapping[str, np.ndarray] | None = None
    design: Mapping[str, np.ndarray] | None = None
    gold: Mapping[str, np.ndarray] | None = None
    latents: Mapping[str, np.ndarray] | None = None


def run_jax(plan: Plan, size: int) -> Iterator[Piece]:
    """Run a plan in chunks of `size`; the last is filled up with rows to drop, so that it is not compiled anew."""
    caller = plan.simulator.caller
    waiting: tuple[slice, Any] | None = None
    for first in range(0, plan.n, size):
        rows = slice(first, min(first + size, plan.n))
        indices = np.arange(first, first + size, dtype=np.uint32) + np.uint32(plan.start)
        keys = _row_keys(plan.key, indices)
        drawn_theta, drawn_design = _draw(plan, indices)
        theta, design = (_chunk_of(given, rows, size) for given in (plan.theta, plan.design))
        theta = drawn_theta if theta is None else theta
        design = drawn_design if design is None else design
        if plan.events is None:
            done = _run(caller, plan.vein, theta, keys, design)
        else:
            done = _run_events(caller, plan.vein, theta, _event_keys(keys, plan.events), design)
        # The next chunk is under way while this one is copied out.
        if waiting is not None:
            yield _piece(*waiting)
        waiting = rows, (*done, drawn_theta, drawn_design)
    if waiting is not None:
        yield _piece(*waiting)


def draw_rows(plan: Plan) -> tuple[dict[str, np.ndarray] | None, dict[str, np.ndarray] | None]:
    """The parameters and settings a plan would draw, for simulators that do not run in JAX."""
    # Few cost as much as a thousand, and are not compiled anew for every number of rows.
    size = max(1024, min(65_536, 1 << max(0, plan.n - 1).bit_length()))
    chunks = []
    for first in range(0, plan.n, size):
        keep = min(size, plan.n - first)
        drawn = _draw(plan, np.arange(first, first + size, dtype=np.uint32) + np.uint32(plan.start))
        chunks.append(jax.tree.map(lambda a, keep=keep: np.asarray(a)[:keep], drawn))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *chunks)


def _draw(plan: Plan, indices: Integer[np.ndarray, " c"]) -> tuple[Any, Any]:
    def drawn(prior: Prior, tag: int) -> dict[str, Array]:
        return _sample_rows(prior, _row_keys(jax.random.fold_in(plan.key, tag), indices))

    theta = drawn(plan.simulator.prior, THETA) if plan.theta is None else None
    return theta, None if plan.design_prior is None else drawn(plan.design_prior, DESIGN)


# Deriving keys, drawing parameters and simulating are compiled apart: the first serves every simulator, the second every
# simulator with the same prior.


@jax.jit
def _row_keys(key: PRNGKeyArray, indices: Integer[Array | np.ndarray, " c"]) -> Shaped[Array, " c"]:
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(indices)


@partial(jax.jit, static_argnums=1)
def _event_keys(keys: Shaped[Array, " c"], events: int) -> Shaped[Array, "c events"]:
    return jax.vmap(lambda k: jax.vmap(lambda j: jax.random.fold_in(k, j))(jnp.arange(events)))(keys)


@eqx.filter_jit
def _sample_rows(prior: Prior, keys: Shaped[Array, " c"]) -> dict[str, Array]:
    return jax.vmap(lambda k: prior.sample(key=k))(keys)


@eqx.filter_jit
def _run(caller: Caller, vein: Vein | None, theta: Any, keys: Shaped[Array, " c"], design: Any) -> tuple[Any, ...]:
    return _outcomes(caller, vein, theta, keys, design)


@eqx.filter_jit
def _run_events(
    caller: Caller, vein: Vein | None, theta: Any, keys: Shaped[Array, "c events"], design: Any
) -> tuple[Any, ...]:
    rows, events = keys.shape
    theta, design = jax.tree.map(lambda a: jnp.repeat(a, events, axis=0), (theta, design))
    x, _, gold, latents = _outcomes(caller, vein, theta, keys.reshape(-1), design)
    x, gold, latents = jax.tree.map(lambda a: a.reshape((rows, events, *a.shape[1:])), (x, gold, latents))
    return x, _failed(x), gold, latents


def _outcomes(caller: Caller, vein: Vein | None, theta: Any, keys: Array, design: Any) -> tuple[Any, ...]:
    if vein is None:
        x = caller.run_batch(theta, keys, design)
        return x, _failed(x), {}, {}
    x, gold, latents = vein.run(caller, theta, keys, design)
    return x, _failed(x), gold, latents


def _failed(x: Any) -> Array:
    finite = [jnp.isfinite(a).reshape(len(a), -1).all(axis=1) for a in jax.tree.leaves(x)]
    return ~jnp.stack(finite).all(axis=0)


def _chunk_of(given: Mapping[str, np.ndarray] | None, rows: slice, size: int) -> Any:
    if given is None:
        return None
    # The last row stands in for rows beyond the end.
    where = np.minimum(np.arange(rows.start, rows.start + size), rows.stop - 1)
    return {name: np.asarray(value[where]) for name, value in given.items()}


def _piece(rows: slice, done: tuple[Any, ...]) -> Piece:
    keep = rows.stop - rows.start
    x, failed, gold, latents, theta, design = jax.tree.map(lambda a: np.asarray(a)[:keep], done)
    return Piece(rows, x, failed.astype(np.uint8), {}, theta, design, gold or None, latents or None)
