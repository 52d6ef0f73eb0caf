"""A run as one flat Parquet table, to be asked with DuckDB, Polars or pandas."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from quincunx.errors import MissingExtra
from quincunx.lab.export.place import new_place
from quincunx.model.prior import columns_of
from quincunx.run.sharded import ShardedSimulations
from quincunx.run.simulations import Simulations

__all__ = ["to_parquet"]


def to_parquet(run: ShardedSimulations, path: str | os.PathLike[str]) -> Path:
    """Write a run to a new Parquet file with one row for each simulation (for sets, for each event), a row group for each shard.

    Columns are `round`, `simulation`, for sets `event`, `status`, the parameters, the settings, and every number of x under the name it
    has in the outcome, or behind `x.` where a parameter or a setting is called the same.

    Raises:
        MissingExtra: without pyarrow. OutputNotEmpty: if there is something of that name.
        NameMismatch, ShapeMismatch: if the shards are not of one simulator. DiskFull, ReadOnlyFolder: if it cannot be written.

    >>> import tempfile, pyarrow.parquet
    >>> from quincunx.run.shards import write_shard
    >>> folder = tempfile.mkdtemp()
    >>> shard = write_shard(Simulations.of({"mu": np.arange(3.0)}, np.ones((3, 2))), folder, key=0)
    >>> table = pyarrow.parquet.read_table(to_parquet(ShardedSimulations.of(folder, [shard]), Path(folder) / "run.parquet"))
    >>> table.column_names
    ['round', 'simulation', 'status', 'mu', 'x[0]', 'x[1]']
    """
    try:
        import pyarrow
        from pyarrow.parquet import ParquetWriter
    except ModuleNotFoundError as error:
        raise MissingExtra("parquet", "an export to Parquet") from error
    pieces = iter(run)
    first = next(pieces)
    table = pyarrow.table(_columns(first, run.shards[0].round))
    with new_place(path) as draft, ParquetWriter(draft, table.schema) as writer:
        writer.write_table(table, row_group_size=table.num_rows)
        for shard, piece in zip(run.shards[1:], pieces):
            first[:0].concatenate(piece[:0])
            table = pyarrow.table(_columns(piece, shard.round))
            writer.write_table(table, row_group_size=table.num_rows)
    return Path(path)


def _columns(sims: Simulations, round: int) -> dict[str, np.ndarray]:
    x = sims.x_flat()
    each = x.shape[1] if sims.events else 1
    columns: dict[str, np.ndarray] = {
        "round": np.full(len(sims) * each, round, np.int32),
        "simulation": np.repeat(sims.index, each),
    }
    if sims.events:
        columns["event"] = np.tile(np.arange(each, dtype=np.int32), len(sims))
    columns["status"] = np.repeat(sims.status, each)
    settings = {} if sims.design is None else dict(sims.design)
    for named in ({name: sims.theta[name] for name in sims.names}, settings):
        for name, array in named.items():
            flat = np.asarray(array).reshape(len(sims), -1)
            columns |= _named(columns_of(name, array.shape[1:]), np.repeat(flat, each, axis=0), columns, "design.")
    return columns | _named(sims.outcome.columns, x.reshape(-1, x.shape[-1]), columns, "x.")


def _named(names: Sequence[str], flat: np.ndarray, taken: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {
        f"{prefix}{name}" if name in taken else name: np.ascontiguousarray(column)
        for name, column in zip(names, flat.T)
    }
