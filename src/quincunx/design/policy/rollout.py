"""Whole campaigns of experiments under a policy, on parameters drawn from the prior."""

import inspect
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from quincunx.design.policy.rule import Rule
from quincunx.design.space import stack_designs
from quincunx.errors import AllSimulationsFailed, UsageError
from quincunx.model import Simulator
from quincunx.model.outcome import flatten_outcome

__all__ = ["Rollouts", "roll_out", "rolled"]

PolicyLike = Any
"""A `Policy`, a `RandomDesigns`, or any function of a history, a list of (design, outcome), that returns a design."""


class Rollouts(eqx.Module):
    """N campaigns of S events: flat parameters (N, d), settings (N, S) by name and outcomes (N, S, ...), the events of one experiment together."""

    theta: Float[Any, "n d"]
    designs: dict[str, Any]
    x: Any

    @property
    def finite(self) -> Bool[np.ndarray, " n"]:
        """Which campaigns had finite outcomes throughout."""
        leaves = jax.tree.leaves(self.x)
        return np.logical_and.reduce([np.isfinite(leaf).reshape(len(leaf), -1).all(axis=1) for leaf in leaves])


def rolled(
    simulator: Simulator,
    rule: Rule,
    theta: Float[Array, " d"],
    key: PRNGKeyArray,
    *,
    rounds: int,
    events: int,
    stop: bool = False,
) -> tuple[dict[str, Array], Any]:
    """One campaign, to be traced: settings (S,) by name and outcomes (S, ...), S = rounds * events. With `stop` no derivative goes through outcomes."""
    named = simulator.prior.unflatten(theta)

    def experiment(state: Array, number: Array) -> tuple[Array, Any]:
        k_design, k_noise = jax.random.split(jax.random.fold_in(key, number))
        design = rule.design(state, number, k_design)
        x = jax.vmap(lambda k: simulator.caller.run_one(named, k, design))(jax.random.split(k_noise, events))
        x = jax.lax.stop_gradient(x) if stop else x
        spread = {name: jnp.broadcast_to(value, (events,)) for name, value in design.items()}
        return rule.take_in(state, design, flatten_outcome(x, 1)), (spread, x)

    _, (designs, x) = jax.lax.scan(experiment, rule.begin(), jnp.arange(rounds))
    return jax.tree.map(lambda a: a.reshape(rounds * events, *a.shape[2:]), (designs, x))


def roll_out(
    simulator: Simulator, policy: PolicyLike, *, rounds: int, events: int, n: int, key: PRNGKeyArray
) -> Rollouts:
    """n campaigns of a policy. The same key gives the same parameters and the same noise in each experiment, whatever the policy.

    Raises:
        UsageError: for a simulator that is no JAX function of one simulation. AllSimulationsFailed: if no campaign has finite outcomes.
    """
    if simulator.kind != "jax" or simulator.batched:
        raise UsageError(
            f"got simulator '{simulator.name}'; expected a JAX function of one simulation (with the keyword key), to try whole campaigns"
        )
    k_theta, k_roll = jax.random.split(key)
    theta = simulator.prior.sample_flat(n, key=k_theta)
    keys = jax.random.split(k_roll, n)
    rule = policy if isinstance(policy, Rule) else getattr(policy, "rule", None)
    if rule is None:
        found = _by_function(simulator, policy, theta, keys, rounds, events)
    else:
        designs, x = _by_rule(simulator, rule, theta, keys, rounds, events)
        found = Rollouts(theta, designs, x)
    found = jax.tree.map(np.asarray, found)
    if not found.finite.any():
        raise AllSimulationsFailed(
            f"all of {n} campaigns with '{simulator.name}' had outcomes that are not finite; expected finite ones; look at the designs"
        )
    return found


@eqx.filter_jit
def _by_rule(
    simulator: Simulator, rule: Rule, theta: Array, keys: Array, rounds: int, events: int
) -> tuple[dict[str, Array], Any]:
    return jax.vmap(lambda point, key: rolled(simulator, rule, point, key, rounds=rounds, events=events))(theta, keys)


def _by_function(
    simulator: Simulator, function: Callable[..., Any], theta: Array, keys: Array, rounds: int, events: int
) -> Rollouts:
    """Campaign by campaign for a function of the history, experiment by experiment for the simulator."""
    with_key = "key" in inspect.signature(function).parameters
    n = len(theta)
    histories: list[list[tuple[dict[str, float], Any]]] = [[] for _ in range(n)]
    settings, outcomes = [], []
    for number in range(rounds):
        both = _keys_of(keys, jnp.asarray(number))
        options = [{"key": key} if with_key else {} for key in both[0]]
        rows = [function(list(past), **option) for past, option in zip(histories, options, strict=True)]
        designs = stack_designs(rows)
        x = jax.tree.map(np.asarray, _events(simulator, theta, both[1], designs, events))
        for i, row in enumerate(rows):
            one = jax.tree.map(lambda a: a[i, 0] if events == 1 else a[i], x)  # noqa: B023
            histories[i].append((dict(row), one))
        settings.append({name: np.repeat(values[:, None], events, axis=1) for name, values in designs.items()})
        outcomes.append(x)
    joined = [jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *parts) for parts in (settings, outcomes)]
    return Rollouts(theta, *joined)


@eqx.filter_jit
def _keys_of(keys: Array, number: Array) -> tuple[Array, Array]:
    both = jax.vmap(lambda key: jax.random.split(jax.random.fold_in(key, number)))(keys)
    return both[:, 0], both[:, 1]


@eqx.filter_jit
def _events(simulator: Simulator, theta: Array, keys: Array, designs: Any, events: int) -> Any:
    def row(point: Array, key: PRNGKeyArray, design: dict[str, Array]) -> Any:
        named = simulator.prior.unflatten(point)
        return jax.vmap(lambda k: simulator.caller.run_one(named, k, design))(jax.random.split(key, events))

    return jax.vmap(row)(theta, keys, jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), designs))
