"""Climb the lower bound through the design, where the simulator is a smooth function of its settings and its noise."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.design.belief import Belief
from quincunx.design.density import Density, above, density_of, log_each
from quincunx.design.space import Space, design_rows
from quincunx.errors import UsageError
from quincunx.model import Simulator
from quincunx.values import as_key

__all__ = ["ascend"]


def ascend(
    simulator: Simulator,
    space: Space,
    *,
    belief: Any = None,
    events: int = 1,
    batch: int = 1,
    starts: int = 16,
    steps: int = 300,
    n: int = 256,
    inner: int = 256,
    learning_rate: float = 0.03,
    estimator: Any = None,
    key: PRNGKeyArray | int,
) -> tuple[dict[str, Float[np.ndarray, "starts ..."]], Float[np.ndarray, " starts"]]:
    """Multi-start Adam on the PCE bound (see `nested`) in the unit cube of a space, through x = simulator(theta, noise, design) (1911.00294).

    New draws are taken in every step. The gradient goes through the outcomes, so the simulator must be a JAX function whose draws
    move smoothly with its settings (reparameterised): for counts and other jumps it is wrong. Returns the designs where the starts
    ended, best first, and the bound there, in float32: estimate those that matter anew with `eig`. With `batch` q designs climb together, and are
    those of `space.repeated(q)`.

    Raises:
        UsageError: for a simulator in plain Python, or a space with levels.
    """
    if simulator.kind != "jax" or simulator.batched:
        raise UsageError(
            f"got simulator '{simulator.name}'; expected a JAX function of one simulation; use optimiser='bayes'"
        )
    if space.intervals != space.dim:
        raise UsageError(
            "got a space with levels; expected intervals only, along which to climb; use optimiser='bayes'"
        )
    k_belief, k_start, k_climb = jax.random.split(as_key(key), 3)
    held = Belief.of(simulator.prior if belief is None else belief, 8192, k_belief, prior=simulator.prior)
    ends, lengths = dict(space.bounds), dict(space.lengths)
    layout = tuple((name, ends[name], lengths.get(name), name in space.increasing) for name in space.names)
    whole = space if batch == 1 else space.repeated(batch)
    u = whole.to_unit(whole.sobol(starts, key=k_start)).astype(np.float32)
    setup = (simulator, density_of(simulator, estimator), jnp.asarray(held.draws, jnp.float32))
    ended, values = _climb(setup, u, k_climb, (layout, events, steps, n, inner, learning_rate))
    designs = whole.from_unit(np.asarray(ended, np.float64))
    rows = design_rows(designs)
    kept = [i for i in np.argsort(-np.asarray(values)) if whole.allows(rows[i])]
    if not kept:
        raise UsageError(
            "got constraints that every start ran into; expected an optimum inside them; use optimiser='bayes'"
        )
    return {name: numbers[kept] for name, numbers in designs.items()}, np.asarray(values, np.float64)[kept]


@eqx.filter_jit
def _climb(setup: Any, starts: Any, key: PRNGKeyArray, options: tuple[Any, ...]) -> tuple[Array, Array]:
    steps, rate = options[2], options[5]
    # a step in the logit is up to four times one in the unit cube
    optimiser = optax.adam(optax.cosine_decay_schedule(4.0 * rate, steps))

    def one(start: Array) -> tuple[Array, Array]:
        # a sigmoid keeps designs inside the box
        v = jax.scipy.special.logit(jnp.clip(start, 0.02, 0.98))

        def step(carry: Any, k: PRNGKeyArray) -> tuple[Any, Array]:
            v, state = carry
            value, gradient = jax.value_and_grad(lambda v: -_pce(setup, jax.nn.sigmoid(v), k, options))(v)
            updates, state = optimiser.update(jnp.nan_to_num(gradient), state)
            return (v + updates, state), -value

        (v, _), values = jax.lax.scan(step, (v, optimiser.init(v)), jax.random.split(key, steps))
        return jax.nn.sigmoid(v), jnp.mean(values[-max(1, steps // 10) :])

    return jax.lax.map(one, jnp.asarray(starts))


def _pce(setup: Any, u: Array, key: PRNGKeyArray, options: tuple[Any, ...]) -> Array:
    simulator, density, pool = setup
    layout, events, _, n, inner, _ = options
    d: Density = density
    designs = _designs(layout, u)
    spread = {name: jnp.repeat(value, events, axis=0) for name, value in designs.items()}
    k_outer, k_inner, k_noise = jax.random.split(key, 3)
    theta = pool[jax.random.randint(k_outer, (n,), 0, len(pool))]
    others = pool[jax.random.randint(k_inner, (inner,), 0, len(pool))]
    mask = jnp.ones(len(next(iter(spread.values()))))

    def row(point: Array, k: PRNGKeyArray) -> Array:
        named = simulator.prior.unflatten(point)
        keys = jax.random.split(k, len(mask))
        x = jax.vmap(lambda k, design: simulator.caller.run_one(named, k, design))(keys, spread)
        own = log_each(d, point, x, spread)
        r = jax.vmap(lambda other: above(log_each(d, other, x, spread), own, mask))(others)
        return jnp.log(inner + 1.0) - jnp.logaddexp(0.0, jax.scipy.special.logsumexp(r))

    return jnp.mean(jax.vmap(row)(theta, jax.random.split(k_noise, n)))


def _designs(layout: tuple[Any, ...], u: Float[Array, " k"]) -> dict[str, Array]:
    """A point of the unit cube as one or several designs, by name (q,) or (q, length)."""
    width = sum(1 if length is None else length for _, _, length, _ in layout)
    rows, start, found = u.reshape(-1, width), 0, {}
    for name, (low, high), length, increasing in layout:
        stop = start + (1 if length is None else length)
        values = low + (high - low) * rows[:, start:stop]
        values = jnp.sort(values, axis=1) if increasing else values
        found[name] = values[:, 0] if length is None else values
        start = stop
    return found
