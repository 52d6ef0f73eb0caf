"""Running a JAX simulator: vectorised, compiled once, in chunks of one size, each row with its own key."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Integer, PRNGKeyArray

from quincunx.model.prior import Prior
from quincunx.model.simulator import Simulator
from quincunx.run.keys import DESIGN, THETA

__all__ = ["Piece", "Plan", "draw_rows", "run_jax"]


@dataclass(frozen=True)
class Plan:
    """What is to be run: `n` simulations numbered from `start` under one round's key.

    `theta` and `design` are given values with a leading axis of n, or None; `design_prior` draws a setting for each.
    """

    simulator: Simulator
    n: int
    key: PRNGKeyArray
    start: int = 0
    theta: Mapping[str, np.ndarray] | None = None
    design: Mapping[str, np.ndarray] | None = None
    design_prior: Prior | None = None
    events: int | None = None


@dataclass(frozen=True)
class Piece:
    """Some rows of a run, done: outcomes, how each went, what was said, and parameters and settings where drawn."""

    rows: slice
    x: Any
    status: np.ndarray
    messages: Mapping[int, str] = field(default_factory=dict)
    theta: Mapping[str, np.ndarray] | None = None
    design: Mapping[str, np.ndarray] | None = None


def run_jax(plan: Plan, size: int) -> Iterator[Piece]:
    """Run a plan in chunks of `size`; the last is filled up with further rows, which are dropped, so that it is not recompiled."""
    waiting: tuple[slice, Any] | None = None
    for first in range(0, plan.n, size):
        rows = slice(first, min(first + size, plan.n))
        indices = np.arange(first, first + size, dtype=np.uint32) + np.uint32(plan.start)
        theta, design = (_chunk_of(given, rows, size) for given in (plan.theta, plan.design))
        done = _run(plan.simulator, plan.key, indices, theta, design, plan.design_prior, plan.events)
        # The next chunk is under way while this one is copied out.
        if waiting is not None:
            yield _piece(*waiting)
        waiting = rows, done
    if waiting is not None:
        yield _piece(*waiting)


def draw_rows(plan: Plan, size: int = 65_536) -> tuple[dict[str, np.ndarray] | None, dict[str, np.ndarray] | None]:
    """The parameters and settings a plan would draw, for simulators that do not run in JAX."""
    thetas, designs = [], []
    size = min(size, 1 << max(0, plan.n - 1).bit_length())
    for first in range(0, plan.n, size):
        keep = min(size, plan.n - first)
        indices = np.arange(first, first + size, dtype=np.uint32) + np.uint32(plan.start)
        prior = plan.simulator.prior if plan.theta is None else None
        theta, design = _draw_jitted(prior, plan.design_prior, plan.key, indices)
        thetas.append(jax.tree.map(lambda a, keep=keep: np.asarray(a)[:keep], theta))
        designs.append(jax.tree.map(lambda a, keep=keep: np.asarray(a)[:keep], design))
    theta, design = (jax.tree.map(lambda *parts: np.concatenate(parts), *drawn) for drawn in (thetas, designs))
    return theta, design


def _draw(
    prior: Prior | None, design_prior: Prior | None, key: PRNGKeyArray, indices: Integer[Array | np.ndarray, " c"]
) -> tuple[Any, Any]:
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(indices)

    def drawn(from_: Prior | None, tag: int) -> Any:
        return None if from_ is None else jax.vmap(lambda k: from_.sample(key=jax.random.fold_in(k, tag)))(keys)

    return drawn(prior, THETA), drawn(design_prior, DESIGN)


_draw_jitted = eqx.filter_jit(_draw)


@eqx.filter_jit
def _run(
    simulator: Simulator,
    key: PRNGKeyArray,
    indices: Integer[Array | np.ndarray, " c"],
    theta: Any,
    design: Any,
    design_prior: Prior | None,
    events: int | None,
) -> tuple[Any, Any, Any, Any]:
    drawn_theta, drawn_design = _draw(simulator.prior if theta is None else None, design_prior, key, indices)
    theta = drawn_theta if theta is None else theta
    design = drawn_design if design_prior is not None else design
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(indices)
    if events is None:
        x = simulator.run_batch(theta, keys, design)
    else:
        inner = jax.vmap(lambda k: jax.vmap(lambda j: jax.random.fold_in(k, j))(jnp.arange(events)))(keys)
        theta, design = jax.tree.map(lambda a: jnp.repeat(a, events, axis=0), (theta, design))
        x = simulator.run_batch(theta, inner.reshape(-1), design)
        x = jax.tree.map(lambda a: a.reshape((len(indices), events, *a.shape[1:])), x)
    finite = [jnp.isfinite(a).reshape(len(indices), -1).all(axis=1) for a in jax.tree.leaves(x)]
    failed = ~jnp.stack(finite).all(axis=0)
    return x, failed, drawn_theta, drawn_design


def _chunk_of(given: Mapping[str, np.ndarray] | None, rows: slice, size: int) -> Any:
    if given is None:
        return None
    # The last row stands in for rows beyond the end.
    where = np.minimum(np.arange(rows.start, rows.start + size), rows.stop - 1)
    return {name: np.asarray(value[where]) for name, value in given.items()}


def _piece(rows: slice, done: tuple[Any, Any, Any, Any]) -> Piece:
    keep = rows.stop - rows.start
    x, failed, theta, design = jax.tree.map(lambda a: np.asarray(a)[:keep], done)
    return Piece(rows, x, failed.astype(np.uint8), {}, theta, design)
