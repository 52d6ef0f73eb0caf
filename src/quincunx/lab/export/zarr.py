"""A run as one Zarr store: arrays made at their full size before anything is written, in chunks of the shards' rows."""

import os
from pathlib import Path

import numpy as np

from quincunx.errors import MissingExtra
from quincunx.lab.export.place import new_place
from quincunx.run.sharded import ShardedSimulations
from quincunx.run.simulations import Simulations

__all__ = ["to_zarr"]


def to_zarr(run: ShardedSimulations, path: str | os.PathLike[str]) -> Path:
    """Write a run to a new Zarr store, shard by shard, within the memory of one.

    It holds arrays `theta/<name>`, `x` or `x/<name>`, `design/<name>`, `gold/<name>`, `latents/<name>`, `index`, `status` and `round` with
    one leading axis of all simulations, and as attributes the simulator, the columns of the outcome and their units.

    Raises:
        MissingExtra: without zarr. OutputNotEmpty: if there is something of that name.
        NameMismatch, ShapeMismatch: if the shards are not of one simulator. DiskFull, ReadOnlyFolder: if it cannot be written.

    >>> import tempfile, zarr
    >>> from quincunx.run.shards import write_shard
    >>> folder = tempfile.mkdtemp()
    >>> shard = write_shard(Simulations.of({"mu": np.arange(3.0)}, np.ones((3, 2))), folder, key=0)
    >>> store = to_zarr(ShardedSimulations.of(folder, [shard]), Path(folder) / "run.zarr")
    >>> zarr.open_group(store, mode="r")["theta/mu"][:]
    array([0., 1., 2.], dtype=float32)
    """
    try:
        import zarr
    except ModuleNotFoundError as error:
        raise MissingExtra("zarr", "an export to Zarr") from error
    pieces = iter(run)
    first = next(pieces)
    chunk = max(shard.rows for shard in run.shards)
    with new_place(path) as draft:
        group = zarr.open_group(draft, mode="w-")
        group.attrs.update(
            {
                "simulator": first.simulator,
                "parameters": list(first.names),
                "columns": list(first.outcome.columns),
                "units": first.outcome.units,
                "events": first.events,
            }
        )
        made = {
            name: group.create_array(
                name, shape=(len(run), *a.shape[1:]), chunks=(min(chunk, len(run)), *a.shape[1:]), dtype=a.dtype
            )
            for name, a in _arrays(first, 0).items()
        }
        at = 0
        for shard in run.shards:
            piece = first if at == 0 else next(pieces)
            first[:0].concatenate(piece[:0])
            for name, array in _arrays(piece, shard.round).items():
                made[name][at : at + len(piece)] = array
            at += len(piece)
    return Path(path)


def _arrays(sims: Simulations, round: int) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for group in ("theta", "x", "design", "gold", "latents"):
        part = getattr(sims, group)
        if isinstance(part, np.ndarray):
            found[group] = part
        elif part is not None:
            found |= {f"{group}/{name}": array for name, array in part.items()}
    return {**found, "index": sims.index, "status": sims.status, "round": np.full(len(sims), round, np.int32)}
