"""How much a policy teaches in all: bounds on the total expected information, the same for every kind of policy."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy.special import logsumexp

from quincunx.design.density import Density, above, density_of, has_density, log_each
from quincunx.design.estimate import EIG
from quincunx.design.found import Found
from quincunx.design.nested import Sums
from quincunx.design.policy.objective import history_code
from quincunx.design.policy.policy import Policy
from quincunx.design.policy.rollout import PolicyLike, Rollouts, roll_out
from quincunx.errors import NoDensity, UsageError
from quincunx.model import Simulator
from quincunx.model.precision import double_scope
from quincunx.values import as_key

__all__ = ["campaign_of", "judged", "total_eig"]

CHUNK = 4096
"""How many contrastive draws are held at a time."""


def total_eig(
    simulator: Simulator,
    policy: PolicyLike,
    *,
    rounds: int | None = None,
    events: int | None = None,
    n: int = 512,
    inner: int = 8192,
    key: PRNGKeyArray | int,
) -> EIG:
    """I(theta; h_T) under a policy, in nats: what a whole campaign of `rounds` experiments is expected to teach, the sum of what each adds.

        lower = E[ log p(h | theta_0) - log 1/(L+1) sum_{l=0..L} p(h | theta_l) ],    upper the same without l = 0 (2103.02438)

    from n campaigns and L = `inner` draws of the prior, which are taken in chunks: a hundred thousand need no more memory than four thousand. As in `eig`, log p(h
    | theta_0) is replaced by its mean over which of the L + 1 parameters h came from. Without a likelihood the critic of a policy gives a lower bound
    only. `policy` is a `Policy`, `RandomDesigns`, or any function of a list of (design, outcome) that returns a design, with `key` if it draws;
    `rounds` and `events` are those of a `Policy` unless given.

    Raises:
        NoDensity: without a likelihood, for a policy without a critic. UsageError: without rounds, or for a simulator that is no JAX function of one
        simulation.

    >>> import jax, jax.numpy as jnp, numpyro.distributions as dist, types, quincunx as qx
    >>> def log_likelihood(theta, x, design):
    ...     return jax.scipy.stats.norm.logpdf(x[0], design["d"] * theta["a"], 0.5)
    >>> @qx.simulator(qx.Prior(a=dist.Normal(0.0, 1.0)), tractable=types.SimpleNamespace(log_likelihood=log_likelihood))
    ... def line(theta, *, key, design):
    ...     return design["d"] * theta["a"] + 0.5 * jax.random.normal(key)
    >>> one = total_eig(line, lambda history: {"d": 1.0}, rounds=4, n=256, inner=512, key=0)          # 0.5 log 17 = 1.4166
    >>> bool(abs(one.value - 1.4166) < 3 * one.se), one.is_bracketed
    (True, True)
    """
    rounds, events = campaign_of(policy, rounds, events)
    return judged(simulator, policy, rounds, events, n, inner, as_key(key)).eig()


def campaign_of(policy: PolicyLike, rounds: int | None, events: int | None) -> tuple[int, int]:
    """Rounds and events as given, or a policy's own.

    Raises:
        UsageError: for a number of rounds that is not known, or more than a policy plans.
    """
    own = policy if isinstance(policy, Policy) else None
    found = rounds if rounds is not None else None if own is None else own.rounds
    if found is None or found < 1 or (own is not None and found > own.rounds):
        most = "at least 1" if own is None else f"1 to {own.rounds}, which the policy plans"
        raise UsageError(f"got rounds={found}; expected {most}; pass rounds=")
    return found, events if events is not None else 1 if own is None else own.events


def judged(
    simulator: Simulator, policy: PolicyLike, rounds: int, events: int, n: int, inner: int, key: PRNGKeyArray
) -> Found:
    """The bounds of every campaign, from the same parameters, noise and contrastive draws for every policy. Raises: as `total_eig`."""
    if n < 2 or inner < 1:
        raise UsageError(f"got n={n} campaigns and inner={inner} draws; expected at least 2 and 1")
    critic = isinstance(policy, Policy) and policy.has_critic
    if not has_density(simulator) and not critic:
        raise NoDensity(
            f"got simulator '{simulator.name}', which has no log_likelihood, and a policy without a critic; expected one of them; train the policy with "
            "method='infonce' (designs='static' or 'random' for a baseline)"
        )
    k_roll, k_inner = jax.random.split(key)
    rollouts = roll_out(simulator, policy, rounds=rounds, events=events, n=n, key=k_roll)
    sizes = -(-inner // CHUNK)
    size = -(-inner // sizes)
    chunks = [simulator.prior.sample_flat(size, key=jax.random.fold_in(k_inner, i)) for i in range(sizes)]
    if not has_density(simulator):
        return _by_critic(policy, rollouts, chunks)
    density = density_of(simulator)
    found: Sums | None = None
    for drawn in chunks:
        with double_scope():
            parts = _chunk(density, rollouts, np.asarray(drawn, np.float64).T)
        one = Sums(*map(np.asarray, parts), size)
        found = one if found is None else found + one
    assert found is not None
    ok = rollouts.finite
    with np.errstate(invalid="ignore"):
        lower = np.where(ok, found.mean_with_own - found.with_own, np.nan)
        upper = np.where(ok, lower + (found.with_own - found.first), np.nan)
    return Found(
        "sequential nested", lower, upper, n_inner=found.count, ess=found.ess(ok), pool=found.count, warnings=_ceiling(lower, found.count)
    )  # fmt: skip


def _ceiling(lower: Float[np.ndarray, " n"], inner: int) -> tuple[str, ...]:
    top = float(np.log(inner + 1))
    if np.nanmean(lower) < top - 1.5:
        return ()
    return (
        f"the lower bound is near its ceiling log({inner + 1}) = {top:.3g} nats: the information may be much larger",
    )


@eqx.filter_jit
def _chunk(density: Density, rollouts: Rollouts, drawn: Any) -> tuple[Array, Array, Array]:
    """For each campaign log mean e^r, log mean e^{2 r} and the mean of r under weights e^r, r = log p(h | theta_l) - log p(h | theta_0)."""
    drawn = jnp.asarray(drawn)
    double = jax.tree.map(lambda a: jnp.asarray(a, drawn.dtype), rollouts)

    def one(row: Rollouts) -> tuple[Array, Array, Array]:
        reference = log_each(density, row.theta, row.x, row.designs)
        # the draws along the last axis, where compiled code is fast
        each = jax.vmap(lambda x, d: jax.vmap(lambda point: density(point, x, d), in_axes=-1, out_axes=-1)(drawn))(
            row.x, row.designs
        )
        mask = jnp.ones(len(reference))
        r = jax.vmap(lambda column: above(column, reference, mask), in_axes=-1, out_axes=-1)(each)
        top = jnp.max(r)
        top = jnp.where(jnp.isneginf(top), 0.0, top)
        w = jnp.exp(r - top)
        mean = jnp.sum(jnp.where(w > 0, w * r, 0.0)) / jnp.where(jnp.sum(w) > 0, jnp.sum(w), 1.0)
        return top + jnp.log(jnp.mean(w)), 2.0 * top + jnp.log(jnp.mean(w * w)), mean

    return jax.lax.map(one, double)


def _by_critic(policy: Policy, rollouts: Rollouts, chunks: list[Any]) -> Found:
    """InfoNCE on fresh campaigns: a bound whatever the critic is."""
    own, sums = None, []
    for drawn in chunks:
        own, others = map(np.asarray, _criticised(policy, rollouts, jnp.asarray(drawn)))
        sums.append(logsumexp(others.astype(np.float64), axis=1))
    assert own is not None
    inner = sum(len(drawn) for drawn in chunks)
    together = logsumexp(np.stack([own, *sums]), axis=0) - np.log(inner + 1)
    lower = np.where(rollouts.finite, own - together, np.nan)
    return Found("sequential contrastive", lower, None, n_inner=inner, pool=inner, warnings=_ceiling(lower, inner))


@eqx.filter_jit
def _criticised(policy: Policy, rollouts: Rollouts, drawn: Array) -> tuple[Array, Array]:
    network, rule, scale = policy.network, policy.rule, policy.surrogate.scales["theta"]
    history = jax.vmap(lambda d, x: history_code(network, rule, d, x))(rollouts.designs, rollouts.x)
    code = jax.vmap(lambda point: network.critic.theta_code(scale.forward(point)))
    return jnp.sum(code(jnp.asarray(rollouts.theta)) * history, axis=1), history @ code(drawn).T
