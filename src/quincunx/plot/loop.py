"""The picture of the loop: simulate, learn, infer, check, design, the experiment, and round again."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from scipy.special import binom

from quincunx.plot.density import density_2d
from quincunx.plot.style import Theme, drawing, new_figure

# Inches on a canvas of 10 x 6: cards three across and two down, walked clockwise.
_CANVAS = (10.0, 6.05)
_CARD = (2.86, 2.62)
_COLUMNS = (0.12, 3.57, 7.02)
_ROWS = (3.3, 0.13)

_STEPS = (
    ("simulate", "what theory says would happen", 0, 0),
    ("learn", "a functional, a network, one fit", 1, 0),
    ("infer", "what the data say about it", 2, 0),
    ("check", "is the answer right?", 2, 1),
    ("design", "what to measure next", 1, 1),
    ("the experiment", "what did happen", 0, 1),
)


def loop(*, theme: str = "light") -> Figure:
    """The loop of the scientific method over a simulator: six cards, each with a small picture of its own kind.

    >>> figure = loop(theme="dark")
    >>> [round(float(inches), 2) for inches in figure.get_size_inches()]
    [10.0, 6.05]
    """
    icons: tuple[Callable[[Axes, Theme], None], ...] = (
        _galton_board,
        _network,
        _posterior,
        _calibration,
        _gain,
        _measurement,
    )
    with drawing(theme) as colours:
        figure = new_figure(*_CANVAS)
        ground = figure.add_axes((0, 0, 1, 1))
        ground.set(xlim=(0, _CANVAS[0]), ylim=(0, _CANVAS[1]))
        ground.set_axis_off()
        for (title, caption, column, row), icon in zip(_STEPS, icons, strict=True):
            _card(ground, title, caption, _COLUMNS[column], _ROWS[row], colours)
            inset = figure.add_axes(_inset(column, row))
            inset.set_axis_off()
            icon(inset, colours)
        _arrows(ground, colours)
    return figure


def _inset(column: int, row: int) -> tuple[float, float, float, float]:
    left, bottom = _COLUMNS[column] + 0.32, _ROWS[row] + 0.16
    return left / _CANVAS[0], bottom / _CANVAS[1], (_CARD[0] - 0.64) / _CANVAS[0], (_CARD[1] - 1.02) / _CANVAS[1]


def _card(ground: Axes, title: str, caption: str, left: float, bottom: float, colours: Theme) -> None:
    yours = title == "the experiment"
    accent = colours.reference if yours else colours.posterior
    box = FancyBboxPatch(
        (left, bottom), *_CARD, boxstyle="round,pad=0,rounding_size=0.16", facecolor=colours.surface,
        edgecolor=accent if yours else colours.grid, linewidth=1.6, linestyle=(0, (4, 2)) if yours else "-", zorder=2,
    )  # fmt: skip
    ground.add_patch(box)
    ground.text(left + 0.2, bottom + _CARD[1] - 0.4, title, fontsize=16, fontweight="bold", color=accent, zorder=3)
    ground.text(left + 0.2, bottom + _CARD[1] - 0.7, caption, fontsize=11.2, color=colours.ink, zorder=3)


def _arrows(ground: Axes, colours: Theme) -> None:
    width, height = _CARD
    gap = 0.07
    paths = []
    for row, direction in ((0, 1), (1, -1)):
        middle = _ROWS[row] + height / 2
        for column in (0, 1):
            start, stop = _COLUMNS[column] + width + gap, _COLUMNS[column + 1] - gap
            paths.append(((start, middle), (stop, middle)) if direction > 0 else ((stop, middle), (start, middle)))
    low, high = _ROWS[1] + height + gap, _ROWS[0] - gap
    paths.append(((_COLUMNS[2] + width / 2, high), (_COLUMNS[2] + width / 2, low)))
    paths.append(((_COLUMNS[0] + width / 2, low), (_COLUMNS[0] + width / 2, high)))
    for tail, tip in paths:
        arrow = FancyArrowPatch(
            tail,
            tip,
            arrowstyle="simple,head_length=9,head_width=13,tail_width=4",
            color=colours.muted,
            linewidth=0,
            zorder=1,
        )
        ground.add_patch(arrow)


def _galton_board(axes: Axes, colours: Theme) -> None:
    rows, top = 8, 8.0
    for row in range(rows):
        x = np.arange(row + 1) - row / 2
        axes.plot(x, np.full(row + 1, top - row), "o", color=colours.muted, markersize=3.0)
    steps = np.array([1, -1, 1, 1, -1, 1, -1, 1]) / 2
    fall = np.concatenate([[0.0], np.cumsum(steps)])
    heights = np.concatenate([[top + 0.45], top - np.arange(rows) - 0.5])
    path_x, path_y = np.repeat(fall, 2)[1:], np.repeat(heights, 2)[:-1]
    axes.plot(path_x, path_y, color=colours.reference, linewidth=1.8, solid_joinstyle="round")
    axes.plot(0, top + 0.75, "o", color=colours.reference, markersize=7)
    slots = np.arange(rows + 1) - rows / 2
    weights = binom(rows, np.arange(rows + 1))
    bars = 2.6 * weights / weights.max()
    axes.bar(slots, bars, width=0.86, bottom=-2.9, color=colours.posterior)
    landed = int(round(fall[-1] + rows / 2))
    axes.bar(slots[landed], 0.34, width=0.86, bottom=-2.9 + bars[landed], color=colours.reference)
    axes.set(xlim=(-5.4, 5.4), ylim=(-2.95, 9.3))


def _network(axes: Axes, colours: Theme) -> None:
    layers = [(0.0, 3), (1.0, 5), (2.0, 5), (3.0, 2)]
    nodes = [[(x, 2.0 * (i - (count - 1) / 2) / 4) for i in range(count)] for x, count in layers]
    weights = np.random.default_rng(4).uniform(0.15, 0.9, size=64)
    link = 0
    for left, right in pairwise(nodes):
        for start in left:
            for stop in right:
                axes.plot(
                    [start[0], stop[0]],
                    [start[1], stop[1]],
                    color=colours.posterior,
                    linewidth=1.0,
                    alpha=float(weights[link % 64]),
                    zorder=1,
                )
                link += 1
    for layer, column in enumerate(nodes):
        x, y = np.transpose(column)
        face = colours.reference if layer in (0, 3) else colours.posterior
        axes.plot(x, y, "o", color=face, markersize=9, markeredgecolor=colours.surface, markeredgewidth=1.5, zorder=2)
    for x, label in ((-0.34, "x"), (3.34, "θ")):
        axes.text(x, 0, label, fontsize=14, style="italic", ha="center", va="center", color=colours.ink)
    axes.set(xlim=(-0.65, 3.65), ylim=(-1.25, 1.25))


def _posterior(axes: Axes, colours: Theme) -> None:
    noise = np.random.default_rng(7).normal(size=(20_000, 2))
    first = noise[:, 0]
    draws = np.column_stack([first, 0.45 * first**2 + 0.42 * noise[:, 1] - 0.35 * first])
    ranges = ((-3.6, 3.6), (-1.6, 5.2))
    smoothed = density_2d(draws, *ranges)
    x, y, density = smoothed.x, smoothed.y, smoothed.density
    levels = smoothed.levels(draws, (0.95, 0.68, 0.2))
    for alpha, level in zip((0.22, 0.36, 0.6), levels, strict=True):
        axes.contourf(x, y, density.T, levels=[level, density.max() * 1.01], colors=[colours.posterior], alpha=alpha)
    axes.contour(x, y, density.T, levels=levels, colors=[colours.posterior], linewidths=1.1)
    axes.plot([0.35], [0.02], "s", color=colours.reference, markersize=6)
    axes.set(xlim=(-3.3, 3.3), ylim=(-1.5, 4.4))


def _calibration(axes: Axes, colours: Theme) -> None:
    z = np.linspace(0, 1, 80)
    axes.fill_between(
        z, z - 0.28 * np.sqrt(z * (1 - z)), z + 0.28 * np.sqrt(z * (1 - z)), color=colours.muted, alpha=0.3, linewidth=0
    )
    axes.plot(z, z, color=colours.muted, linewidth=1.0, dashes=(4, 2))
    ranks = np.sort(np.random.default_rng(6).uniform(size=60))
    axes.plot(np.concatenate([[0], ranks, [1]]), np.linspace(0, 1, 62), color=colours.posterior, linewidth=2.2)
    axes.plot([0, 0, 1], [1, 0, 0], color=colours.muted, linewidth=1.2)
    axes.plot(
        [1.17, 1.26, 1.45],
        [0.48, 0.36, 0.66],
        color=colours.good,
        linewidth=4,
        solid_capstyle="round",
        solid_joinstyle="round",
    )
    axes.set(xlim=(-0.28, 1.6), ylim=(-0.05, 1.05))


def _gain(axes: Axes, colours: Theme) -> None:
    x = np.linspace(0, 1, 120)
    gain = 0.55 * np.exp(-0.5 * ((x - 0.27) / 0.11) ** 2) + 0.95 * np.exp(-0.5 * ((x - 0.7) / 0.13) ** 2)
    axes.fill_between(x, gain - 0.09, gain + 0.09, color=colours.posterior, alpha=0.22, linewidth=0)
    axes.plot(x, gain, color=colours.posterior, linewidth=2.2)
    best = float(x[np.argmax(gain)])
    axes.plot([best, best], [-0.12, gain.max()], color=colours.reference, linewidth=1.3, dashes=(3, 2))
    axes.plot(best, gain.max(), "o", color=colours.reference, markersize=8)
    axes.plot([0, 0, 1], [1.15, -0.12, -0.12], color=colours.muted, linewidth=1.2)
    axes.text(0.03, 1.1, "gain", fontsize=10.5, color=colours.ink, va="center")
    axes.text(1.0, -0.3, "setting", fontsize=10.5, color=colours.ink, ha="right", va="center")
    axes.set(xlim=(-0.06, 1.06), ylim=(-0.4, 1.25))


def _measurement(axes: Axes, colours: Theme) -> None:
    random = np.random.default_rng(11)
    t = np.linspace(0.05, 0.95, 9)
    curve = np.exp(-0.5 * ((t - 0.42) / 0.2) ** 2)
    errors = 0.06 + 0.09 * curve
    measured = curve + errors * random.normal(size=t.size) * 0.8
    axes.errorbar(
        t,
        measured,
        yerr=errors,
        fmt="o",
        color=colours.reference,
        markersize=6,
        elinewidth=1.5,
        capsize=3,
        capthick=1.5,
        zorder=3,
    )
    axes.plot([0, 0, 1], [1.3, -0.2, -0.2], color=colours.muted, linewidth=1.2)
    axes.set(xlim=(-0.06, 1.06), ylim=(-0.3, 1.35))
