"""Predictive checks: what replicates of the data look like beside what was observed."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Real
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from quincunx.errors import ShapeMismatch
from quincunx.plot.labels import with_unit
from quincunx.plot.panels import check_names
from quincunx.plot.style import drawing, new_figure, rule_lines


def central_band(
    replicates: Real[np.ndarray, "n t"], mass: float
) -> tuple[Real[np.ndarray, " t"], Real[np.ndarray, " t"]]:
    """Central interval of the given mass, column by column.

    >>> low, high = central_band(np.linspace(0, 1, 101)[:, None], 0.5)
    >>> float(low[0]), float(high[0])
    (0.25, 0.75)
    """
    low, high = np.quantile(replicates, [0.5 - mass / 2, 0.5 + mass / 2], axis=0)
    return low, high


def predictive_series(
    replicates: Real[np.ndarray, "n t"],
    observed: Real[np.ndarray, " _"],
    *,
    times: Real[np.ndarray, " _"] | None = None,
    name: str = "x",
    unit: str | None = None,
    time_name: str = "index",
    time_unit: str | None = None,
    masses: Sequence[float] = (0.5, 0.9),
    kind: str = "posterior",
    theme: str = "light",
) -> Figure:
    """Bands of replicated series (50 and 90 % at each time, and the median) with the observed points.

    Points outside the widest band are ringed; at 90 % one in ten is expected there. Raises ShapeMismatch when lengths
    differ.

    >>> replicates = np.random.default_rng(0).normal(size=(200, 7))
    >>> predictive_series(replicates, np.zeros(7), name="counts").axes[0].get_ylabel()
    'counts'
    """
    replicates, observed = _finite(np.asarray(replicates, dtype=float), np.asarray(observed, dtype=float))
    grid = np.arange(observed.size) if times is None else np.asarray(times, dtype=float)
    if grid.shape != observed.shape:
        raise ShapeMismatch(
            f"got {grid.size} times for {observed.size} observed points, expected as many; pass one time a point"
        )
    with drawing(theme) as colours:
        figure = new_figure(6.4, 3.7)
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        rule_lines(axes)
        handles: list[Patch | Line2D] = []
        for mass, alpha in zip(sorted(masses, reverse=True), np.linspace(0.16, 0.38, len(masses)), strict=True):
            low, high = central_band(replicates, mass)
            axes.fill_between(grid, low, high, color=colours.posterior, alpha=alpha, linewidth=0)
            handles.insert(
                0, Patch(facecolor=to_rgba(colours.posterior, min(1.0, alpha * 1.5)), label=f"{100 * mass:g} %")
            )
        middle = np.median(replicates, axis=0)
        axes.plot(grid, middle, color=colours.posterior, linewidth=1.4)
        handles.insert(0, Line2D([], [], color=colours.posterior, label=f"{kind} predictive: median"))
        axes.plot(grid, observed, "o", color=colours.ink, markersize=4.5 if grid.size <= 80 else 2.5, zorder=4)
        low, high = central_band(replicates, max(masses))
        outside = (observed < low) | (observed > high)
        axes.plot(
            grid[outside],
            observed[outside],
            "o",
            color=colours.bad,
            markersize=9,
            fillstyle="none",
            markeredgewidth=1.5,
            zorder=5,
        )
        label = "observed"
        handles.append(Line2D([], [], color=colours.ink, marker="o", linestyle="none", markersize=4.5, label=label))
        if outside.any():
            ring = f"outside {100 * max(masses):g} %: {int(outside.sum())} of {observed.size}"
            handles.append(
                Line2D(
                    [],
                    [],
                    color=colours.bad,
                    marker="o",
                    linestyle="none",
                    fillstyle="none",
                    markersize=8,
                    markeredgewidth=1.5,
                    label=ring,
                )
            )
        axes.set_ylabel(with_unit(name, unit))
        axes.set_xlabel(with_unit(time_name, time_unit))
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=bool(np.all(grid == np.round(grid)))))
        axes.margins(x=0.02)
        figure.legend(
            handles=handles, loc="outside upper left", ncols=5, columnspacing=1.1, handletextpad=0.5, borderaxespad=0.2
        )
    return figure


def predictive_summaries(
    replicates: Real[np.ndarray, "n s"],
    observed: Real[np.ndarray, " _"],
    names: Sequence[str],
    *,
    units: Mapping[str, str] | None = None,
    masses: Sequence[float] = (0.5, 0.9),
    kind: str = "posterior",
    theme: str = "light",
) -> Figure:
    """One row a summary, in standard deviations of its replicates: 50 and 90 % bands, observed value, tail area.

    The tail area is the two-sided p-value with one added to both counts, (1 + #) / (1 + n). Raises ShapeMismatch when
    lengths differ.

    >>> replicates = np.random.default_rng(0).normal(size=(200, 2))
    >>> figure = predictive_summaries(replicates, np.array([0.0, 9.0]), ["mean", "peak"])
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['mean', 'peak']
    """
    replicates, observed = _finite(np.asarray(replicates, dtype=float), np.asarray(observed, dtype=float))
    check_names(names, observed.size, "summaries")
    count = observed.size
    centre, scale = np.mean(replicates, axis=0), np.std(replicates, axis=0)
    constant = scale <= 0
    scale = np.where(constant, 1.0, scale)
    scaled, point = (replicates - centre) / scale, (observed - centre) / scale
    p_values = _tail_areas(replicates, observed)
    # Beyond six deviations the distance itself says nothing more: the marker stops there and the number is written.
    reach = float(np.clip(1.15 * np.max(np.abs(point), initial=2.6), 3.0, 6.0))
    with drawing(theme) as colours:
        figure = new_figure(6.4, 0.95 + 0.34 * max(count, 2))
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        rule_lines(axes, "x")
        rows = np.arange(count)
        handles: list[Patch | Line2D] = []
        for mass, alpha in zip(sorted(masses, reverse=True), np.linspace(0.2, 0.45, len(masses)), strict=True):
            low, high = central_band(scaled, mass)
            axes.barh(rows, high - low, left=low, height=0.62, color=to_rgba(colours.posterior, alpha), linewidth=0)
            handles.insert(
                0, Patch(facecolor=to_rgba(colours.posterior, alpha), label=f"{kind} predictive {100 * mass:g} %")
            )
        low, high = central_band(scaled, max(masses))
        outside = (point < low) | (point > high)
        shown = np.clip(point, -0.97 * reach, 0.97 * reach)
        for row in rows:
            marker = "o" if abs(point[row]) <= 0.97 * reach else (">" if point[row] > 0 else "<")
            axes.plot(
                shown[row], row, marker, color=colours.bad if outside[row] else colours.ink, markersize=6, zorder=4
            )
            value = f"{observed[row]:.4g}".replace("-", "−")
            axes.text(
                1.02, float(row), f"{value}   p = {p_values[row]:.2g}", transform=axes.get_yaxis_transform(),
                va="center", fontsize=8, color=colours.bad if outside[row] else colours.ink,
            )  # fmt: skip
        handles.append(Line2D([], [], color=colours.ink, marker="o", linestyle="none", markersize=6, label="observed"))
        labels = [with_unit(name, (units or {}).get(name), length=28) for name in names]
        axes.set_yticks(rows, labels=labels)
        axes.set(ylim=(count - 0.5, -0.5), xlim=(-reach, reach))
        axes.set_xlabel("distance from the predictive mean [standard deviations]")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        figure.legend(
            handles=handles, loc="outside upper left", ncols=3, columnspacing=1.1, handletextpad=0.5, borderaxespad=0.2
        )
    return figure


def _tail_areas(replicates: np.ndarray, observed: np.ndarray) -> np.ndarray:
    above = (1 + np.sum(replicates >= observed, axis=0)) / (1 + len(replicates))
    below = (1 + np.sum(replicates <= observed, axis=0)) / (1 + len(replicates))
    return np.minimum(1.0, 2 * np.minimum(above, below))


def _finite(replicates: np.ndarray, observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if replicates.shape[1:] != observed.shape:
        raise ShapeMismatch(
            f"got replicates of {replicates.shape[1]} numbers and {observed.size} observed, expected as "
            "many; flatten both the same way"
        )
    kept = replicates[np.all(np.isfinite(replicates), axis=1)]
    if len(kept) < 10:
        raise ShapeMismatch(
            f"got {len(kept)} finite replicates of {len(replicates)}, expected at least 10; simulate more"
        )
    return kept, observed
