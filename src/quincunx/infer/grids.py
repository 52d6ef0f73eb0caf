"""Which points a likelihood is scanned at: a product grid, a list, or a range found from the maximum."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from quincunx.errors import NameMismatch, ShapeMismatch, UsageError
from quincunx.infer.maximum import Maximum
from quincunx.model import Prior

WIDE = 4.0
"""A range that is found reaches so many standard errors to either side."""


def axes_of(
    prior: Prior, grid: Mapping[str, Any] | int, over: Sequence[str] | None, best: Maximum | None
) -> dict[str, Float[np.ndarray, " _"]]:
    """The values of each scanned parameter; a number n stands for n values within four standard errors of the maximum.

    Raises:
        NameMismatch: for a name that the prior does not have. ShapeMismatch: for a parameter that is an array, or values that are not a list.
        UsageError: if a range cannot be found.

    >>> import numpyro.distributions as dist
    >>> axes_of(Prior(a=dist.Normal(0.0, 1.0)), {"a": [0.0, 1.0]}, None, None)
    {'a': array([0., 1.])}
    """
    names = list(grid) if isinstance(grid, Mapping) else list(over or prior.names)
    unknown = [name for name in names if name not in prior.names]
    if unknown or not names:
        raise NameMismatch(
            f"got a grid of {unknown or 'nothing'}; expected some of {list(prior.names)}; use the parameters' names"
        )
    if over is not None and sorted(names) != sorted(over):
        raise NameMismatch(
            f"got a grid of {names} to scan over {list(over)}; expected the same parameters; leave `over` out"
        )
    arrays = [name for name in names if prior.shapes[name] != ()]
    if arrays:
        raise ShapeMismatch(
            f"got a grid of {arrays}, which are arrays; expected parameters that are single numbers; name each of them"
        )
    if isinstance(grid, Mapping):
        axes = {name: np.asarray(grid[name], np.float64) for name in names}
        for name, axis in axes.items():
            if axis.ndim != 1 or not axis.size or not np.all(np.isfinite(axis)):
                raise ShapeMismatch(
                    f"got values of '{name}' of shape {axis.shape}; expected a list of finite numbers; pass an array (n,)"
                )
        return axes
    return {name: _found(prior, name, grid, best) for name in names}


def product_of(
    prior: Prior, axes: Mapping[str, Float[np.ndarray, " _"]], base: Float[np.ndarray, " d"]
) -> Float[np.ndarray, "n d"]:
    """Flat parameters at every point of a product grid; what is not scanned stays at `base`.

    Raises:
        UsageError: for axes of fewer than two values, or not increasing.
    """
    for name, axis in axes.items():
        if axis.size < 2 or np.any(np.diff(axis) <= 0):
            raise UsageError(
                f"got {axis.size} values of '{name}' for a grid; expected two or more, increasing; sort them"
            )
    mesh = np.meshgrid(*axes.values(), indexing="ij")
    return placed(prior, {name: a.reshape(-1) for name, a in zip(axes, mesh, strict=True)}, base)


def placed(
    prior: Prior, points: Mapping[str, Float[np.ndarray, " n"]], base: Float[np.ndarray, " d"]
) -> Float[np.ndarray, "n d"]:
    """Flat parameters with some numbers put in their columns.

    Raises:
        ShapeMismatch: if lists have different lengths.
    """
    lengths = {name: len(value) for name, value in points.items()}
    if len(set(lengths.values())) != 1:
        raise ShapeMismatch(f"got lists of points of lengths {lengths}; expected one length; pass one value a point")
    flat = np.tile(base, (next(iter(lengths.values())), 1))
    for name, value in points.items():
        flat[:, prior.columns.index(name)] = value
    return flat


def _found(prior: Prior, name: str, n: int, best: Maximum | None) -> Float[np.ndarray, " n"]:
    column = prior.columns.index(name)
    low, high = float(prior.low[column]), float(prior.high[column])
    error = np.nan if best is None else best.standard_errors[name]
    if best is None or not np.isfinite(error):
        if not np.isfinite(high - low):
            raise UsageError(
                f"got no standard error of '{name}' and a prior without bounds; expected one of them to find a range; pass grid={{'{name}': values}}"
            )
        return np.linspace(low, high, n)
    centre = float(best.theta[name])
    return np.linspace(max(low, centre - WIDE * error), min(high, centre + WIDE * error), n)
