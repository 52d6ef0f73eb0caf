"""Where simulations fail: the share of failed runs along every parameter."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Integer, Real
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from quincunx.errors import ShapeMismatch
from quincunx.plot.intervals import wilson
from quincunx.plot.labels import plain_ticks, units_of, with_unit
from quincunx.plot.panels import check_names, columns_for, panels
from quincunx.plot.style import drawing, rule_lines


def failure_shares(
    theta: Real[np.ndarray, " n"], failed: Bool[np.ndarray, " n"], bins: int
) -> tuple[Float[np.ndarray, " b1"], Integer[np.ndarray, " b"], Integer[np.ndarray, " b"]]:
    """Edges of bins that hold equally many simulations, failures in each, and simulations in each.

    >>> edges, bad, total = failure_shares(np.arange(100.0), np.arange(100) >= 90, 10)
    >>> bad.tolist(), total.tolist()
    ([0, 0, 0, 0, 0, 0, 0, 0, 0, 10], [10, 10, 10, 10, 10, 10, 10, 10, 10, 10])
    """
    edges = np.unique(np.quantile(theta, np.linspace(0, 1, bins + 1)))
    if edges.size < 2:
        edges = np.array([edges[0] - 0.5, edges[0] + 0.5])
    total = np.histogram(theta, bins=edges)[0]
    return edges, np.histogram(theta[failed], bins=edges)[0], total


def failures(
    theta: Real[np.ndarray, "n d"],
    failed: Bool[np.ndarray, " _"],
    names: Sequence[str],
    *,
    units: Mapping[str, str] | None = None,
    learned: Real[np.ndarray, " _"] | None = None,
    confidence: float = 0.95,
    theme: str = "light",
) -> Figure:
    """Share of failed simulations along each parameter, in bins of equal number, with Wilson intervals.

    A curve that is not flat says in which corner of the prior the simulator breaks. `learned` is a classifier's chance of failing for each
    simulation, shown as its mean in each bin. Raises ShapeMismatch when shapes differ.

    >>> theta = np.random.default_rng(0).uniform(size=(400, 2))
    >>> figure = failures(theta, theta[:, 0] > 0.9, ["a", "b"])
    >>> [axes.get_xlabel() for axes in figure.axes]
    ['a', 'b']
    """
    theta, failed = np.asarray(theta, dtype=float), np.asarray(failed, dtype=bool)
    check_names(names, theta.shape[1], "theta")
    if len(failed) != len(theta) or len(theta) == 0:
        raise ShapeMismatch(
            f"got {len(failed)} statuses for {len(theta)} simulations, expected one each; pass status != 0"
        )
    if learned is not None and len(learned) != len(theta):
        raise ShapeMismatch(f"got {len(learned)} learned chances for {len(theta)} simulations, expected one each")
    overall = float(failed.mean())
    bins = int(np.clip(len(theta) // 50, 4, 16))
    labels = units_of(names, units)
    with drawing(theme) as colours:
        figure, grid = panels(theta.shape[1], height=2.0)
        curves = [failure_shares(theta[:, column], failed, bins) for column in range(theta.shape[1])]
        top = min(1.0, 1.15 * max(float(wilson(bad, total, confidence)[1].max()) for _, bad, total in curves))
        for column, ((axes,), (edges, bad, total)) in enumerate(zip(grid, curves, strict=True)):
            rule_lines(axes)
            low, high = wilson(bad, total, confidence)
            share = bad / np.maximum(total, 1)
            middle = 0.5 * (edges[1:] + edges[:-1])
            axes.axhline(overall, color=colours.muted, linewidth=1.0, dashes=(4, 2))
            axes.vlines(middle, low, high, color=colours.posterior, linewidth=1.4, alpha=0.7)
            odd = (low > overall) | (high < overall)
            axes.plot(middle[~odd], share[~odd], "o", color=colours.posterior, markersize=4)
            axes.plot(middle[odd], share[odd], "o", color=colours.bad, markersize=4.5)
            if learned is not None:
                sums = np.histogram(theta[:, column], bins=edges, weights=np.asarray(learned, float))[0]
                axes.plot(middle, sums / np.maximum(total, 1), color=colours.ink, linewidth=1.0)
            axes.set_xlim(edges[0], edges[-1])
            axes.set_ylim(0, top)
            exponent = plain_ticks(axes.xaxis, float(edges[0]), float(edges[-1]), count=3)
            axes.set_xlabel(with_unit(names[column], labels[column], exponent, 22))
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
            axes.tick_params(labelleft=column % columns_for(len(grid)) == 0)
            if column % columns_for(len(grid)) == 0:
                axes.set_ylabel("failed")
        note = f"overall {100 * overall:.2g} % of {len(theta)}"
        handles = [
            Line2D([], [], color=colours.muted, linewidth=1.0, dashes=(4, 2), label=note),
            Line2D([], [], color=colours.bad, marker="o", linestyle="none", markersize=4.5, label="differs from it"),
        ]
        if learned is not None:
            handles.append(Line2D([], [], color=colours.ink, linewidth=1.0, label="learned"))
        figure.legend(handles=handles, loc="upper left", ncols=len(handles), borderaxespad=0.4, columnspacing=1.2)
    return figure
