"""How narrow a posterior became with what was spent, and the intervals of several answers side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Real
from matplotlib.figure import Figure

from quincunx.errors import ShapeMismatch
from quincunx.plot.labels import shortened, text, units_of, with_unit
from quincunx.plot.panels import check_names, columns_for, panels
from quincunx.plot.style import drawing, rule_lines


def widths(
    cost: Real[np.ndarray, " k"],
    sd: Real[np.ndarray, "k d"],
    names: Sequence[str],
    *,
    expected: tuple[Real[np.ndarray, " e"], Real[np.ndarray, "e d"], Real[np.ndarray, "e d"]] | None = None,
    units: Mapping[str, str] | None = None,
    theme: str = "light",
) -> Figure:
    """The posterior's standard deviation of every parameter against what was spent, from before the first experiment on.

    `expected` are the cost, the mean widths and their standard errors of a rehearsal, drawn as a band of two errors. Raises ShapeMismatch
    where shapes differ.

    >>> figure = widths(np.array([0.0, 1.0, 2.0]), np.array([[1.0], [0.5], [0.4]]), ["a"])
    >>> figure.axes[0].get_ylabel()
    'sd of a'
    """
    cost, sd = np.asarray(cost, float), np.asarray(sd, float)
    if sd.ndim != 2 or len(cost) != len(sd) or not len(cost):
        raise ShapeMismatch(f"got {cost.shape} costs and {sd.shape} widths, expected (k,) and (k, d), at least one")
    check_names(names, sd.shape[1], "sd")
    labels = units_of(names, units)
    with drawing(theme) as colours:
        figure, grid = panels(sd.shape[1], height=2.4, width=3.2 if sd.shape[1] > 1 else 5.6)
        for column, (axes,) in enumerate(grid):
            rule_lines(axes)
            if expected is not None:
                at, mean, error = (np.asarray(one, float) for one in expected)
                low, high = mean[:, column] - 2 * error[:, column], mean[:, column] + 2 * error[:, column]
                axes.fill_between(at, low, high, color=colours.prior, alpha=0.25, linewidth=0, label="rehearsed")
                axes.plot(at, mean[:, column], color=colours.prior, dashes=(5, 2), linewidth=1.0)
            axes.plot(cost, sd[:, column], color=colours.posterior, marker="o", markersize=4, label="this run")
            axes.set_ylim(0, None)
            axes.set_ylabel(with_unit(f"sd of {names[column]}", labels[column]))
            if column >= len(grid) - columns_for(len(grid)):
                axes.set_xlabel("spent")
        if expected is not None:
            handles, said = grid[0][0].get_legend_handles_labels()
            figure.legend(handles, said, loc="upper left", ncols=2, borderaxespad=0.4, columnspacing=1.2)
    return figure


def compared_intervals(
    rows: Sequence[str], summaries: Mapping[str, Sequence[Mapping[str, Any] | None]], *, theme: str = "light"
) -> Figure:
    """For every parameter one panel with a line for each answer: its mean, its 68 % (thick) and its 95 % interval (thin).

    `summaries` holds for each parameter one mapping a row, with "mean", "68% low" and so on, or None where an answer has no such parameter.
    Raises ShapeMismatch where there is nothing to compare.

    >>> one = {"mean": 0.0, "68% low": -1.0, "68% high": 1.0, "95% low": -2.0, "95% high": 2.0}
    >>> figure = compared_intervals(["first", "second"], {"a": [one, None]})
    >>> figure.axes[0].get_xlabel()
    'a'
    """
    if not summaries or any(len(found) != len(rows) for found in summaries.values()):
        raise ShapeMismatch(f"got {len(rows)} rows and {len(summaries)} parameters, expected one summary a row of each")
    with drawing(theme) as colours:
        figure, grid = panels(len(summaries), height=0.7 + 0.36 * len(rows), width=3.6)
        across = columns_for(len(grid))
        for index, ((name, found), (axes,)) in enumerate(zip(summaries.items(), grid, strict=True)):
            for row, one in enumerate(found):
                if one is None:
                    continue
                axes.hlines(row, one["95% low"], one["95% high"], color=colours.posterior, linewidth=1.2)
                axes.hlines(row, one["68% low"], one["68% high"], color=colours.posterior, linewidth=4.0)
                axes.plot(
                    [one["mean"]], [row], "o", color=colours.surface, markeredgecolor=colours.posterior, markersize=5
                )
            axes.set_ylim(len(rows) - 0.5, -0.5)
            axes.set_yticks(
                range(len(rows)), [shortened(row, 24) for row in rows] if index % across == 0 else [""] * len(rows)
            )
            axes.set_xlabel(text(name))
            axes.grid(axis="x", color=colours.grid, linewidth=0.6)
    return figure
