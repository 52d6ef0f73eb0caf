"""Draws in the format of the ecosystem: ArviZ's DataTree, names kept."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def to_datatree(
    draws: Mapping[str, np.ndarray],
    *,
    prior: Mapping[str, np.ndarray] | None = None,
    observed: Mapping[str, np.ndarray] | None = None,
    units: Mapping[str, str] | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Any:
    """An xarray DataTree with groups `posterior`, `prior` and `observed_data`; draws (n, ...) become one chain, (1, n, ...).

    >>> import numpy as np
    >>> tree = to_datatree({"mu": np.zeros(10)}, observed={"x": np.ones(3)}, units={"mu": "m"})
    >>> tree["posterior"]["mu"].dims, tree["posterior"]["mu"].attrs["units"]
    (('chain', 'draw'), 'm')
    """
    from arviz_base import from_dict

    groups = {"posterior": {name: np.asarray(a)[None] for name, a in draws.items()}}
    if prior is not None:
        groups["prior"] = {name: np.asarray(a)[None] for name, a in prior.items()}
    if observed is not None:
        groups["observed_data"] = {name: np.asarray(a) for name, a in observed.items()}
    tree = from_dict(groups)
    tree.attrs.update(attributes or {})
    for name, unit in (units or {}).items():
        for group in ("posterior", "prior"):
            if group in groups:
                tree[group][name].attrs["units"] = unit
    return tree
