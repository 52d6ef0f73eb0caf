"""Corner plot: every marginal and every pair of parameters, with regions of stated posterior mass."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Real
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from quincunx.errors import ShapeMismatch
from quincunx.plot.density import density_1d, density_2d, limits_of
from quincunx.plot.labels import interval_text, plain_ticks, shortened, text, units_of, with_unit
from quincunx.plot.style import Theme, drawing, new_figure

_LARGEST = 12


def corner(
    draws: Real[np.ndarray, "n d"],
    names: Sequence[str],
    *,
    units: Mapping[str, str] | None = None,
    bounds: Sequence[Sequence[float | int]] | None = None,
    prior: Real[np.ndarray, "m _"] | None = None,
    truth: Real[np.ndarray, " _"] | None = None,
    truth_name: str = "truth",
    reference: Real[np.ndarray, "k _"] | None = None,
    reference_name: str = "reference",
    name: str = "posterior",
    masses: Sequence[float] = (0.68, 0.95),
    theme: str = "light",
    size: float | None = None,
) -> Figure:
    r"""All 1-D and 2-D marginals of draws, one to twelve parameters.

    A region of mass m is $\{p(\theta_i, \theta_j \mid x) \ge c_m\}$ with $c_m$ such that it holds a fraction m of the
    draws: 68 % in two dimensions means 68 %, not "one sigma" (39 %). Densities are smoothed and never leak over
    `bounds`, (low, high) per parameter with infinities where there is none. `prior` and `reference` are draws too;
    axes follow the posterior and the reference, and the prior is shown where it passes through. Panels on the
    diagonal are headed by median and central 68 % interval.

    Raises ShapeMismatch when names, bounds, prior, truth or reference do not fit the draws, or with more than twelve
    parameters.

    >>> draws = np.random.default_rng(0).normal(size=(500, 2))
    >>> figure = corner(draws, ["a", "b"], units={"a": "1/day"})
    >>> [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()]
    ['a [1/day]', 'b']
    """
    draws = np.asarray(draws, dtype=float)
    dim = draws.shape[1]
    _check_shapes(draws, names, bounds, prior, truth, reference)
    edges = [(-np.inf, np.inf)] * dim if bounds is None else [(float(low), float(high)) for low, high in bounds]
    masses = sorted(masses)
    samples = [draws] if reference is None else [draws, np.asarray(reference, dtype=float)]
    limits = [limits_of([sample[:, i] for sample in samples], *edges[i]) for i in range(dim)]
    if truth is not None:
        limits = [_include(pair, float(value)) for pair, value in zip(limits, truth, strict=True)]

    with drawing(theme) as colours:
        width = size or _width(dim)
        figure = new_figure(width, width * (0.86 if dim == 1 else 1.0))
        grid = _lower_triangle(figure, width, dim)
        label_units = units_of(names, units)
        exponents = []
        count = 5 if dim == 1 else 3 if dim <= 6 else 2
        for row in range(dim):
            for column in range(dim):
                if column > row:
                    continue
                axes = grid[row, column]
                axes.set_xlim(*limits[column])
                exponent = plain_ticks(axes.xaxis, *limits[column], count=count)
                if row == column:
                    exponents.append(exponent)
                    _diagonal(axes, row, samples, prior, limits[row], edges[row], colours)
                    if dim <= 6:
                        middle = interval_text(draws[:, row] / 10.0**exponent)
                        axes.set_title(middle, fontsize=8.5, pad=4, color=colours.posterior)
                else:
                    axes.set_ylim(*limits[row])
                    plain_ticks(axes.yaxis, *limits[row], count=count)
                    pair = [column, row]
                    ranges = (limits[column], limits[row])
                    _pair(
                        axes,
                        [sample[:, pair] for sample in samples],
                        ranges,
                        (edges[column], edges[row]),
                        masses,
                        colours,
                    )
                if truth is not None:
                    axes.axvline(float(truth[column]), color=colours.truth, linewidth=1.1, dashes=(4, 2))
                    if row != column:
                        axes.axhline(float(truth[row]), color=colours.truth, linewidth=1.1, dashes=(4, 2))
                        axes.plot(truth[column], truth[row], "s", markersize=4, color=colours.truth)
        _label(grid, names, label_units, exponents, dim)
        _legend(
            figure, grid, masses, colours, name,
            reference_name if reference is not None else None,
            prior is not None,
            truth_name if truth is not None else None,
        )  # fmt: skip
    return figure


def _check_shapes(
    draws: np.ndarray,
    names: Sequence[str],
    bounds: Sequence[Sequence[float | int]] | None,
    prior: np.ndarray | None,
    truth: np.ndarray | None,
    reference: np.ndarray | None,
) -> None:
    dim = draws.shape[1]
    if not 1 <= dim <= _LARGEST:
        raise ShapeMismatch(
            f"got draws of {dim} parameters, expected 1 to {_LARGEST} in one corner plot; choose columns, "
            "for example draws[:, :6]"
        )
    if len(draws) < 20:
        raise ShapeMismatch(f"got {len(draws)} draws, expected at least 20 to see a density; draw more")
    if not np.all(np.isfinite(draws)):
        raise ShapeMismatch("got draws with NaN or infinity, expected finite numbers; drop those rows first")
    given = {
        "names": len(names),
        "bounds": None if bounds is None else len(bounds),
        "prior": None if prior is None else np.shape(prior)[1],
        "truth": None if truth is None else np.shape(truth)[0],
        "reference": None if reference is None else np.shape(reference)[1],
    }
    for what, count in given.items():
        if count is not None and count != dim:
            raise ShapeMismatch(
                f"got {what} for {count} parameters, expected {dim} as in the draws; pass one for each column"
            )


def _include(pair: tuple[float, float], value: float) -> tuple[float, float]:
    low, high = pair
    margin = 0.06 * (high - low)
    return min(low, value - margin) if value < low else low, max(high, value + margin) if value > high else high


def _width(dim: int) -> float:
    if dim == 1:
        return 4.6
    panel = 1.75 if dim <= 3 else 1.5 if dim <= 6 else 1.12
    return panel * dim + 1.3


def _lower_triangle(figure: Figure, width: float, dim: int) -> np.ndarray:
    height = float(figure.get_size_inches()[1])
    top = 0.75 if dim == 1 else 0.32 if dim <= 6 else 0.12
    cells = figure.add_gridspec(
        dim,
        dim,
        left=(0.35 if dim == 1 else 0.95) / width,
        right=1 - 0.2 / width,
        bottom=(0.62 if dim == 1 else 0.9 if dim <= 6 else 1.05) / height,
        top=1 - top / height,
        wspace=0.12,
        hspace=0.12 if dim > 6 else 0.17,
    )
    grid = np.full((dim, dim), None, dtype=object)
    for row in range(dim):
        for column in range(row + 1):
            grid[row, column] = figure.add_subplot(cells[row, column])
    return grid


def _diagonal(
    axes: Axes,
    column: int,
    samples: Sequence[np.ndarray],
    prior: np.ndarray | None,
    limits: tuple[float, float],
    bounds: tuple[float, float],
    colours: Theme,
) -> None:
    grid = np.linspace(*limits, 300)
    tallest = 0.0
    for order, (sample, colour) in enumerate(zip(samples, (colours.posterior, colours.reference), strict=False)):
        density = density_1d(sample[:, column], grid, *bounds)
        tallest = max(tallest, float(density.max()))
        if order == 0:
            axes.fill_between(grid, density, color=colour, alpha=0.18, linewidth=0)
            axes.plot(grid, density, color=colour)
        else:
            axes.plot(grid, density, color=colour, dashes=(4, 1.5))
    if prior is not None:
        density = density_1d(np.asarray(prior, dtype=float)[:, column], grid, *bounds)
        axes.plot(grid, density, color=colours.prior, linewidth=1.3, dashes=(1, 1.2))
        # A prior much sharper than the posterior would flatten it: let it leave through the top.
        tallest = max(tallest, min(float(density.max()), 1.6 * tallest))
    axes.set_ylim(0, 1.12 * tallest)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _pair(
    axes: Axes,
    samples: Sequence[np.ndarray],
    ranges: tuple[tuple[float, float], tuple[float, float]],
    bounds: tuple[tuple[float, float], tuple[float, float]],
    masses: Sequence[float],
    colours: Theme,
) -> None:
    for order, (sample, colour) in enumerate(zip(samples, (colours.posterior, colours.reference), strict=False)):
        smoothed = density_2d(sample, *ranges, x_bounds=bounds[0], y_bounds=bounds[1])
        levels = np.unique(smoothed.levels(sample, masses))
        # Contours at a hard bound close along the axis: extend the outermost cells to it.
        x, y, density = _to_edges(smoothed.x, smoothed.y, smoothed.density, ranges)
        if order == 0:
            shades = [to_rgba(colour, alpha) for alpha in np.linspace(0.2, 0.62, len(levels))]
            axes.contourf(
                x, y, density.T, levels=[*levels, max(float(density.max()), levels[-1]) * 1.001], colors=shades
            )
            axes.contour(x, y, density.T, levels=levels, colors=[colour], linewidths=1.0)
        else:
            axes.contour(x, y, density.T, levels=levels, colors=[colour], linewidths=1.3, linestyles=[(0, (4, 1.5))])


def _to_edges(
    x: np.ndarray, y: np.ndarray, density: np.ndarray, ranges: tuple[tuple[float, float], tuple[float, float]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    (left, right), (bottom, top) = ranges
    return (
        np.concatenate([[left], x, [right]]),
        np.concatenate([[bottom], y, [top]]),
        np.pad(density, 1, mode="edge"),
    )


def _label(
    grid: np.ndarray, names: Sequence[str], units: Sequence[str | None], exponents: Sequence[int], dim: int
) -> None:
    length = 22 if dim <= 3 else 17 if dim <= 6 else 12
    box = grid[0, 0].get_position()
    panel = float(box.width * grid[0, 0].figure.get_size_inches()[0])
    tilt = dim > 1 and any(_crowded(grid[dim - 1, i], panel) for i in range(dim))
    down, left = -(0.62 if tilt else 0.42) / panel, -0.62 / panel
    for i in range(dim):
        label = with_unit(names[i], units[i], exponents[i], length)
        # A label wider than its panel: the bracket goes on a line of its own.
        wide = len(shortened(names[i], length)) + len(units[i] or "") + (6 if exponents[i] else 0) > panel / 0.09
        label = label.replace(" [", "\n[") if wide else label
        size = 9.5 if dim <= 6 else 8
        bottom = grid[dim - 1, i]
        bottom.set_xlabel(label, fontsize=size)
        if dim > 1:
            bottom.tick_params(axis="x", labelrotation=45 if tilt else 0)
            bottom.xaxis.set_label_coords(0.5, down)
        for row in range(i, dim - 1):
            grid[row, i].tick_params(axis="x", labelbottom=False)
        if i > 0:
            grid[i, 0].set_ylabel(label, fontsize=size)
            grid[i, 0].yaxis.set_label_coords(left, 0.5)
            for column in range(1, i):
                grid[i, column].tick_params(axis="y", labelleft=False)


def _crowded(axes: Axes, panel: float) -> bool:
    labels = axes.xaxis.get_major_formatter().format_ticks(list(axes.get_xticks()))
    # A digit of 8.5 points is 0.075 inch wide; leave as much room again as half a label.
    longest = max((len(label) for label in labels), default=0)
    return 0.075 * 1.35 * longest * len(labels) > panel


def _legend(
    figure: Figure,
    grid: np.ndarray,
    masses: Sequence[float],
    colours: Theme,
    name: str,
    reference_name: str | None,
    prior: bool,
    truth_name: str | None,
) -> None:
    dim = len(grid)
    shares = " and ".join(f"{100 * mass:g}" for mass in masses) + " %"
    entries: list[Patch | Line2D] = []
    if dim == 1:
        entries.append(Line2D([], [], color=colours.posterior, label=text(shortened(name, 40))))
    else:
        for mass, alpha in zip(masses, np.linspace(0.62, 0.2, len(masses)), strict=True):
            face = to_rgba(colours.posterior, alpha)
            label = text(shortened(name, 30)) + f", {100 * mass:g} % of mass"
            entries.append(Patch(facecolor=face, edgecolor=colours.posterior, label=label))
    if reference_name is not None:
        label = text(shortened(reference_name, 30)) + ("" if dim == 1 else f", {shares}")
        entries.append(Line2D([], [], color=colours.reference, dashes=(4, 1.5), label=label))
    if prior:
        entries.append(Line2D([], [], color=colours.prior, linewidth=1.3, dashes=(1, 1.2), label="prior"))
    if truth_name is not None:
        entries.append(Line2D([], [], color=colours.truth, linewidth=1.1, dashes=(4, 2), label=text(truth_name)))
    if dim == 1:
        figure.legend(handles=entries, loc="upper left", ncols=2, bbox_to_anchor=(0.02, 1.0), borderaxespad=0.3)
        return
    box = grid[0, 0].get_position()
    figure.legend(
        handles=entries,
        loc="upper left",
        bbox_to_anchor=(box.x1 + 0.02, box.y1),
        borderaxespad=0.0,
        handlelength=2.2,
        fontsize=9 if dim > 2 else 8,
    )
