"""An ensemble as the equal mixture of its members."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree


def log_mean_exp(values: Float[Array, "members *rest"]) -> Float[Array, "*rest"]:
    """log of the mean over members of exp(value): the log-density of an equal mixture.

    >>> import jax.numpy as jnp
    >>> float(log_mean_exp(jnp.log(jnp.array([1.0, 3.0]))))
    0.693147...
    """
    return jax.nn.logsumexp(values, axis=0) - jnp.log(values.shape[0])


def over_members(function: Callable[..., Any], model: PyTree, *arguments: Any) -> PyTree:
    """Apply `function(member, *arguments)` to every member; the leading axis of the answer is the member's."""
    arrays, static = eqx.partition(model, eqx.is_array)
    return jax.vmap(lambda a: function(eqx.combine(a, static), *arguments))(arrays)


def member_count(model: PyTree) -> int:
    """How many members a stacked model has."""
    return jax.tree.leaves(eqx.filter(model, eqx.is_array))[0].shape[0]


def deal(
    n: int, members: int, *, batch: int, key: PRNGKeyArray, chunk: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The random numbers of n draws from an equal mixture for each of `batch` observations.

    Returns (seeds (batch, members, capacity, 2), member (batch, n), turn (batch, n)): draw i is the `turn[i]`-th of member `member[i]`, which
    is uniform. Every member draws a little more than its share in one vectorised call, so the cost is that of one network and
    not of all; the reserve is six standard deviations of the binomial share (should a member ever need more, about once in 10^9
    calls, its last draw is used again). It is made on the host: threefry costs half a second to compile each time it is used.
    """
    words = np.asarray(jax.random.key_data(key)).ravel().tolist()
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([*words, chunk])))
    share = n / members
    spare = 6.0 * math.sqrt(share * (1.0 - 1.0 / members)) + 1.0
    capacity = n if members == 1 else min(n, math.ceil(share + spare))
    seeds = rng.integers(0, 2**32, (batch, members, capacity, 2), np.uint32)
    if members == 1:
        return seeds, np.zeros((batch, n), np.int32), np.broadcast_to(np.arange(n, dtype=np.int32), (batch, n))
    member = rng.integers(0, members, (batch, n), np.int32)
    turn = np.empty((batch, n), np.int32)
    for m in range(members):
        mine = member == m
        turn[mine] = (np.cumsum(mine, axis=1) - 1)[mine]
    return seeds, member, np.minimum(turn, capacity - 1)


def mixture_sample(
    sample: Callable[[Any, PRNGKeyArray], Float[Array, " d"]], model: PyTree, seeds: Array, member: Array, turn: Array
) -> Float[Array, "n d"]:
    """Draws from the equal mixture, for random numbers from `deal` (of one observation)."""
    keys = jax.random.wrap_key_data(seeds, impl="threefry2x32")
    arrays, static = eqx.partition(model, eqx.is_array)

    def of_one(own: tuple[PyTree, Array]) -> Array:
        return jax.vmap(lambda k: sample(eqx.combine(own[0], static), k))(own[1])

    # one member after another: their weights do not share a matrix product anyway, and the loop compiles sooner
    return jax.lax.map(of_one, (arrays, keys))[member, turn]
