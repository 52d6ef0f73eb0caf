"""The exact band for ranks: against enumeration, against simulation, and its p-value's own calibration."""

import itertools

import numpy as np
import pytest

from quincunx.check import ecdf_p_value, simultaneous_band
from quincunx.check.ecdf import evaluation_points, stays_inside
from quincunx.errors import UsageError


def test_recursion_agrees_with_enumeration():
    points = np.array([0.25, 0.5, 0.75])
    lower, upper = np.array([0, 1, 2]), np.array([2, 3, 4])
    inside = 0
    for cells in itertools.product(range(4), repeat=4):
        counts = [sum(cell < k for cell in cells) for k in (1, 2, 3)]
        inside += all(low <= c <= high for low, c, high in zip(lower, counts, upper))
    assert stays_inside(lower, upper, 4, points) == pytest.approx(inside / 4**4, abs=1e-12)


@pytest.mark.parametrize(("n", "draws"), [(50, 19), (300, 99), (200, 999)])
def test_band_holds_the_whole_curve_as_often_as_it_says(n, draws, nominal):
    band = simultaneous_band(n, draws)
    rng = np.random.default_rng(n)
    ranks = np.sort(rng.integers(0, draws + 1, size=(2000, n)), axis=1)
    edges = np.rint(band.points * (draws + 1))
    counts = np.stack([np.sum(ranks < edge, axis=1) for edge in edges], axis=1)
    outside = np.any((counts < band.lower) | (counts > band.upper), axis=1)
    exact = 1 - stays_inside(band.lower, band.upper, n, band.points)
    assert exact <= 0.05
    # discreteness of the counts costs little
    assert exact > 0.03
    assert nominal(int(outside.sum()), 2000, exact)


@pytest.mark.parametrize("draws", [9, 99])
def test_p_value_is_calibrated(draws, nominal):
    rng = np.random.default_rng(draws)
    p = np.array([ecdf_p_value(rng.integers(0, draws + 1, size=200), draws)[1] for _ in range(400)])
    for level in (0.01, 0.05, 0.3):
        assert nominal(int(np.sum(p <= level)), 400, level, at_most=True)
    assert nominal(int(np.sum(p <= 0.3)), 400, 0.3)


def test_p_value_agrees_with_the_band():
    band = simultaneous_band(300, 99)
    rng = np.random.default_rng(1)
    for slope in np.linspace(0, 0.4, 9):
        ranks = np.floor(100 * rng.uniform(size=300) ** (1 + slope)).astype(int)
        counts = np.array([np.sum(ranks < 100 * z) for z in band.points])
        outside = bool(np.any((counts < band.lower) | (counts > band.upper)))
        assert outside == (
            ecdf_p_value(ranks, 99)[1] < 1 - stays_inside(band.lower, band.upper, 300, band.points) + 1e-9
        )


def test_points_divide_the_ranks():
    assert len(evaluation_points(999)) == 99
    # a prime number of ranks keeps them all
    assert len(evaluation_points(100)) == 100


def test_nothing_to_test_is_refused():
    with pytest.raises(UsageError, match="simulate more"):
        simultaneous_band(0, 99)
