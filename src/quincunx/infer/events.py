"""Observed events as arrays that compiled functions take: padded, in blocks, with weights."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from quincunx.errors import NonFiniteObservation, ShapeMismatch
from quincunx.infer.sets import padded_size

BLOCK = 1024
"""How many events are looked at together: memory does not grow with their number."""


class Events(eqx.Module):
    """n weighted events in blocks: every leaf of `x` has (blocks, m, ...), `weight` (blocks, m) is 0 on padding.

    A batch of such sets has one more leading axis. Few distinct shapes mean few compilations.

    >>> events = Events.of(np.ones((4000, 2)))
    >>> events.weight.shape, events.n
    ((4, 1024), 4000.0)
    """

    few: ClassVar[int] = 2048

    x: Any
    weight: Float[Array | np.ndarray, "..."]

    @classmethod
    def of(cls, x: Any, weight: Any = None) -> "Events":
        """Events along the leading axis of every leaf of x.

        Raises:
            ShapeMismatch: if leading axes differ. NonFiniteObservation: for NaN or infinity.
        """
        return cls.batch(
            jax.tree.map(lambda a: np.asarray(a)[None], x), None if weight is None else np.asarray(weight)[None]
        )[0]

    @classmethod
    def batch(cls, x: Any, weight: Any = None) -> "Events":
        """A batch of sets of events: every leaf of x has (B, n, ...), `weight` (B, n).

        Raises: as `of`.
        """
        x = jax.tree.map(np.asarray, x)
        shapes = {np.shape(leaf)[:2] for leaf in jax.tree.leaves(x)} | (
            {np.shape(weight)} if weight is not None else set()
        )
        if len(shapes) != 1 or len(next(iter(shapes))) != 2:
            raise ShapeMismatch(
                f"got events with leading axes {sorted(shapes)}; expected one number of events, the same everywhere; "
                "put the events along the first axis"
            )
        if not all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(x)):
            raise NonFiniteObservation(
                "got events with NaN or infinity; expected finite numbers; drop or mend these events"
            )
        b, n = next(iter(shapes))
        size = padded_size(max(n, 1)) if n <= BLOCK else BLOCK
        blocks = 1 if n <= BLOCK else padded_size(-(-n // BLOCK))
        index = np.where(np.arange(size * blocks) < n, np.arange(size * blocks), 0)

        def blocked(leaf: np.ndarray) -> np.ndarray:
            leaf = leaf if n else np.zeros((b, 1, *leaf.shape[2:]), leaf.dtype)
            return leaf[:, index].reshape(b, blocks, size, *leaf.shape[2:])

        full = np.ones((b, n)) if weight is None else np.asarray(weight, np.float64)
        padded = np.zeros((b, size * blocks))
        padded[:, :n] = full
        return cls(jax.tree.map(blocked, x), padded.reshape(b, blocks, size))

    @property
    def n(self) -> Any:
        """The number of events, or the sum of their weights; one for each set of a batch."""
        total = self.weight.sum((-2, -1))
        return float(total) if total.ndim == 0 else total

    def __getitem__(self, rows: Any) -> "Events":
        return jax.tree.map(lambda leaf: leaf[rows], self)

    def __len__(self) -> int:
        return len(self.weight)

    def alone(self) -> "Events":
        """A batch of this one set."""
        return jax.tree.map(lambda leaf: np.asarray(leaf)[None], self)

    def thinned(self) -> "Events":
        """For a batch: at most 2048 evenly spaced events of each set, weighted up to the same total: enough to see where log L is large."""
        b, blocks, size = self.weight.shape
        if blocks * size <= self.few:
            return self
        step = -(-blocks * size // self.few)
        flat = jax.tree.map(lambda a: a.reshape(b, blocks * size, *a.shape[3:])[:, ::step], (self.x, self.weight))
        kept = flat[1].sum(1, keepdims=True)
        weight = flat[1] * np.where(kept > 0, self.n[:, None] / np.where(kept > 0, kept, 1.0), 0.0)
        return Events.batch(flat[0], weight)
