"""The random numbers of simulation i of round r: the same whatever the batch size, the worker or the order."""

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

__all__ = ["THETA", "DESIGN", "host_rng", "round_key", "run_seed"]

# Parameters and settings of row i have fold_in(fold_in(round_key, tag), i); no run has so many rows that a tag is an index.
THETA = 0x7468_6574
DESIGN = 0x6465_7369


def round_key(key: PRNGKeyArray, round: int) -> PRNGKeyArray:
    """fold_in(run_key, round); simulation i then has fold_in(round_key, i)."""
    return jax.random.fold_in(key, round)


def run_seed(key: PRNGKeyArray) -> int:
    """The run's seed as one integer, for simulators that do not use JAX; for `jax.random.key(5)` it is 5.

    >>> run_seed(jax.random.key(5))
    5
    """
    seed = 0
    for word in np.asarray(jax.random.key_data(key)).ravel():
        seed = (seed << 32) | int(word)
    return seed


def host_rng(seed: int, round: int, index: int, event: int | None = None) -> np.random.Generator:
    """The generator of a plain simulator's run: Philox seeded by [run seed, round, index] and, in a set, the event.

    >>> host_rng(0, 0, 7).random() == host_rng(0, 0, 7).random()
    True
    """
    words = [seed, round, index] if event is None else [seed, round, index, event]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(words)))
