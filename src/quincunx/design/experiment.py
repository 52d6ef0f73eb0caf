"""One or several experiments as slots, and the outcomes that simulations give in them: the common ground of all estimators."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from quincunx.design.belief import Belief
from quincunx.design.density import Density
from quincunx.design.space import stack_designs
from quincunx.errors import AllSimulationsFailed, UsageError
from quincunx.infer.likelihood import named_double
from quincunx.model import Simulator
from quincunx.run import simulate

__all__ = ["Question", "Slots", "Events", "outcomes_at"]

Events = int | Callable[[dict[str, Any]], int]


@dataclass(frozen=True, eq=False)
class Slots:
    """E independent events, each with settings of its own, (E,) by name or (E, length) for vectors; `mask` is 0 in slots that stay empty.

    n events at one design are n slots alike; a batch of designs puts them side by side. Slots are padded to one number, so
    that designs with different numbers of events share what is compiled.
    """

    settings: dict[str, Float[np.ndarray, "e ..."]]
    mask: Float[np.ndarray, " e"]

    @classmethod
    def of(cls, designs: Sequence[Mapping[str, Any]], counts: Sequence[int], size: int | None = None) -> "Slots":
        """Slots of one or several designs with their numbers of events, padded to `size` by empty slots at the last design."""
        used = sum(counts)
        size = used if size is None else size
        rows = [design for design, count in zip(designs, counts, strict=True) for _ in range(count)]
        rows += [designs[-1]] * (size - used)
        return cls(stack_designs(rows), (np.arange(size) < used).astype(np.float64))

    @property
    def count(self) -> int:
        """How many events there are."""
        return int(self.mask.sum())


@dataclass(frozen=True, eq=False)
class Question:
    """What an estimator is asked: N outer draws and M inner draws of the belief, the density if there is one, and the key of the noise.

    All of it is the same for every design, so that designs are compared on common random numbers.
    """

    simulator: Simulator
    belief: Belief
    density: Density | None
    outer: Float[np.ndarray, "n d"]
    inner: Float[np.ndarray, "m d"]
    key: PRNGKeyArray

    def outcomes(self, slots: Slots) -> tuple[Any, Bool[np.ndarray, " n"]]:
        """Outcomes (N, E, ...) at the outer draws, and which rows have finite ones in all slots that are used."""
        return outcomes_at(self.simulator, self.outer, slots, key=self.key)


def event_counts(events: Events, designs: Sequence[Mapping[str, Any]]) -> list[int]:
    """The number of events at each design.

    Raises:
        UsageError: if one is not at least 1.

    >>> event_counts(lambda design: int(10 * design["hours"]), [{"hours": 1.0}, {"hours": 2.5}])
    [10, 25]
    """
    counts = [int(events(dict(design))) if callable(events) else int(events) for design in designs]
    if min(counts) < 1:
        raise UsageError(
            f"got {min(counts)} events at a design; expected at least 1; leave out designs that measure nothing"
        )
    return counts


def outcomes_at(
    simulator: Simulator, theta: Float[np.ndarray, "n d"], slots: Slots, *, key: PRNGKeyArray
) -> tuple[Any, Bool[np.ndarray, " n"]]:
    """Outcomes (N, E, ...) of every theta in every slot; slot e of row i has a key of its own, the same for all designs.

    Raises:
        AllSimulationsFailed: if no row has finite outcomes. UsageError: for settings that the simulator does not take, or misses.
    """
    n, e = len(theta), len(slots.mask)
    named = {name: value.astype(np.float32) for name, value in named_double(simulator.prior, theta).items()}
    settings = {name: value.astype(np.float32) for name, value in slots.settings.items()} if slots.settings else None
    simulator.caller.check_design(settings)
    if simulator.kind == "jax":
        x = jax.tree.map(np.asarray, _outcomes(simulator.caller, named, key, settings, jnp.asarray(slots.mask)))
    elif simulator.caller.makes_events:
        x = _together(simulator, named, slots, key=key)
    else:
        rows = {name: np.repeat(value, e, axis=0) for name, value in named.items()}
        tiled = None if settings is None else {name: np.concatenate([value] * n) for name, value in settings.items()}
        sims = simulate(simulator, theta=rows, key=key, design=tiled)
        x = jax.tree.map(
            lambda a: a.reshape(n, e, *a.shape[1:]), dict(sims.x) if isinstance(sims.x, Mapping) else sims.x
        )
    good = [np.isfinite(leaf).reshape(n, e, -1).all(axis=2) | (slots.mask == 0) for leaf in jax.tree.leaves(x)]
    ok = np.logical_and.reduce(good).all(axis=1)
    if not ok.any():
        raise AllSimulationsFailed(
            f"all of {n} simulations of '{simulator.name}' failed at {slots.settings}; expected finite outcomes; leave this design out"
        )
    return x, ok


def _together(simulator: Simulator, theta: dict[str, np.ndarray], slots: Slots, *, key: PRNGKeyArray) -> Any:
    """One call for each theta and each run of slots with the same settings; those that stay empty repeat the last event."""
    used = slots.count
    settings = {name: value[:used].astype(np.float32) for name, value in slots.settings.items()}
    differs = [(value[1:] != value[:-1]).reshape(used - 1, -1).any(axis=1) for value in settings.values()]
    starts = [0, *(np.flatnonzero(np.logical_or.reduce(differs)) + 1 if differs else [])]
    parts = []
    for number, (start, stop) in enumerate(zip(starts, [*starts[1:], used], strict=True)):
        design = {name: value[start] for name, value in settings.items()} or None
        own = jax.random.fold_in(key, number)
        sims = simulate(simulator, theta=theta, events=int(stop - start), design=design, key=own)
        parts.append(dict(sims.x) if isinstance(sims.x, Mapping) else sims.x)
    where = np.minimum(np.arange(len(slots.mask)), used - 1)
    return jax.tree.map(lambda *some: np.concatenate(some, axis=1)[:, where], *parts)


@eqx.filter_jit
def _outcomes(caller: Any, theta: dict[str, Array], key: PRNGKeyArray, settings: Any, mask: Array) -> Any:
    n, e = len(next(iter(theta.values()))), len(mask)
    rows = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(n))
    keys = jax.vmap(lambda k: jax.vmap(lambda j: jax.random.fold_in(k, j))(jnp.arange(e)))(rows).reshape(-1)
    repeated = {name: jnp.repeat(value, e, axis=0) for name, value in theta.items()}
    tiled = (
        None
        if settings is None
        else {name: jnp.tile(value, (n,) + (1,) * (value.ndim - 1)) for name, value in settings.items()}
    )
    x = caller.run_batch(repeated, keys, tiled)
    return jax.tree.map(lambda a: a.reshape(n, e, *a.shape[1:]), x)
