"""Observations that are sets of independent events, of whatever number."""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quincunx.infer.reading import Observation


class RandomSetSize(eqx.Module):
    """A functional evaluated on random subsets: each row keeps its first k events, k uniform on 1..n_max.

    Its minimiser is that of the functional it wraps, at every set size at once. Rows carry their events under
    `batch[field]` as `{"events": (n_max, d), "mask": (n_max,)}`; events are exchangeable, so the first k are a random k.
    """

    minimiser: ClassVar[str] = "that of the wrapped functional, for sets of every size from 1 to n_max"

    functional: Callable[..., Any]
    field: str = eqx.field(static=True)

    def __call__(self, model: PyTree, batch: dict[str, Any], *, key: PRNGKeyArray) -> Float[Array, ""]:
        """The wrapped loss with some events of every row hidden."""
        k_size, k_loss = jax.random.split(key)
        mask = batch[self.field]["mask"]
        rows, n_max = mask.shape
        size = jax.random.randint(k_size, (rows, 1), 1, n_max + 1)
        kept = mask * (jnp.arange(n_max) < size)
        hidden = {**batch, self.field: {**batch[self.field], "mask": kept}}
        return self.functional(model, hidden, key=k_loss)


def padded_size(n: int) -> int:
    """The length that a set of n events is padded to: few distinct lengths mean few compilations.

    At most one part in eight is padding beyond 16.

    >>> [padded_size(n) for n in (1, 3, 17, 100, 1000, 10_000)]
    [1, 4, 18, 104, 1024, 10240]
    """
    if n <= 2:
        return n
    step = max(1 << max(0, (n - 1).bit_length() - 4), 2)
    return -(-n // step) * step


def padded_many(
    events: Float[np.ndarray, "b n dx"], settings: Float[np.ndarray, "b n dd"]
) -> tuple[Float[np.ndarray, "b m dx"], Float[np.ndarray, "b m"], Float[np.ndarray, "b m dd"]]:
    """Pad the event axis to `padded_size` by repeating the first event: (events, mask, settings), mask 0 on padding."""
    b, n = events.shape[:2]
    index = np.where(np.arange(padded_size(n)) < n, np.arange(padded_size(n)), 0)
    mask = np.broadcast_to((np.arange(padded_size(n)) < n).astype(np.float32), (b, padded_size(n)))
    return events[:, index], mask, settings[:, index]


def one_observation(
    observation: Observation,
) -> tuple[Float[np.ndarray, "1 m dx"], Float[np.ndarray, "1 m"], Float[np.ndarray, "1 m dd"]]:
    """A single observation as a padded batch of one."""
    return padded_many(observation.events[None], observation.settings[None])
