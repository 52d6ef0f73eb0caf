"""Confidence sets: intervals of one parameter, regions of two."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Real
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from quincunx.plot.scan import finish_curve, mark_best, regions, smooth_curve, square
from quincunx.plot.scan import legend as legend_above
from quincunx.plot.style import drawing, new_figure


def confidence_curve(
    theta: Real[np.ndarray, " n"],
    q: Real[np.ndarray, " n"],
    critical: Real[np.ndarray, "levels n"],
    levels: Sequence[float] | Real[np.ndarray, " levels"],
    intervals: Sequence[Sequence[tuple[float, float]]],
    name: str,
    *,
    best: float | None = None,
    units: Mapping[str, str] | None = None,
    theme: str = "light",
) -> Figure:
    """q of one parameter with its critical value at every level, and the intervals where q is below as bars beneath.

    >>> theta = np.linspace(-3.0, 3.0, 31)
    >>> figure = confidence_curve(theta, theta**2, np.full((1, 31), 3.84), [0.95], [[(-1.96, 1.96)]], "mu")
    >>> len(figure.axes)
    1
    """
    theta, q, critical = (np.asarray(a, float) for a in (theta, q, critical))
    with drawing(theme) as colours:
        figure = new_figure(4.8, 3.7)
        axes = figure.add_subplot()
        top = max(1.6 * float(np.max(critical)), 1.0)
        bar = 0.055 * top
        entries: list[Line2D | Patch] = [Line2D([], [], color=colours.posterior, label="q")]
        alphas = np.linspace(0.75, 0.3, len(levels))
        styles = [(2, 1.5), (5, 2), (7, 2, 1.5, 2)]
        for i, (level, alpha) in enumerate(zip(levels, alphas, strict=True)):
            shade = to_rgba(colours.reference, float(alpha))
            axes.plot(theta, critical[i], color=colours.reference, linewidth=1.2, dashes=styles[i % 3])
            for low, high in intervals[i]:
                axes.fill_between([low, high], -bar * (i + 1.05), -bar * (i + 0.25), color=shade, linewidth=0)
            entries.append(Patch(facecolor=shade, label=f"{100 * float(level):.4g} %"))
        entries.insert(
            1, Line2D([], [], color=colours.reference, linewidth=1.2, dashes=styles[0], label="critical value")
        )
        axes.plot(*smooth_curve(theta, q), color=colours.posterior)
        axes.axhline(0.0, color=colours.muted, linewidth=0.6)
        if best is not None:
            axes.plot(
                [best], [0.0], "+", color=colours.truth, markersize=9, markeredgewidth=1.6, clip_on=False, zorder=5
            )
            entries.append(
                Line2D(
                    [],
                    [],
                    color=colours.truth,
                    marker="+",
                    linestyle="",
                    markersize=8,
                    markeredgewidth=1.6,
                    label="maximum",
                )
            )
        finish_curve(figure, axes, theta, (-bar * (len(levels) + 0.4), top), name, units, entries)
        axes.set_yticks([tick for tick in axes.get_yticks() if 0 <= tick <= top])
    return figure


def confidence_regions(
    axes_values: Sequence[Real[np.ndarray, " _"]],
    q: Real[np.ndarray, "n m"],
    critical: Real[np.ndarray, "levels n m"],
    levels: Sequence[float] | Real[np.ndarray, " levels"],
    names: Sequence[str],
    *,
    best: Real[np.ndarray, "2"] | None = None,
    units: Mapping[str, str] | None = None,
    theme: str = "light",
) -> Figure:
    """The regions of two parameters where q is below its critical value, one shade a level, and the maximum.

    >>> a = np.linspace(-3.0, 3.0, 21)
    >>> q = a[:, None] ** 2 + a**2
    >>> confidence_regions([a, a], q, np.full((1, 21, 21), 5.99), [0.95], ["a", "b"]).axes[0].get_xlabel()
    'a'
    """
    with drawing(theme) as colours:
        figure, axes = square(axes_values, names, units)
        slack = [np.asarray(q, float) - np.asarray(c, float) for c in critical]
        entries = regions(axes, axes_values, slack, [float(level) for level in levels], colours.posterior)
        mark_best(axes, best, colours.truth, entries)
        legend_above(figure, entries)
    return figure
