"""An ensemble as the equal mixture of its members."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree


def log_mean_exp(values: Float[Array, "members *rest"]) -> Float[Array, "*rest"]:
    """log of the mean over members of exp(value): the log-density of an equal mixture.

    >>> import jax.numpy as jnp
    >>> float(log_mean_exp(jnp.log(jnp.array([1.0, 3.0]))))
    0.693147...
    """
    return jax.nn.logsumexp(values, axis=0) - jnp.log(values.shape[0])


def over_members(
    function: Callable[..., Any], model: PyTree, *arguments: Any
) -> PyTree:
    """Apply `function(member, *arguments)` to every member; the leading axis of the answer is the member's."""
    arrays, static = eqx.partition(model, eqx.is_array)
    return jax.vmap(lambda a: function(eqx.combine(a, static), *arguments))(arrays)


def member_count(model: PyTree) -> int:
    """How many members a stacked model has."""
    return jax.tree.leaves(eqx.filter(model, eqx.is_array))[0].shape[0]


def mixture_sample(
    sample: Callable[[Any, PRNGKeyArray], Float[Array, " d"]], model: PyTree, n: int, *, key: PRNGKeyArray
) -> Float[Array, "n d"]:
    """n independent draws from the equal mixture: each takes a member at random, then a draw of that member.

    Every member draws a little more than its share in one vectorised call and the draws are dealt out, so the cost is
    that of one network and not of all. The reserve is six standard deviations of the binomial share; should a member
    ever need more (one call in a billion), its last draw is used again.
    """
    members = member_count(model)
    if members == 1:
        keys = jax.random.split(key, n)
        return over_members(lambda m: jax.vmap(lambda k: sample(m, k))(keys), model)[0]
    share = n / members
    capacity = min(n, math.ceil(share + 6.0 * math.sqrt(share * (1.0 - 1.0 / members)) + 1.0))
    k_member, k_draw = jax.random.split(key)
    keys = jax.random.split(k_draw, (members, capacity))
    arrays, static = eqx.partition(model, eqx.is_array)

    def draw(member, member_keys):
        return jax.vmap(lambda k: sample(eqx.combine(member, static), k))(member_keys)

    pool = jax.vmap(draw)(arrays, keys)
    chosen = jax.random.randint(k_member, (n,), 0, members)
    hits = jax.nn.one_hot(chosen, members, dtype=jnp.int32)
    turn = jnp.take_along_axis(jnp.cumsum(hits, axis=0), chosen[:, None], axis=1)[:, 0] - 1
    return pool[chosen, jnp.minimum(turn, capacity - 1)]
