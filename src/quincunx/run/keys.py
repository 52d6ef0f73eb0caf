"""The random numbers of simulation i of round r: the same whatever the batch size, the worker or the order."""

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from quincunx.values import as_key

__all__ = ["DESIGN", "THETA", "host_rng", "key_of", "key_text", "round_key", "run_seed"]

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


def key_text(key: int | np.integer | PRNGKeyArray) -> str:
    """A run's key as it is written down: its words as one decimal number, after the generator's name if it is not JAX's default.

    >>> key_text(5), key_text(jax.random.key(5)), key_text(jax.random.key(1, impl="rbg"))
    ('5', '5', 'rbg:18446744073709551617')
    """
    typed = as_key(key)
    name = str(jax.random.key_impl(typed))
    return f"{run_seed(typed)}" if name == "threefry2x32" else f"{name}:{run_seed(typed)}"


def key_of(text: str) -> PRNGKeyArray:
    """The key that `key_text` wrote down.

    >>> key_of(key_text(2**40 + 7)) == as_key(2**40 + 7)
    Array(True, dtype=bool)
    """
    name, _, number = text.rpartition(":")
    impl = name or "threefry2x32"
    words = jax.random.key_data(jax.random.key(0, impl=impl)).size
    data = [(int(number) >> (32 * (words - 1 - i))) & 0xFFFFFFFF for i in range(words)]
    return jax.random.wrap_key_data(np.array(data, np.uint32), impl=impl)
