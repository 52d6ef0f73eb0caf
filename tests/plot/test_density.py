"""Smoothed densities: total mass, hard bounds, and contours that enclose what they say."""

import numpy as np
import pytest
from scipy.stats import chi2, norm

from quincunx.plot.density import density_1d, density_2d, limits_of

MASSES = (0.68, 0.95)


def gaussian(n: int, seed: int, rho: float = 0.6) -> np.ndarray:
    return np.random.default_rng(seed).multivariate_normal([1.0, -2.0], [[1.0, 2 * rho], [2 * rho, 4.0]], size=n)


def crescents(n: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    angle, radius = random.uniform(-np.pi / 2, np.pi / 2, n), random.normal(0.1, 0.01, n)
    side = random.choice([-1.0, 1.0], n)
    bend = side * (0.25 + radius * np.cos(angle))
    return np.column_stack([bend, radius * np.sin(angle) - bend])


def box(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=(n, 2))


def regions(draws: np.ndarray, bounds: tuple[float, float] = (-np.inf, np.inf)):
    x_range, y_range = (limits_of([draws[:, i]], *bounds) for i in (0, 1))
    smoothed = density_2d(draws, x_range, y_range, x_bounds=bounds, y_bounds=bounds)
    return smoothed, smoothed.levels(draws, MASSES)


@pytest.mark.parametrize("law", [gaussian, crescents, box], ids=lambda law: law.__name__)
def test_regions_hold_their_mass_of_fresh_draws_within_binomial_error(law):
    n, fresh = 8000, 8000
    bounds = (0.0, 1.0) if law is box else (-np.inf, np.inf)
    smoothed, levels = regions(law(n, 0), bounds)
    new = law(fresh, 1)
    for mass, level in zip(MASSES, levels, strict=True):
        share = np.mean(smoothed.at(new) >= level)
        # The level is a quantile of n draws and the share a mean of others: both errors are binomial.
        error = np.sqrt(mass * (1 - mass) * (1 / n + 1 / fresh))
        assert abs(share - mass) < 3.5 * error, (law.__name__, mass, share)


def test_gaussian_regions_are_the_ellipses_of_the_chi_square():
    smoothed, levels = regions(gaussian(20_000, 3))
    covariance = np.array([[1.0, 1.2], [1.2, 4.0]])
    grid = np.stack(np.meshgrid(smoothed.x, smoothed.y, indexing="ij"), axis=-1) - [1.0, -2.0]
    distance = np.einsum("...i,ij,...j->...", grid, np.linalg.inv(covariance), grid)
    for mass, level in zip(MASSES, levels, strict=True):
        ours, exact = smoothed.density >= level, distance <= chi2.ppf(mass, 2)
        # Symmetric difference against the area: contour noise, far below the 39 % that "one sigma" would hold.
        assert np.mean(ours ^ exact) / np.mean(exact) < 0.12


def test_density_integrates_to_one_and_stays_inside_bounds():
    draws = np.random.default_rng(4).beta(0.8, 3.0, size=(5000, 2))
    smoothed = density_2d(draws, (0.0, 1.0), (0.0, 1.0), x_bounds=(0.0, 1.0), y_bounds=(0.0, 1.0))
    assert abs(smoothed.density.mean() - 1) < 1e-4
    grid = np.linspace(0, 1, 2001)
    line = density_1d(draws[:, 0], grid, 0.0, 1.0)
    assert abs(np.trapezoid(line, grid) - 1) < 0.01
    assert line[0] > 1.5, "mass near the bound must not leak past it"


def test_marginal_follows_the_law_and_keeps_two_modes_apart():
    random = np.random.default_rng(5)
    draws = np.concatenate([random.normal(-2, 0.1, 3000), random.normal(2, 0.1, 3000)])
    grid = np.linspace(-3, 3, 600)
    ours = density_1d(draws, grid)
    exact = 0.5 * norm.pdf(grid, -2, 0.1) + 0.5 * norm.pdf(grid, 2, 0.1)
    assert np.trapezoid(np.abs(ours - exact), grid) / 2 < 0.06
    assert ours[np.abs(grid) < 1].max() < 1e-3


def test_limits_reach_bounds_but_never_pass_them():
    draws = np.random.default_rng(6).uniform(size=2000)
    assert limits_of([draws], 0.0, 1.0) == (0.0, 1.0)
    low, high = limits_of([np.full(100, 3.0)])
    assert low < 3.0 < high
