"""Pictures of calibration, coverage, prediction, training and failures, compared by structure."""

import numpy as np
import pytest
from matplotlib.collections import PolyCollection

from quincunx.errors import ShapeMismatch
from quincunx.plot import coverage, failures, losses, predictive_series, predictive_summaries, sbc_ranks
from quincunx.plot.failures import failure_shares
from quincunx.plot.intervals import wilson
from quincunx.plot.ranks import ecdf_difference, rank_bins, rank_counts
from quincunx.plot.style import THEMES


def test_rank_band_is_the_binomial_one_and_holds_uniform_ranks():
    n, L, repeats = 300, 99, 400
    random = np.random.default_rng(0)
    bins = rank_bins(L, n)
    outside = []
    for _ in range(repeats):
        counts, low, high, _ = rank_counts(random.integers(0, L + 1, n), L, bins)
        outside.append(np.mean((counts < low) | (counts > high)))
    share = np.mean(outside)
    # Discreteness can only widen the band, so at most 1 % lies outside; the error is that of repeats x bins draws.
    assert share <= 0.01 + 3 * np.sqrt(0.01 * 0.99 / (repeats * bins))
    expected = n / bins
    width = 2.576 * np.sqrt(n * (1 / bins) * (1 - 1 / bins))
    assert np.all(np.abs(low - (expected - width)) <= 2) and np.all(np.abs(high - (expected + width)) <= 2)


def test_unequal_bins_keep_the_right_expectation():
    counts, low, high, edges = rank_counts(np.arange(101), 100, 25)
    assert counts.sum() == 101 and np.all((counts >= low) & (counts <= high))
    np.testing.assert_allclose(np.diff(edges) * 101, counts)


def test_kolmogorov_band_holds_uniform_ranks_simultaneously():
    n, L, repeats = 200, 99, 300
    random = np.random.default_rng(1)
    figure = sbc_ranks(random.integers(0, L + 1, (n, 1)), L, ["a"])
    band = (
        next(c for c in figure.axes[1].collections if isinstance(c, PolyCollection)).get_paths()[0].vertices[:, 1].max()
    )
    worst = [np.abs(ecdf_difference(random.integers(0, L + 1, n), L)[1]).max() for _ in range(repeats)]
    assert np.mean(np.array(worst) > band) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / repeats)


def test_ranks_mark_what_lies_outside_and_only_that():
    random = np.random.default_rng(2)
    ranks = np.column_stack([random.integers(0, 100, 300), np.clip(random.normal(50, 12, 300), 0, 99).astype(int)])
    figure = sbc_ranks(ranks, 99, ["right", "too wide"])
    assert [axes.get_title(loc="left") for axes in figure.axes[::2]] == ["right", "too wide"]
    marked = [np.isfinite(axes.lines[-1].get_ydata().astype(float)).any() for axes in figure.axes[1::2]]
    assert marked == [False, True]


def test_a_given_band_is_the_one_drawn():
    grid = np.linspace(0, 1, 5)
    figure = sbc_ranks(np.arange(100)[:, None], 99, ["a"], band=(grid, -0.3 * np.ones(5), 0.3 * np.ones(5)))
    vertices = figure.axes[1].collections[0].get_paths()[0].vertices[:, 1]
    assert vertices.max() == pytest.approx(0.3) and vertices.min() == pytest.approx(-0.3)


def test_ranks_out_of_range_are_refused():
    with pytest.raises(ShapeMismatch, match=r"0\.\.99"):
        sbc_ranks(np.array([[100]]), 99, ["a"])
    with pytest.raises(ShapeMismatch, match="names"):
        sbc_ranks(np.zeros((10, 2), int), 99, ["a"])


def test_wilson_covers_as_it_says():
    random = np.random.default_rng(3)
    p, n, repeats = 0.9, 300, 4000
    low, high = wilson(random.binomial(n, p, repeats), n)
    covered = np.mean((low <= p) & (p <= high))
    assert abs(covered - 0.95) < 0.01 + 3 * np.sqrt(0.95 * 0.05 / repeats)


