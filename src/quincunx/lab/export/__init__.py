"""Runs for those who work with other tools: Zarr, Parquet, ArviZ's DataTree; and studies for other schedulers."""

from quincunx.lab.export.datatree import to_datatree, write_datatree
from quincunx.lab.export.parquet import to_parquet
from quincunx.lab.export.reana import to_reana
from quincunx.lab.export.snakemake import to_snakemake
from quincunx.lab.export.steps import Steps
from quincunx.lab.export.yadage import to_yadage
from quincunx.lab.export.zarr import to_zarr

__all__ = ["Steps", "to_datatree", "to_parquet", "to_reana", "to_snakemake", "to_yadage", "to_zarr", "write_datatree"]
