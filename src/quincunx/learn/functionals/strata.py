"""Evenly spread uniform numbers."""

import jax
from jaxtyping import Array, Float, PRNGKeyArray


def stratified(n: int, *, key: PRNGKeyArray) -> Float[Array, " n"]:
    """n numbers, each uniform on (0, 1), together evenly spread: one in each of n strata, in random order.

    A mean over noise levels drawn so (2107.00630) has less variance than over independent ones, at no cost.

    >>> import jax
    >>> sorted((stratified(4, key=jax.random.key(0)) * 4).astype(int).tolist())
    [0, 1, 2, 3]
    """
    k_jitter, k_order = jax.random.split(key)
    within = jax.random.uniform(k_jitter, (n,), minval=1e-6, maxval=1 - 1e-6)
    return (jax.random.permutation(k_order, n) + within) / n
