"""Minibatches in random order over more simulations than fit into memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from quincunx.errors import ChecksumMismatch, UsageError
from quincunx.notebook import fields_text, from_fields
from quincunx.run.shards import Shard, read_groups
from quincunx.run.simulations import OK

__all__ = ["Stream"]


@dataclass(frozen=True)
class Stream:
    """An order of minibatches for every epoch, given by `seed` alone, that can be entered anywhere.

    The shards of an epoch are shuffled; as many at a time as fit into `buffer` bytes are read and their rows shuffled together; and
    the sequence of rows is cut into batches of `batch_size`. The ragged last batch is left out, so that all have one shape;
    another epoch brings its rows back. A batch is a dict with an entry for each of `groups`: "theta" a dict of arrays by name
    (batch_size, ...), "x" an array or a dict of arrays, likewise "design", "gold", "latents", "index" and "status". With `valid`,
    only rows with a finite outcome are in it.

    Raises:
        UsageError: if there are fewer rows than one batch takes.

    >>> import tempfile
    >>> from quincunx.run.shards import write_shard
    >>> from quincunx.run.simulations import Simulations
    >>> sims = Simulations.of({"mu": np.arange(100.0)}, np.ones((100, 2)))
    >>> folder = Path(tempfile.mkdtemp())
    >>> shards = tuple(write_shard(sims[i : i + 25], folder, key=0) for i in range(0, 100, 25))
    >>> stream = Stream(folder, shards, batch_size=32, seed=0)
    >>> [batch["x"].shape for batch in stream.epoch(0)]
    [(32, 2), (32, 2), (32, 2)]
    >>> last = [batch["theta"]["mu"] for batch in stream.epoch(7)][-1]
    >>> bool((next(stream.epoch(7, start=2))["theta"]["mu"] == last).all())
    True
    """

    folder: Path
    shards: tuple[Shard, ...]
    batch_size: int
    seed: int
    groups: tuple[str, ...] = ("theta", "x")
    valid: bool = False
    buffer: int = 64 * 2**20

    def __post_init__(self) -> None:
        if self.batch_size < 1 or len(self) < 1:
            raise UsageError(
                f"got batches of {self.batch_size} from {self.rows} rows; expected at least one whole batch; "
                "take smaller batches or simulate more"
            )

    @property
    def rows(self) -> int:
        """How many rows an epoch has, with those of the ragged last batch."""
        return sum(self._count(shard) for shard in self.shards)

    def __len__(self) -> int:
        """How many batches an epoch has."""
        return self.rows // self.batch_size

    def epoch(self, number: int, *, start: int = 0) -> Iterator[dict[str, Any]]:
        """The batches of one epoch, from the one numbered `start`: where a run stopped, it goes on to the same batches.

        Raises:
            UsageError: if the shards lack one of the groups.
            TruncatedFile, ChecksumMismatch, CorruptFile, DataFileError: if a shard is damaged or gone.
        """
        left = len(self) - start
        skip = start * self.batch_size
        room: dict[str, Any] = {}
        tail: dict[str, Any] | None = None
        for place, window in enumerate(self._windows(number)):
            rows = sum(self._count(shard) for shard in window)
            if skip >= rows:
                skip -= rows
                continue
            room = self._read(window, room)
            order = _generator(self.seed, number, place + 1).permutation(rows)[skip:]
            skip = 0
            if tail is not None:
                missing = self.batch_size - len(jax.tree.leaves(tail)[0])
                tail = jax.tree.map(lambda a, b: np.concatenate([a, b]), tail, _take(room, order[:missing]))
                order = order[missing:]
                if len(jax.tree.leaves(tail)[0]) < self.batch_size:
                    continue
                yield tail
                tail, left = None, left - 1
            whole = min(left, len(order) // self.batch_size)
            for batch in range(whole):
                yield _take(room, order[batch * self.batch_size : (batch + 1) * self.batch_size])
            left -= whole
            if left < 1:
                return
            if len(order) > whole * self.batch_size:
                tail = _take(room, order[whole * self.batch_size :])

    def _count(self, shard: Shard) -> int:
        return shard.rows - shard.failed if self.valid else shard.rows

    def _windows(self, number: int) -> list[list[Shard]]:
        """The epoch's shards in their order, those together that are in memory together."""
        order = _generator(self.seed, number, 0).permutation(len(self.shards))
        windows: list[list[Shard]] = []
        filled = 0
        for shard in (self.shards[i] for i in order if self._count(self.shards[i])):
            if not windows or filled + shard.size > self.buffer:
                windows.append([])
                filled = 0
            windows[-1].append(shard)
            filled += shard.size
        return windows

    def _read(self, window: list[Shard], room: dict[str, Any]) -> dict[str, Any]:
        """The rows of some shards one after the other, in the arrays of the window before where these are large enough."""
        rows = sum(self._count(shard) for shard in window)
        at = 0
        for shard in window:
            part = self._part(shard)
            if not room or len(jax.tree.leaves(room)[0]) < rows:
                room = jax.tree.map(lambda a: np.empty((rows, *a.shape[1:]), a.dtype), part)
            into = slice(at, at + self._count(shard))
            jax.tree.map(lambda a, b, into=into: a.__setitem__(into, b), room, part)
            at = into.stop
        return room

    def _part(self, shard: Shard) -> dict[str, Any]:
        wanted = (*self.groups, "status") if self.valid and "status" not in self.groups else self.groups
        part = read_groups(self.folder / shard.name, wanted)
        if self.valid and shard.failed:
            kept = part["status"] == OK
            part = jax.tree.map(lambda a: a[kept], part)
        found = len(jax.tree.leaves(part)[0])
        if found != self._count(shard):
            raise ChecksumMismatch(
                f"'{self.folder / shard.name}' holds {found} rows; expected {self._count(shard)}, as it is on record; resume the "
                "run with a thorough recovery, which simulates again what is lost"
            )
        return {group: part[group] for group in self.groups}

    __repr__ = fields_text
    _repr_html_ = from_fields


def _take(part: dict[str, Any], rows: Int[np.ndarray, " n"]) -> dict[str, Any]:
    return jax.tree.map(lambda a: a.take(rows, axis=0), part)


def _generator(seed: int, epoch: int, part: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, epoch, part])))
