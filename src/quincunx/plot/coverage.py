"""Expected coverage: how often regions of stated credibility hold the truth."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Real
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from quincunx.errors import ShapeMismatch
from quincunx.plot.intervals import wilson
from quincunx.plot.labels import shortened, text
from quincunx.plot.panels import columns_for, panels
from quincunx.plot.style import drawing


def coverage(
    levels: Real[np.ndarray, " k"],
    empirical: Mapping[str, Real[np.ndarray, " _"]],
    n: int,
    *,
    confidence: float = 0.95,
    theme: str = "light",
) -> Figure:
    """Empirical coverage against credibility, one panel a curve, with Wilson intervals of n tests.

    Below the diagonal the posterior is too sure of itself; stretches where the interval misses the diagonal are marked.

    Raises ShapeMismatch when a curve has another length than `levels`, or there is none.

    >>> levels = np.linspace(0, 1, 11)
    >>> figure = coverage(levels, {"joint (HPD)": levels**1.2, "beta": levels}, 300)
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['joint (HPD)', 'beta']
    """
    levels = np.asarray(levels, dtype=float)
    if not empirical or any(np.shape(curve) != levels.shape for curve in empirical.values()):
        lengths = {name: np.shape(curve) for name, curve in empirical.items()}
        raise ShapeMismatch(
            f"got coverage curves {lengths} for {levels.size} levels, expected one value a level; evaluate "
            "them at `levels`"
        )
    with drawing(theme) as colours:
        figure, grid = panels(len(empirical), height=2.2, width=2.2)
        for index, ((name, curve), (axes,)) in enumerate(zip(empirical.items(), grid, strict=True)):
            values = np.asarray(curve, dtype=float)
            low, high = wilson(values * n, n, confidence)
            axes.plot([0, 1], [0, 1], color=colours.muted, linewidth=0.9, dashes=(4, 2))
            axes.fill_between(levels, low, high, color=colours.posterior, alpha=0.22, linewidth=0)
            axes.plot(levels, values, color=colours.posterior)
            # At the ends coverage is 0 and 1 by construction and says nothing.
            misses = ((low > levels) | (high < levels)) & (levels > 0) & (levels < 1)
            axes.plot(
                levels, np.where(misses, values, np.nan), color=colours.bad, linewidth=2.6, marker=".", markersize=4
            )
            axes.text(
                0.97,
                0.05,
                "overconfident",
                ha="right",
                va="bottom",
                fontsize=7.5,
                color=colours.muted,
                transform=axes.transAxes,
            )
            axes.text(
                0.03,
                0.95,
                "too cautious",
                ha="left",
                va="top",
                fontsize=7.5,
                color=colours.muted,
                transform=axes.transAxes,
            )
            axes.set_title(text(shortened(name, 26)))
            axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
            ticks = [0, 0.5, 1]
            axes.set_xticks(ticks, labels=["0", "0.5", "1"])
            axes.set_yticks(ticks, labels=["0", "0.5", "1"])
            axes.set_xlabel("credibility")
            axes.tick_params(labelleft=index % columns_for(len(grid)) == 0)
            if index % columns_for(len(grid)) == 0:
                axes.set_ylabel("share of truths inside")
        handles = [
            Patch(facecolor=colours.posterior, alpha=0.3, label=f"{100 * confidence:g} % interval, {n} tests"),
            Line2D([], [], color=colours.bad, linewidth=2.6, marker=".", label="differs from nominal"),
        ]
        figure.legend(handles=handles, loc="upper left", ncols=2, borderaxespad=0.4, columnspacing=1.2)
    return figure
