"""Runs for those who work with other tools: Zarr, Parquet, and ArviZ's DataTree."""

from quincunx.lab.export.datatree import to_datatree
from quincunx.lab.export.parquet import to_parquet
from quincunx.lab.export.zarr import to_zarr

__all__ = ["to_datatree", "to_parquet", "to_zarr"]
