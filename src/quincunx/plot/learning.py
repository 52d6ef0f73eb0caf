"""Learning curves: how an error falls as simulations are spent."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from quincunx.errors import ShapeMismatch
from quincunx.plot.labels import text
from quincunx.plot.style import drawing, new_figure, rule_lines

_MARKERS = "osD^vPX*<>"
_STROKES = ("-", "--", "-.", ":")


def learning_curves(
    budgets: Mapping[str, Sequence[float]],
    errors: Mapping[str, Sequence[Sequence[float]]],
    *,
    emphasis: Sequence[str] = (),
    levels: Mapping[str, float] | None = None,
    x_label: str = "simulations",
    y_label: str = "mean squared error",
    theme: str = "light",
) -> Figure:
    """Error against budget on logarithmic axes, one line a method through the geometric mean over seeds, a faint dot for each seed.

    `budgets[name]` has one entry and `errors[name]` one sequence, of any number of seeds, for each point of the line. Methods in `emphasis`
    are drawn in colour; every line is named at its right end. `levels` are horizontal lines by name.
    Raises `ShapeMismatch` when they do not fit.

    >>> figure = learning_curves({"alices": [1e3, 1e4]}, {"alices": [[0.1, 0.2], [0.01]]})
    >>> len(figure.axes)
    1
    """
    for name in errors:
        if len(budgets.get(name, ())) != len(errors[name]):
            raise ShapeMismatch(f"got {len(budgets.get(name, ()))} budgets and {len(errors[name])} errors of '{name}'")
    with drawing(theme) as colours:
        palette = (colours.posterior, colours.reference, colours.prior, colours.truth)
        figure = new_figure(6.8, 4.4)
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot(xscale="log", yscale="log")
        rule_lines(axes)
        ends = []
        for i, (name, values) in enumerate(errors.items()):
            at = np.asarray(budgets[name], float)
            means = np.array([np.exp(np.mean(np.log(seeds))) for seeds in values])
            chosen = name in emphasis
            colour = palette[list(emphasis).index(name) % len(palette)] if chosen else colours.muted
            axes.plot(
                at,
                means,
                color=colour,
                marker=_MARKERS[i % len(_MARKERS)],
                markersize=5,
                linestyle="-" if chosen else _STROKES[i % len(_STROKES)],
                linewidth=2.0 if chosen else 1.2,
            )
            for budget, seeds in zip(at, values, strict=True):
                axes.plot([budget] * len(seeds), seeds, ".", color=colour, alpha=0.35, markersize=4)
            ends.append((name, at[-1], means[-1], colour))
        for name, level in (levels or {}).items():
            axes.axhline(level, color=colours.muted, linestyle="--", linewidth=1.0)
            where = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "va": "bottom"}
            axes.annotate(text(name), (0.0, level), xytext=(5, 2), color=colours.muted, fontsize=9, **where)
        _name_ends(axes, ends)
        axes.set_xlabel(text(x_label))
        axes.set_ylabel(text(y_label))
    return figure


def _name_ends(axes, ends) -> None:
    """Names beside the last points, moved apart where they would overlap."""
    low, high = np.log10(axes.get_ylim())
    least = 0.052 * (high - low)
    far = max(at for _, at, _, _ in ends)
    heights: list[float] = []
    for name, at, value, colour in sorted(ends, key=lambda end: end[2]):
        height = float(np.log10(value))
        height = max(height, heights[-1] + least) if heights else height
        heights.append(height)
        axes.annotate(
            text(name),
            (at, value),
            xytext=(far * 1.25, 10**height),
            textcoords="data",
            color=colour,
            fontsize=9,
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "alpha": 0.4, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 4},
        )
    left, _ = axes.get_xlim()
    axes.set_xlim(left, far * 4)
