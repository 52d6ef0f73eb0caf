"""Pairs that are not: parameters of other rows of a batch, as draws from the product of the marginals."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree


def other_rows(n: int, count: int, *, key: PRNGKeyArray) -> Int[Array, "n count"]:
    """For each of n rows, `count` different other rows, uniformly drawn: never the row itself, never one twice.

    A random cyclic order is rolled by 1, ..., count, so `count` must be below n. Each column is a derangement.

    >>> import jax
    >>> rows = other_rows(4, 3, key=jax.random.key(0))
    >>> sorted(rows[2].tolist())
    [0, 1, 3]
    """
    order = jax.random.permutation(key, n)
    place = jnp.zeros(n, jnp.int32).at[order].set(jnp.arange(n, dtype=jnp.int32))
    return order[(place[:, None] + jnp.arange(1, count + 1)) % n]


def contrastive_logits(
    model, theta: Float[Array, "n d"], x: PyTree, count: int, *, key: PRNGKeyArray
) -> tuple[Float[Array, " n"], Float[Array, "n count"]]:
    """The logits of each row's own theta, and those of `count` other rows' theta, for the same x."""
    k_rows, k_model = jax.random.split(key)
    n = theta.shape[0]
    candidates = jnp.concatenate([theta[:, None], theta[other_rows(n, count, key=k_rows)]], axis=1)

    def row(candidates, x, key):
        # x has no axis in the inner map, so whatever the network makes of x alone is computed once a row
        return jax.vmap(lambda theta: logit(model, theta, x, key=key))(candidates)

    logits = jax.vmap(row)(candidates, x, jax.random.split(k_model, n))
    return logits[:, 0], logits[:, 1:]


def logit(model, theta: Float[Array, " d"], x: PyTree, *, key: PRNGKeyArray) -> Float[Array, ""]:
    """model(theta, x), with the key when the model draws random numbers (dropout)."""
    return model(theta, x, key=key) if getattr(model, "stochastic", False) else model(theta, x)
