"""Simulations in the format of the ecosystem: ArviZ's DataTree, with the groups that its plots look for."""

import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np

from quincunx.errors import MissingExtra
from quincunx.lab.export.place import new_place
from quincunx.run.simulations import Simulations

__all__ = ["to_datatree", "write_datatree"]


def to_datatree(sims: Simulations, *, posterior: Any = None) -> Any:
    """An xarray DataTree with groups `prior` (parameters), `prior_predictive` (outcomes), `sample_stats_prior` (status) and, where there
    are settings, `prior_constant_data`; n simulations become one chain, (1, n, ...).

    `posterior` is a tree with more groups, such as `Posterior.to_arviz` gives, which are kept as they are; its `prior` gives way to the
    parameters that were simulated. Failed simulations are in it, with their status, since leaving them out would change the prior.

    >>> tree = to_datatree(Simulations.of({"mu": np.zeros(10)}, np.ones((10, 3))))
    >>> tree["prior"]["mu"].dims, tree["prior_predictive"]["x"].shape
    (('chain', 'draw'), (1, 10, 3))
    """
    from arviz_base import from_dict

    x = sims.x if sims.outcome.keyed else {sims.outcome.names[0]: sims.x}
    groups = {
        "prior": {name: np.asarray(sims.theta[name])[None] for name in sims.names},
        "prior_predictive": {name: np.asarray(array)[None] for name, array in x.items()},
        "sample_stats_prior": {"status": sims.status[None], "simulation": sims.index[None]},
    }
    if sims.design is not None:
        groups["prior_constant_data"] = {name: np.array(array)[None] for name, array in sims.design.items()}
    tree = from_dict(groups)
    tree.attrs.update({"simulator": sims.simulator})
    for name, unit in sims.outcome.units.items():
        if name in tree["prior_predictive"].data_vars:
            tree["prior_predictive"][name].attrs["units"] = unit
    for name, group in () if posterior is None else posterior.children.items():
        if name not in groups:
            tree[name] = group.copy()
    return tree


def write_datatree(sims: Simulations, path: str | os.PathLike[str], *, posterior: Any = None) -> Path:
    """Write the tree of `to_datatree` to a new Zarr store, which `xarray.open_datatree(path, engine="zarr")` opens.

    Raises:
        MissingExtra: without zarr. OutputNotEmpty: if there is something of that name. DiskFull, ReadOnlyFolder: if it cannot be written.

    >>> import tempfile, xarray
    >>> sims = Simulations.of({"mu": np.zeros(10)}, np.ones((10, 3)))
    >>> path = write_datatree(sims, tempfile.mkdtemp() + "/run.zarr")
    >>> sorted(xarray.open_datatree(path, engine="zarr").children)
    ['prior', 'prior_predictive', 'sample_stats_prior']
    """
    if importlib.util.find_spec("zarr") is None:
        raise MissingExtra("zarr", "an ArviZ tree in a Zarr store")
    with new_place(path) as draft:
        to_datatree(sims, posterior=posterior).to_zarr(draft, mode="w-")
    return Path(path)