def test_coverage_marks_overconfidence():
    levels = np.linspace(0.05, 0.95, 19)
    figure = coverage(levels, {"joint": levels, "sure": levels**2}, 400)
    marked = [np.isfinite(axes.lines[-1].get_ydata()).any() for axes in figure.axes]
    assert marked == [False, True]
    assert figure.axes[0].get_xlim() == (0, 1) and figure.axes[0].get_ylabel() == "share of truths inside"
    with pytest.raises(ShapeMismatch, match="19 levels"):
        coverage(levels, {"short": levels[:5]}, 100)


def test_predictive_bands_hold_their_mass():
    replicates = np.random.default_rng(4).normal(size=(20_000, 3))
    figure = predictive_series(
        replicates, np.array([0.0, 0.0, 5.0]), times=np.array([1.0, 2.0, 3.0]), time_name="day", unit="m"
    )
    axes = figure.axes[0]
    outer, inner = (c.get_paths()[0].vertices[:, 1] for c in axes.collections[:2])
    assert outer.max() == pytest.approx(1.645, abs=0.05) and inner.max() == pytest.approx(0.674, abs=0.03)
    assert axes.get_xlabel() == "day" and axes.get_ylabel() == "x [m]"
    assert "outside 90 %: 1 of 3" in [t.get_text() for t in figure.legends[0].get_texts()]


def test_predictive_summaries_write_tail_areas_and_cut_far_points():
    replicates = np.random.default_rng(5).normal(size=(999, 2)) * [1.0, 1e-8]
    figure = predictive_summaries(replicates, np.array([0.0, 1.0]), ["mean", "peak"])
    texts = [t.get_text() for t in figure.axes[0].texts]
    assert texts[1].endswith("p = 0.002") and len(texts) == 2
    assert max(abs(line.get_xdata()[0]) for line in figure.axes[0].lines) <= figure.axes[0].get_xlim()[1]
    with pytest.raises(ShapeMismatch, match="3 numbers and 2"):
        predictive_series(np.zeros((20, 3)), np.zeros(2))


def test_losses_mark_the_best_epoch_of_every_member():
    epochs = np.arange(50)[:, None]
    train = np.exp(-epochs / np.array([5.0, 8.0])) * 100
    figure = losses(train, train + 1, np.array([30, 49]), stopped="patience")
    axes = figure.axes[0]
    marks = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
    assert marks == [31, 50] and "patience" in axes.get_xlabel()
    assert axes.get_ylim()[1] < 100, "the first epochs must not flatten the others"
    with pytest.raises(ShapeMismatch, match="same"):
        losses(train, train[:3])


def test_losses_with_nan_or_one_epoch_still_draw():
    losses(np.array([[1.0]]), np.array([[np.nan]]), np.array([0])).canvas.draw()


def test_failures_show_where_and_count_all():
    theta = np.random.default_rng(6).uniform(size=(2000, 2))
    failed = theta[:, 0] > 0.9
    _, bad, total = failure_shares(theta[:, 0], failed, 10)
    assert bad.sum() == failed.sum() and total.sum() == 2000
    figure = failures(theta, failed, ["a", "b"], units={"a": "s"})
    odd = [axes.lines[-1].get_xdata() for axes in figure.axes]
    assert odd[0].max() > 0.9 and len(odd[1]) <= 2
    assert figure.axes[0].get_xlabel() == "a [s]"


def test_no_failures_and_all_failures_draw():
    theta = np.random.default_rng(7).uniform(size=(100, 1))
    for failed in (np.zeros(100, bool), np.ones(100, bool)):
        failures(theta, failed, ["a"]).canvas.draw()


@pytest.mark.parametrize("theme", THEMES)
def test_colours_of_a_theme_can_be_told_from_its_ground(theme):
    colours = THEMES[theme].colours()
    surface = luminance(colours["surface"])
    for meaning, colour in colours.items():
        if meaning not in ("surface", "grid"):
            high, low = max(luminance(colour), surface), min(luminance(colour), surface)
            assert (high + 0.05) / (low + 0.05) >= 4.5, f"{meaning} is hard to read"
    assert len(set(colours.values())) == len(colours)


def luminance(colour: str) -> float:
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
