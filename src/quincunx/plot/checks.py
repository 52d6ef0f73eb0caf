"""Pictures of a report of checks, from the arrays behind its tests by the tests' names."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Integer
from matplotlib.figure import Figure

from quincunx.plot.coverage import coverage
from quincunx.plot.ranks import sbc_ranks

__all__ = ["checked_coverage", "checked_ranks", "ranks_among"]

Details = Mapping[str, Mapping[str, Any]]


def ranks_among(ranks: Integer[np.ndarray, " n"], own: int, draws: int) -> Integer[np.ndarray, " n"]:
    """Ranks among `own` draws, put where they fall among `draws`: uniform ranks stay uniform.

    >>> ranks_among(np.array([0, 4, 9]), 9, 9).tolist()
    [0, 4, 9]
    """
    if own == draws:
        return np.asarray(ranks)
    within = np.random.default_rng(0).random(len(ranks))
    return np.minimum((ranks + within) * (draws + 1) / (own + 1), draws).astype(int)


def checked_ranks(
    details: Details,
    *,
    band: tuple[Float[np.ndarray, " z"], Float[np.ndarray, " z"], Float[np.ndarray, " z"]] | None = None,
    theme: str = "light",
) -> Figure | None:
    """Rank histograms of the tests called "sbc: ...", each with `ranks` and `draws`; None where there is no such test.

    >>> checked_ranks({"coverage": {}}) is None
    True
    """
    ranked = {name.removeprefix("sbc: "): found for name, found in details.items() if name.startswith("sbc: ")}
    if not ranked:
        return None
    draws = int(next(iter(ranked.values()))["draws"])
    ranks = np.stack([ranks_among(np.asarray(f["ranks"]), int(f["draws"]), draws) for f in ranked.values()], axis=1)
    return sbc_ranks(ranks, draws, list(ranked), band=band, theme=theme)


def checked_coverage(details: Details, n: int, *, theme: str = "light") -> Figure | None:
    """Coverage in n simulations of highest-density regions and of random points (TARP), of those of the two tests that there are; None
    without any.

    >>> checked_coverage({"sbc: a": {}}, 300) is None
    True
    """
    levels, curves = None, {}
    if "coverage" in details:
        found = details["coverage"]
        levels = np.asarray(found["levels"])
        curves["highest density"] = np.asarray(found["coverage"])
    if "tarp" in details:
        fractions = np.asarray(details["tarp"]["fractions"])
        levels = np.linspace(0.05, 0.95, 19) if levels is None else levels
        curves["random points"] = np.mean(fractions[:, None] <= levels, axis=0)
    return None if levels is None else coverage(levels, curves, n, theme=theme)
