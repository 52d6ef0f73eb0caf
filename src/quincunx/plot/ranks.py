"""Simulation-based calibration: rank histograms with a binomial band, and ECDF differences with a simultaneous band."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Integer
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from quincunx.errors import ShapeMismatch
from quincunx.plot.labels import shortened, text
from quincunx.plot.panels import check_names, columns_for, panels
from quincunx.plot.style import Theme, drawing


def rank_bins(n_draws: int, n_tests: int) -> int:
    """Number of bins: the largest divisor of L + 1 up to 25 that leaves about ten expected ranks in each.

    >>> rank_bins(99, 300), rank_bins(127, 300), rank_bins(100, 300)
    (25, 16, 25)
    """
    most = int(np.clip(n_tests // 10, 4, 25))
    divisors = [bins for bins in range(4, most + 1) if (n_draws + 1) % bins == 0]
    # L + 1 without a useful divisor: bins of unequal width, whose band follows their width.
    return max(divisors) if divisors else min(most, n_draws + 1)


def rank_counts(
    ranks: Integer[np.ndarray, " n"], n_draws: int, bins: int, confidence: float = 0.99
) -> tuple[Integer[np.ndarray, " b"], Float[np.ndarray, " b"], Float[np.ndarray, " b"], Float[np.ndarray, " b1"]]:
    """Counts of ranks in bins, the pointwise binomial band that uniform ranks stay in, and the bin edges on [0, 1].

    A bin of k of the L + 1 possible ranks counts Binomial(n, k / (L + 1)).

    >>> counts, low, high, edges = rank_counts(np.arange(100) % 10, 9, 5)
    >>> counts.tolist(), bool(np.all((counts >= low) & (counts <= high)))
    ([20, 20, 20, 20, 20], True)
    """
    # Late: it is as large as all else that draws.
    from scipy.stats import binom

    starts = np.round(np.linspace(0, n_draws + 1, bins + 1)).astype(int)
    counts = np.histogram(ranks, bins=starts - 0.5)[0]
    share = np.diff(starts) / (n_draws + 1)
    tail = (1 - confidence) / 2
    low = binom.ppf(tail, len(ranks), share)
    high = binom.ppf(1 - tail, len(ranks), share)
    return counts, low, high, starts / (n_draws + 1)


def ecdf_difference(
    ranks: Integer[np.ndarray, " n"], n_draws: int
) -> tuple[Float[np.ndarray, " z"], Float[np.ndarray, " z"]]:
    """ECDF of the ranks minus the uniform's, at the L + 2 points where both are exact.

    >>> z, difference = ecdf_difference(np.arange(10), 9)
    >>> float(np.abs(difference).max())
    0.0
    """
    points = np.arange(n_draws + 2)
    below = np.searchsorted(np.sort(ranks), points, side="left") / len(ranks)
    z = points / (n_draws + 1)
    return z, below - z


def sbc_ranks(
    ranks: Integer[np.ndarray, "n d"],
    n_draws: int,
    names: Sequence[str],
    *,
    bins: int | None = None,
    confidence: float = 0.99,
    band: tuple[Float[np.ndarray, " g"], Float[np.ndarray, " g"], Float[np.ndarray, " g"]] | None = None,
    band_confidence: float = 0.95,
    theme: str = "light",
) -> Figure:
    """For each quantity the histogram of SBC ranks in {0..L} (1804.06788) over its ECDF difference.

    The histogram's band is pointwise (99 % binomial); bins outside it are marked. The ECDF band is simultaneous:
    `band` is (grid on [0, 1], lower, upper) in units of the difference, for example that of 2103.10522; without one
    it is the Kolmogorov band, exact for continuous ranks and conservative for these. A hump means posteriors too
    wide, a dish too narrow, a slope a bias.

    Raises ShapeMismatch when names do not fit or ranks lie outside {0..L}.

    >>> ranks = np.random.default_rng(0).integers(0, 100, size=(300, 2))
    >>> figure = sbc_ranks(ranks, 99, ["a", "b"])
    >>> figure.axes[0].get_title(loc="left")
    'a'
    """
    ranks = np.asarray(ranks)
    check_names(names, ranks.shape[1], "ranks")
    if ranks.size == 0 or ranks.min() < 0 or ranks.max() > n_draws:
        raise ShapeMismatch(
            f"got ranks outside 0..{n_draws} or none, expected the number of draws below the truth, of {n_draws} draws"
        )
    bins = bins or rank_bins(n_draws, len(ranks))
    if band is None:
        from scipy.stats import kstwo

        width = float(kstwo.ppf(band_confidence, len(ranks)))
        band = (np.array([0.0, 1.0]), np.array([-width, -width]), np.array([width, width]))
    with drawing(theme) as colours:
        figure, grid = panels(ranks.shape[1], rows_each=2, height=1.45)
        widest = float(np.max(np.abs([np.min(band[1]), np.max(band[2])])))
        for column, (top, bottom) in enumerate(grid):
            # Each panel has its own scale: one quantity far off must not flatten the others.
            counts, _, high, _ = rank_counts(ranks[:, column], n_draws, bins, confidence)
            z, difference = ecdf_difference(ranks[:, column], n_draws)
            _histogram(top, ranks[:, column], n_draws, bins, confidence, colours)
            _difference(bottom, z, difference, band, colours)
            reach = 1.15 * max(widest, float(np.abs(difference).max()))
            top.set_ylim(0, 1.1 * max(float(counts.max()), float(high.max())))
            bottom.set_ylim(-reach, reach)
            for axes in (top, bottom):
                axes.yaxis.set_major_locator(MaxNLocator(3, symmetric=axes is bottom))
            top.set_title(text(shortened(names[column], 26)))
            if column % columns_for(len(grid)) == 0:
                top.set_ylabel("count")
                bottom.set_ylabel("ECDF − uniform")
            bottom.set_xlabel("rank / L")
        handles = [
            Patch(facecolor=colours.muted, alpha=0.25, label=f"uniform: {100 * confidence:g} % per bin (top), "
                  f"{100 * band_confidence:g} % simultaneous (below)"),
            Line2D([], [], color=colours.bad, linewidth=4, label="outside"),
        ]  # fmt: skip
        figure.legend(handles=handles, loc="upper left", ncols=2, borderaxespad=0.4, columnspacing=1.2)
    return figure


def _histogram(axes: Axes, ranks: np.ndarray, n_draws: int, bins: int, confidence: float, colours: Theme) -> None:
    counts, low, high, edges = rank_counts(ranks, n_draws, bins, confidence)
    outside = (counts < low) | (counts > high)
    axes.bar(
        edges[:-1], counts, width=np.diff(edges), align="edge", linewidth=0.6, edgecolor=colours.surface,
        color=[colours.bad if out else colours.posterior for out in outside],
    )  # fmt: skip
    steps = np.repeat(edges, 2)[1:-1]
    axes.fill_between(
        steps, np.repeat(low, 2), np.repeat(high, 2), color=colours.muted, alpha=0.25, linewidth=0, zorder=0
    )
    for limit in (low, high):
        axes.plot(steps, np.repeat(limit, 2), color=colours.muted, linewidth=0.8, zorder=3)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], labels=[])


def _difference(
    axes: Axes,
    z: np.ndarray,
    difference: np.ndarray,
    band: tuple[np.ndarray, np.ndarray, np.ndarray],
    colours: Theme,
) -> None:
    grid, lower, upper = (np.asarray(part, dtype=float) for part in band)
    axes.fill_between(grid, lower, upper, color=colours.muted, alpha=0.25, linewidth=0)
    axes.axhline(0, color=colours.muted, linewidth=0.7)
    axes.plot(z, difference, color=colours.posterior, linewidth=1.4)
    outside = (difference < np.interp(z, grid, lower) - 1e-12) | (difference > np.interp(z, grid, upper) + 1e-12)
    axes.plot(z, np.where(outside, difference, np.nan), color=colours.bad, linewidth=2.4)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], labels=["0", "0.5", "1"])
