"""Smoothed densities of draws on a grid, which respect hard bounds, and the levels that enclose a given mass."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Real
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import gaussian_filter1d, map_coordinates

# Fractions of the normal-reference bandwidth tried by held-out likelihood: small ones win for several modes or thin curved ridges.
_FRACTIONS = (1.0, 0.7, 0.5, 0.35, 0.25, 0.17, 0.12, 0.08)


def scale_of(values: Real[np.ndarray, " n"]) -> float:
    """A width that heavy tails do not inflate: the smaller of the standard deviation and IQR / 1.349.

    >>> round(scale_of(np.random.default_rng(0).normal(size=20_000)), 1)
    1.0
    """
    deviation = float(np.std(values))
    low, high = np.quantile(values, [0.25, 0.75])
    robust = float(high - low) / 1.349
    if robust > 0:
        return min(deviation, robust)
    return deviation if deviation > 0 else 1.0


def limits_of(
    samples: Sequence[Real[np.ndarray, " n"]], low: float = -np.inf, high: float = np.inf, mass: float = 0.997
) -> tuple[float, float]:
    """Axis limits: the central `mass` of every sample with a margin, never past a hard bound.

    >>> low, high = limits_of([np.random.default_rng(0).uniform(size=1000)], 0.0, 1.0)
    >>> low >= 0.0 and high <= 1.0
    True
    """
    tail = (1 - mass) / 2
    lower = min(float(np.quantile(sample, tail)) for sample in samples)
    upper = max(float(np.quantile(sample, 1 - tail)) for sample in samples)
    width = upper - lower
    if width <= 0:
        width = max(abs(upper), 1.0) * 1e-3
    margin = 0.12 * width
    # A margin that ends just short of a bound would leave a sliver of axis: go to the bound.
    left = low if lower - 2 * margin <= low else lower - margin
    right = high if upper + 2 * margin >= high else upper + margin
    return left, right


def _fold(density: np.ndarray, axis: int, pad: int, at_low: bool, at_high: bool) -> np.ndarray:
    """Cut the padding off one axis; mass that a kernel carried over a hard bound is put back where it came from."""
    moved = np.moveaxis(density, axis, 0)
    size = moved.shape[0] - 2 * pad
    inside = moved[pad : pad + size].copy()
    fold = min(pad, size)
    if at_low:
        inside[:fold] += moved[pad - fold : pad][::-1]
    if at_high:
        inside[size - fold :] += moved[pad + size : pad + size + fold][::-1]
    return np.moveaxis(inside, 0, axis)


def density_1d(
    draws: Real[np.ndarray, " n"], grid: Float[np.ndarray, " g"], low: float = -np.inf, high: float = np.inf
) -> Float[np.ndarray, " g"]:
    """Gaussian-kernel density of draws at a regular grid, with mass folded back at hard bounds; integrates to the mass inside.

    The bandwidth is a fraction of Scott's rule, chosen by the log-density of held-out draws.

    >>> draws = np.random.default_rng(0).uniform(size=5000)
    >>> edge = density_1d(draws, np.linspace(0, 1, 201), 0.0, 1.0)[0]
    >>> 0.8 < edge < 1.2
    True
    """
    draws = np.asarray(draws, dtype=float)
    width = 1.06 * scale_of(draws) * draws.size**-0.2
    first, last = float(grid[0]), float(grid[-1])
    # Cells fine enough for the narrowest kernel tried, wide enough to catch kernels centred outside the grid.
    reach = 4 * width
    start = low if first - reach <= low else first - reach
    stop = high if last + reach >= high else last + reach
    cells = int(np.clip(np.ceil((stop - start) / (width * _FRACTIONS[-1] / 1.5)), 256, 4096))
    step = (stop - start) / cells
    counts = np.histogram(draws, bins=cells, range=(start, stop))[0].astype(float)
    half = np.histogram(draws[::2], bins=cells, range=(start, stop))[0].astype(float)

    def smooth(weights: np.ndarray, bandwidth: float) -> np.ndarray:
        pad = int(np.ceil(5 * bandwidth / step)) + 1
        padded = gaussian_filter1d(np.pad(weights, pad), bandwidth / step, mode="constant", truncate=5.0)
        return _fold(padded, 0, pad, start == low, stop == high)

    held_out = counts - half
    # Half the draws want a kernel wider by 2^(1/5): what is compared must be the same rule.
    tried = [smooth(half, width * fraction * 2**0.2) for fraction in _FRACTIONS]
    best = width * _FRACTIONS[_widest_as_good(tried, held_out)]
    density = smooth(counts, best) / (draws.size * step)
    centres = start + step * (np.arange(cells) + 0.5)
    return np.interp(grid, centres, density)


def _widest_as_good(densities: Sequence[np.ndarray], held_out: np.ndarray) -> int:
    """Index of the first density (widest kernel first) whose held-out log-density is within one standard error of the best.

    The maximum itself follows noise: for a plain Gaussian it often takes a kernel so narrow that contours wobble.
    """
    seen = held_out > 0
    weights = held_out[seen]
    total = max(float(weights.sum()), 1.0)
    logs = np.stack([np.log(density[seen] + 1e-7 * max(float(density.max()), 1e-300)) for density in densities])
    best = int(np.argmax(logs @ weights))
    gap = logs[best] - logs
    mean = gap @ weights / total
    error = np.sqrt(np.maximum((gap**2) @ weights / total - mean**2, 0.0) / total)
    return int(np.argmax(mean <= error + 1e-12))


def density_2d(
    draws: Real[np.ndarray, "n 2"],
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    *,
    x_bounds: tuple[float, float] = (-np.inf, np.inf),
    y_bounds: tuple[float, float] = (-np.inf, np.inf),
    cells: int = 110,
) -> tuple[Float[np.ndarray, " gx"], Float[np.ndarray, " gy"], Float[np.ndarray, "gx gy"]]:
    """Smoothed histogram of pairs: cell centres and density, folded back at the ends that are hard bounds.

    The kernel is a fraction of Scott's rule, round (per axis) or turned along the draws' covariance, chosen by the log-density of
    held-out draws: curved, thin or several-peaked posteriors are not smeared into one blob.

    >>> draws = np.random.default_rng(0).normal(size=(4000, 2))
    >>> x, y, density = density_2d(draws, (-4, 4), (-4, 4))
    >>> abs(density.sum() * (x[1] - x[0]) * (y[1] - y[0]) - 1) < 0.01
    True
    """
    draws = np.asarray(draws, dtype=float)
    ranges = [x_range, y_range]
    steps = np.array([(stop - start) / cells for start, stop in ranges])
    counts = np.histogram2d(draws[:, 0], draws[:, 1], bins=cells, range=ranges)[0]
    half = np.histogram2d(draws[::2, 0], draws[::2, 1], bins=cells, range=ranges)[0]
    held_out = counts - half
    scales = np.array([scale_of(draws[:, 0]), scale_of(draws[:, 1])]) / steps
    deviations = np.std(draws, axis=0)
    correlation = 0.0
    if np.all(deviations > 0):
        correlation = float(np.clip(np.corrcoef(draws.T)[0, 1], -0.98, 0.98))
    rule = len(draws) ** (-1 / 6)
    pad = int(np.clip(np.ceil(4 * scales.max() * rule), 4, cells))
    ends = [
        (x_range[0] <= x_bounds[0], x_range[1] >= x_bounds[1]),
        (y_range[0] <= y_bounds[0], y_range[1] >= y_bounds[1]),
    ]
    shape = (next_fast_len(cells + 2 * pad, real=True),) * 2
    wx = 2 * np.pi * np.fft.fftfreq(shape[0])[:, None]
    wy = 2 * np.pi * np.fft.rfftfreq(shape[1])[None, :]

    def transformed(weights: np.ndarray) -> np.ndarray:
        return np.asarray(rfft2(np.pad(weights, pad), shape))

    def smooth(spectrum: np.ndarray, fraction: float, rho: float) -> np.ndarray:
        # Never narrower than a cell and a half: below that the contour follows single draws.
        sx, sy = np.maximum(fraction * rule * scales, 0.9)
        kernel = np.exp(-0.5 * ((sx * wx) ** 2 + 2 * rho * sx * sy * wx * wy + (sy * wy) ** 2))
        full = np.asarray(irfft2(spectrum * kernel, shape))[: cells + 2 * pad, : cells + 2 * pad]
        full = _fold(full, 0, pad, *ends[0])
        return np.maximum(_fold(full, 1, pad, *ends[1]), 0.0)

    half_spectrum = transformed(half)
    rhos = (correlation, 0.0) if abs(correlation) > 0.3 else (0.0,)
    tried = [(fraction, rho) for fraction in _FRACTIONS[:-1] for rho in rhos]
    smoothed = [smooth(half_spectrum, fraction * 2 ** (1 / 6), rho) for fraction, rho in tried]
    fraction, rho = tried[_widest_as_good(smoothed, held_out)]
    density = smooth(transformed(counts), fraction, rho) / (len(draws) * steps.prod())
    centres = [start + step * (np.arange(cells) + 0.5) for (start, _), step in zip(ranges, steps, strict=True)]
    return centres[0], centres[1], density


def density_at(
    points: Real[np.ndarray, "n 2"],
    x: Float[np.ndarray, " gx"],
    y: Float[np.ndarray, " gy"],
    density: Float[np.ndarray, "gx gy"],
) -> Float[np.ndarray, " n"]:
    """A gridded density at points, linear between cells, zero off the grid.

    >>> density_at(np.array([[0.5, 0.5], [9.0, 9.0]]), np.arange(2.0), np.arange(2.0), np.eye(2)).tolist()
    [0.5, 0.0]
    """
    step_x, step_y = x[1] - x[0], y[1] - y[0]
    index = np.stack([(points[:, 0] - x[0]) / step_x, (points[:, 1] - y[0]) / step_y])
    # Half a cell of flat margin: the outermost centres lie half a cell inside the axis.
    inside = np.all((index >= -0.5) & (index <= np.array([[x.size - 0.5], [y.size - 0.5]])), axis=0)
    values = map_coordinates(density, index, order=1, mode="nearest")
    return np.where(inside, values, 0.0)


def mass_levels(
    draws: Real[np.ndarray, "n 2"],
    x: Float[np.ndarray, " gx"],
    y: Float[np.ndarray, " gy"],
    density: Float[np.ndarray, "gx gy"],
    masses: Sequence[float] = (0.68, 0.95),
) -> Float[np.ndarray, " m"]:
    """Density levels whose regions {p >= level} hold the given masses of the draws: highest-density regions.

    The level of mass m is the (1 - m) quantile of the density at the draws themselves (Hyndman 1996, The American Statistician 50, 120),
    so smoothing moves the shape of a region but not the mass in it.

    >>> draws = np.random.default_rng(0).normal(size=(4000, 2))
    >>> x, y, density = density_2d(draws, (-4, 4), (-4, 4))
    >>> levels = mass_levels(draws, x, y, density, (0.5,))
    >>> round(float(np.mean(density_at(draws, x, y, density) >= levels[0])), 2)
    0.5
    """
    return np.quantile(density_at(draws, x, y, density), [1 - mass for mass in masses])


def inside_region(
    points: Real[np.ndarray, "n 2"],
    x: Float[np.ndarray, " gx"],
    y: Float[np.ndarray, " gy"],
    density: Float[np.ndarray, "gx gy"],
    level: float,
) -> Bool[np.ndarray, " n"]:
    """Whether points lie where the density is at least `level`.

    >>> inside_region(np.zeros((1, 2)), np.arange(2.0), np.arange(2.0), np.eye(2), 0.9).tolist()
    [True]
    """
    return density_at(points, x, y, density) >= level
