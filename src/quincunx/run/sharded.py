"""A whole run in its shards: looked at lazily, read by round and number, or streamed in minibatches."""

import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from quincunx.errors import UnknownRun, UsageError
from quincunx.notebook import from_repr
from quincunx.run.shards import Shard, read_shard, shard_named, shard_of
from quincunx.run.simulations import Simulations
from quincunx.run.stream import Stream

__all__ = ["ShardedSimulations"]


@dataclass(frozen=True)
class ShardedSimulations:
    """The simulations of many shards in the order of round and number, of which nothing is in memory until it is asked for.

    `run[10:20]` are rows in this order, `run[round, index]` the simulation of that number, `run[round, [3, 5]]` several; each is a
    `Simulations`. Iterating gives one `Simulations` for each shard; `load()` all in one; `stream(...)` minibatches for training.

    Raises:
        UnknownRun: if there is no shard at all.

    >>> import tempfile
    >>> from quincunx.run.shards import write_shard
    >>> sims = Simulations.of({"mu": np.arange(6.0)}, np.ones((6, 2)))
    >>> folder = tempfile.mkdtemp()
    >>> run = ShardedSimulations.of(folder, [write_shard(sims[i : i + 3], folder, key=0) for i in (3, 0)])
    >>> run
    ShardedSimulations: 6 in 2 shards of 1 round, none failed
    >>> run[0, 4].theta["mu"], run[2:4].theta["mu"]
    (array([4.], dtype=float32), array([2., 3.], dtype=float32))
    """

    folder: Path
    shards: tuple[Shard, ...]

    @classmethod
    def of(cls, folder: str | os.PathLike[str], shards: Sequence[Shard] | None = None) -> "ShardedSimulations":
        """The shards of a folder: those given, or every one that is found there (each is read once).

        Raises:
            UnknownRun: if there is none.
            TruncatedFile, ChecksumMismatch, CorruptFile, SchemaTooNew: if one that is found cannot be read.
        """
        path = Path(folder)
        if shards is None:
            names = sorted(found.name for found in path.glob("*.npz") if shard_named(found.name))
            shards = list({(s.round, s.first): s for s in (shard_of(path / name) for name in names)}.values())
        if not shards:
            raise UnknownRun(f"'{path}' holds no shards; expected at least one; simulate first")
        return cls(path, tuple(sorted(shards, key=lambda s: (s.round, s.first))))

    def __len__(self) -> int:
        return int(self._ends[-1])

    @cached_property
    def _ends(self) -> Int[np.ndarray, " shards"]:
        return np.cumsum([shard.rows for shard in self.shards])

    @property
    def rounds(self) -> tuple[int, ...]:
        """The rounds there are."""
        return tuple(sorted({shard.round for shard in self.shards}))

    @property
    def failure_rate(self) -> float:
        """The share of simulations without a finite outcome."""
        return sum(shard.failed for shard in self.shards) / len(self)

    def paths(self) -> tuple[Path, ...]:
        """The files, in order."""
        return tuple(self.folder / shard.name for shard in self.shards)

    def __iter__(self) -> Iterator[Simulations]:
        return (read_shard(path) for path in self.paths())

    def __getitem__(self, which: Any) -> Simulations:
        if isinstance(which, slice):
            first, last, step = which.indices(len(self))
            return self._rows(np.arange(first, last, step))
        if not isinstance(which, tuple) or len(which) != 2:
            raise UsageError(f"got {which!r}; expected rows first:last, or a round and a number; write run[0, 17]")
        round, index = which
        return self._rows(np.array([self._row_of(int(round), int(i)) for i in np.atleast_1d(index)], np.int64))

    def _row_of(self, round: int, index: int) -> int:
        at = bisect_right(self.shards, (round, index), key=lambda s: (s.round, s.first)) - 1
        shard = self.shards[at] if at >= 0 else None
        if shard is None or shard.round != round or not shard.first <= index < shard.first + shard.rows:
            raise UnknownRun(
                f"there is no simulation {index} of round {round}; expected one of rounds {list(self.rounds)} that is done; "
                "see the run's status"
            )
        return int(self._ends[at]) - shard.rows + index - shard.first

    def _rows(self, rows: Int[np.ndarray, " n"]) -> Simulations:
        """Rows in any order, each shard read once."""
        if not len(rows):
            return read_shard(self.paths()[0])[:0]
        homes = np.searchsorted(self._ends, rows, side="right")
        order = np.argsort(homes, kind="stable")
        parts = []
        for home in np.unique(homes):
            start = int(self._ends[home]) - self.shards[home].rows
            parts.append(_recent(self.folder / self.shards[home].name)[rows[homes == home] - start])
        return parts[0].concatenate(*parts[1:])[np.argsort(order)]

    def load(self) -> Simulations:
        """All in memory at once, as `simulate` returns them.

        Raises:
            NameMismatch, ShapeMismatch: if the shards are not of one simulator.
        """
        pieces = iter(self)
        first = next(pieces)
        groups = ("theta", "x", "status", "index", "design", "gold", "latents")
        arrays = {name: _room(_plain(getattr(first, name)), len(self)) for name in groups}
        messages: dict[int, str] = {}
        at = 0
        for piece in chain((first,), pieces):
            # No rows are joined here: it is asked whether they could be.
            first[:0].concatenate(piece[:0])
            rows = slice(at, at + len(piece))
            for name in groups:
                part = _plain(getattr(piece, name))
                jax.tree.map(lambda into, a, rows=rows: into.__setitem__(rows, a), arrays[name], part)
            messages.update({at + row: said for row, said in (piece.messages or {}).items()})
            at = rows.stop
        return replace(first, **arrays, messages=messages)

    def stream(
        self,
        batch_size: int,
        *,
        seed: int,
        groups: tuple[str, ...] = ("theta", "x"),
        valid: bool = False,
        buffer: int = 64 * 2**20,
    ) -> Stream:
        """Shuffled minibatches of `batch_size` rows, within `buffer` bytes and a shard of memory (see `Stream`)."""
        return Stream(self.folder, self.shards, batch_size, seed, groups, valid, buffer)

    def __repr__(self) -> str:
        rate = self.failure_rate
        went = f"{100 * rate:.3g} % failed" if rate else "none failed"
        count = len(self.rounds)
        return f"ShardedSimulations: {len(self)} in {len(self.shards)} shards of {count} round{'s' if count > 1 else ''}, {went}"

    _repr_html_ = from_repr


@lru_cache(maxsize=2)
def _recent(path: Path) -> Simulations:
    """A shard that was just read is often asked again, and never changes."""
    return read_shard(path)


def _plain(part: Any) -> Any:
    return dict(part) if hasattr(part, "items") else part


def _room(part: Any, n: int) -> Any:
    return jax.tree.map(lambda a: np.empty((n, *a.shape[1:]), a.dtype), part)
