"""The likelihood ratio along one parameter or over two."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Real
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.interpolate import Akima1DInterpolator, RectBivariateSpline
from scipy.special import gammaincinv

from quincunx.errors import ShapeMismatch
from quincunx.plot.labels import plain_ticks, units_of, with_unit
from quincunx.plot.style import drawing, new_figure

_TOP = 12.0
_LEVELS = (0.6827, 0.95)


def scan_curve(
    theta: Real[np.ndarray, " n"],
    q: Real[np.ndarray, " n"],
    name: str,
    *,
    best: float | None = None,
    members: Real[np.ndarray, "m n"] | None = None,
    units: Mapping[str, str] | None = None,
    label: str = "likelihood ratio",
    theme: str = "light",
) -> Figure:
    """q against one parameter, with the chi-squared levels that bound 68.27 and 95 % intervals, and an ensemble's members behind.

    Raises ShapeMismatch when q has another length than theta.

    >>> theta = np.linspace(-2.0, 2.0, 41)
    >>> figure = scan_curve(theta, theta**2, "mu", best=0.0, units={"mu": "m"})
    >>> figure.axes[0].get_xlabel()
    'mu [m]'
    """
    theta, q = np.asarray(theta, float), np.asarray(q, float)
    _check(q.shape, theta.shape)
    with drawing(theme) as colours:
        figure = new_figure(4.8, 3.5)
        axes = figure.add_subplot()
        entries = [Line2D([], [], color=colours.posterior, label=label)]
        if members is not None:
            for row in np.asarray(members, float):
                axes.plot(*smooth_curve(theta, row), color=colours.reference, linewidth=0.7, alpha=0.7)
            entries.append(Line2D([], [], color=colours.reference, linewidth=0.7, label="members of the ensemble"))
        axes.plot(*smooth_curve(theta, q), color=colours.posterior)
        top = min(_TOP, 1.08 * float(np.max(q[np.isfinite(q)], initial=4.5)))
        for level in _LEVELS:
            height = 2 * float(gammaincinv(0.5, level))
            if height < top:
                level_line(axes, height, f"{100 * level:.4g} %", colours.muted)
        if best is not None:
            axes.axvline(best, color=colours.truth, linewidth=1.1, dashes=(4, 2))
            entries.append(Line2D([], [], color=colours.truth, linewidth=1.1, dashes=(4, 2), label="maximum"))
        low = min(0.0, -0.02 * top if members is None else 1.1 * float(np.min(np.asarray(members))))
        finish_curve(figure, axes, theta, (max(low, -0.35 * top), top), name, units, entries)
    return figure


def scan_map(
    axes_values: Sequence[Real[np.ndarray, " _"]],
    q: Real[np.ndarray, "n m"],
    names: Sequence[str],
    *,
    best: Real[np.ndarray, "2"] | None = None,
    members: Real[np.ndarray, "k n m"] | None = None,
    units: Mapping[str, str] | None = None,
    label: str = "likelihood ratio",
    theme: str = "light",
) -> Figure:
    """q over two parameters: regions at the chi-squared levels (two degrees) of 68.27 and 95 %, with the members' 95 % lines behind.

    Raises ShapeMismatch when q does not fit the two axes.

    >>> a, b = np.linspace(-3.0, 3.0, 31), np.linspace(-3.0, 3.0, 21)
    >>> scan_map([a, b], a[:, None] ** 2 + b**2, ["a", "b"]).axes[0].get_ylabel()
    'b'
    """
    q = np.asarray(q, float)
    _check(q.shape, tuple(len(a) for a in axes_values))
    cuts = [2 * float(gammaincinv(1.0, level)) for level in _LEVELS]
    with drawing(theme) as colours:
        figure, axes = square(axes_values, names, units)
        entries: list[Patch | Line2D] = regions(
            axes, axes_values, [q - cut for cut in cuts], _LEVELS, colours.posterior
        )
        axes.set_title(label)
        if members is not None:
            for row in np.asarray(members, float):
                *at, finite = _finer(axes_values, row - cuts[-1])
                axes.contour(*at, finite.T, levels=[0.0], colors=[colours.reference], linewidths=0.7)
            entries.append(Line2D([], [], color=colours.reference, linewidth=0.7, label="members, 95 %"))
        mark_best(axes, best, colours.truth, entries)
        legend(figure, entries)
    return figure


def level_line(axes: Axes, height: float, said: str, colour: str) -> None:
    """A horizontal rule with its level written above its right end."""
    axes.axhline(height, color=colour, linewidth=0.8, dashes=(4, 2), zorder=0)
    axes.annotate(
        said, (1.0, height), xycoords=("axes fraction", "data"), xytext=(-2, 2), textcoords="offset points",
        ha="right", va="bottom", fontsize=7.5, color=colour,
    )  # fmt: skip


def finish_curve(
    figure: Figure,
    axes: Axes,
    theta: Float[np.ndarray, " n"],
    heights: tuple[float, float],
    name: str,
    units: Mapping[str, str] | None,
    entries: Sequence[Line2D | Patch],
) -> None:
    """Limits, ticks, labels and the legend of a curve over one parameter."""
    axes.set_xlim(float(theta[0]), float(theta[-1]))
    axes.set_ylim(*heights)
    exponent = plain_ticks(axes.xaxis, float(theta[0]), float(theta[-1]), count=7)
    axes.set_xlabel(with_unit(name, units_of([name], units)[0], exponent))
    axes.set_ylabel("q = −2 log ratio")
    legend(figure, entries)


def square(
    axes_values: Sequence[Real[np.ndarray, " _"]], names: Sequence[str], units: Mapping[str, str] | None
) -> tuple[Figure, Axes]:
    """A figure with one panel for two parameters, labelled, with room for a legend above."""
    figure = new_figure(4.6, 4.4)
    axes = figure.add_subplot()
    limits = [(float(a[0]), float(a[-1])) for a in axes_values]
    axes.set(xlim=limits[0], ylim=limits[1])
    known = units_of(names, units)
    axes.set_xlabel(with_unit(names[0], known[0], plain_ticks(axes.xaxis, *limits[0], count=4)))
    axes.set_ylabel(with_unit(names[1], known[1], plain_ticks(axes.yaxis, *limits[1], count=4)))
    return figure, axes


def regions(
    axes: Axes,
    axes_values: Sequence[Real[np.ndarray, " _"]],
    slack: Sequence[Real[np.ndarray, "n m"]],
    levels: Sequence[float],
    colour: str,
) -> list[Patch | Line2D]:
    """Where each slack is not positive, the largest region palest; returns what the legend says of them."""
    entries: list[Patch | Line2D] = []
    shades = np.linspace(0.55, 0.2, len(levels))
    for values, level, alpha in reversed(list(zip(slack, levels, shades, strict=True))):
        *at, finite = _finer(axes_values, np.where(np.isfinite(values), values, 1e6))
        axes.contourf(*at, finite.T, levels=[-1e9, 0.0], colors=[to_rgba(colour, float(alpha))])
        axes.contour(*at, finite.T, levels=[0.0], colors=[colour], linewidths=1.0)
        entries.insert(
            0, Patch(facecolor=to_rgba(colour, float(alpha)), edgecolor=colour, label=f"{100 * level:.4g} %")
        )
    return entries


def mark_best(axes: Axes, best: Real[np.ndarray, "2"] | None, colour: str, entries: list[Patch | Line2D]) -> None:
    """A cross at the maximum, on top and not cut off at the edge."""
    if best is None:
        return
    axes.plot(
        float(best[0]), float(best[1]), "+", color=colour, markersize=9, markeredgewidth=1.6, clip_on=False, zorder=5
    )
    entries.append(
        Line2D([], [], color=colour, marker="+", linestyle="", markersize=8, markeredgewidth=1.6, label="maximum")
    )


def legend(figure: Figure, entries: Sequence[Line2D | Patch]) -> None:
    """The legend in a strip above the panel, in as many rows as its words need."""
    width, height = (float(size) for size in figure.get_size_inches())
    # a handle with its gaps is as wide as seven letters, and a letter a fifteenth of an inch
    columns = len(entries)
    while columns > 1 and sum(_widest(entries, columns)) / 15 > width:
        columns -= 1
    rows = -(-len(entries) // columns)
    figure.set_layout_engine(
        "constrained", w_pad=0.08, h_pad=0.06, rect=(0.0, 0.0, 1.0, 1.0 - (0.18 + 0.18 * rows) / height)
    )
    figure.legend(
        handles=list(entries),
        loc="upper left",
        ncols=columns,
        borderaxespad=0.4,
        columnspacing=1.2,
        handlelength=1.8,
    )


def _widest(entries: Sequence[Line2D | Patch], columns: int) -> list[int]:
    """The letters in the widest entry of each column; a legend is filled column by column."""
    rows = -(-len(entries) // columns)
    return [
        max(len(str(entry.get_label())) + 7 for entry in entries[i : i + rows]) for i in range(0, len(entries), rows)
    ]


def smooth_curve(theta: Float[np.ndarray, " n"], q: Float[np.ndarray, " n"]) -> tuple[np.ndarray, np.ndarray]:
    """A curve through the points that makes no extrema of its own; where values are not finite, the points as they are.

    >>> fine, values = smooth_curve(np.arange(4.0), np.arange(4.0) ** 2)
    >>> len(fine) > 100, float(values[-1])
    (True, 9.0)
    """
    if len(theta) < 3 or not np.all(np.isfinite(q)):
        return theta, q
    fine = np.unique(np.concatenate([theta, np.linspace(theta[0], theta[-1], 400)]))
    return fine, Akima1DInterpolator(theta, q)(fine)


def _finer(axes_values: Sequence[np.ndarray], values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values over a grid fine enough for outlines without corners: their cubic spline."""
    a, b = (np.asarray(axis, float) for axis in axes_values)
    if min(values.shape) < 4 or np.max(values) >= 1e6:
        return a, b, values
    fine = [np.linspace(axis[0], axis[-1], max(161, len(axis))) for axis in (a, b)]
    return fine[0], fine[1], RectBivariateSpline(a, b, values)(*fine)


def _check(got: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if got != expected:
        raise ShapeMismatch(
            f"got q of shape {got}, expected {expected} as the parameter values have; evaluate it there"
        )
