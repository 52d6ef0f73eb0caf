"""Smoothed densities of draws on a grid, which respect hard bounds, and the levels that enclose a given mass."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Real
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import gaussian_filter1d, map_coordinates

# Fractions of the normal-reference bandwidth tried on held-out draws: small ones win for several modes or thin ridges.
_FRACTIONS = (1.0, 0.7, 0.5, 0.35, 0.25, 0.17, 0.12, 0.08)
# Cells a side beyond which a grid is not refined.
_FINEST = 220


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
    samples: Sequence[Real[np.ndarray, " _"]], low: float = -np.inf, high: float = np.inf, mass: float = 0.99
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
    """Gaussian-kernel density of draws at a regular grid, with mass folded back at hard bounds.

    The bandwidth is a fraction of Scott's rule, chosen by the log-density of held-out draws.

    >>> draws = np.random.default_rng(0).uniform(size=5000)
    >>> edge = density_1d(draws, np.linspace(0, 1, 201), 0.0, 1.0)[0]
    >>> bool(0.8 < edge < 1.2)
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
    """Index of the first density (widest first) whose held-out log-density is within one standard error of the best.

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


@dataclass(frozen=True, eq=False)
class Smoothed:
    """A smoothed histogram of n pairs on a regular grid: cell centres, density, and the kernel it was smoothed with.

    `widths` and `correlation` are the Gaussian kernel's; `bounds` the hard ones (infinite where there is none), over
    which nothing leaks.
    """

    x: Float[np.ndarray, " gx"]
    y: Float[np.ndarray, " gy"]
    density: Float[np.ndarray, "gx gy"]
    widths: tuple[float, float]
    correlation: float
    bounds: tuple[tuple[float, float], tuple[float, float]]
    n: int

    def at(self, points: Real[np.ndarray, "m 2"]) -> Float[np.ndarray, " m"]:
        """The density at points, linear between cells, zero off the grid.

        >>> grid = Smoothed(np.arange(2.0), np.arange(2.0), np.eye(2), (1.0, 1.0), 0.0, ((-1.0, 2.0), (-1.0, 2.0)), 9)
        >>> grid.at(np.array([[0.5, 0.5], [9.0, 9.0]])).tolist()
        [0.5, 0.0]
        """
        steps = self.x[1] - self.x[0], self.y[1] - self.y[0]
        index = np.stack([(points[:, 0] - self.x[0]) / steps[0], (points[:, 1] - self.y[0]) / steps[1]])
        # Half a cell of flat margin: the outermost centres lie half a cell inside the axis.
        inside = np.all((index >= -0.5) & (index <= np.array([[self.x.size - 0.5], [self.y.size - 0.5]])), axis=0)
        return np.where(inside, map_coordinates(self.density, index, order=1, mode="nearest"), 0.0)

    def without_own(self, draws: Real[np.ndarray, "n 2"]) -> Float[np.ndarray, " n"]:
        """The density at each of its own draws as the other n - 1 draws give it: what a fresh draw would see there."""
        own = self._own(draws)
        return (self.n * self.at(draws) - own) / max(self.n - 1, 1)

    def _own(self, draws: np.ndarray) -> np.ndarray:
        # n times what a draw adds to the density read at its own place. It is put at the centre of its cell, smoothed, and
        # read between the four centres around it: for a kernel of about a cell that is well below the kernel's peak.
        steps = np.array([self.x[1] - self.x[0], self.y[1] - self.y[0]])
        index = (draws - np.array([self.x[0], self.y[0]])) / steps
        offset = index - np.round(index)
        towards, share = np.sign(offset), np.abs(offset)
        widths, rho = np.array(self.widths), self.correlation
        peak = 1.0 / (2 * np.pi * widths.prod() * np.sqrt(1 - rho**2))
        own = np.zeros(len(draws))
        for right in (0, 1):
            for up in (0, 1):
                weight = np.where(right, share[:, 0], 1 - share[:, 0]) * np.where(up, share[:, 1], 1 - share[:, 1])
                p, q = (towards * steps / widths * np.array([right, up])).T
                own += weight * peak * np.exp(-0.5 * (p**2 - 2 * rho * p * q + q**2) / (1 - rho**2))
        for axis, (width, (low, high)) in enumerate(zip(self.widths, self.bounds, strict=True)):
            # Folded at a bound a distance d away, a kernel adds exp(-(2 d)^2 / 2 w^2) of its peak at its own centre.
            for bound in (low, high):
                if np.isfinite(bound):
                    own *= 1 + np.exp(-2 * ((draws[:, axis] - bound) / width) ** 2)
        return own

    def levels(self, draws: Real[np.ndarray, "n 2"], masses: Sequence[float] = (0.68, 0.95)) -> Float[np.ndarray, " m"]:
        """Levels whose regions {p >= level} hold the given masses of the law behind the draws: highest-density regions.

        The level of mass m is the (1 - m) quantile of the density at the draws (Hyndman 1996, The American
        Statistician 50, 120), each without its own contribution: otherwise a flat density would be counted where it
        happens to be high.

        >>> draws = np.random.default_rng(0).normal(size=(4000, 2))
        >>> smoothed = density_2d(draws, (-4.0, 4.0), (-4.0, 4.0))
        >>> levels = smoothed.levels(draws, (0.5, 0.9))
        >>> [round(float(np.mean(smoothed.at(draws) >= level)), 1) for level in levels]
        [0.5, 0.9]
        """
        return np.maximum(
            np.quantile(self.without_own(draws), [1 - mass for mass in masses]), 1e-12 * self.density.max()
        )


def density_2d(
    draws: Real[np.ndarray, "n 2"],
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    *,
    x_bounds: tuple[float, float] = (-np.inf, np.inf),
    y_bounds: tuple[float, float] = (-np.inf, np.inf),
    cells: int = 110,
) -> Smoothed:
    """Smoothed histogram of pairs, folded back at the ends that are hard bounds.

    The kernel is a fraction of Scott's rule, round (per axis) or turned along the draws' covariance, chosen by the
    log-density of held-out draws: curved, thin or several-peaked posteriors are not smeared into one blob.

    >>> draws = np.random.default_rng(0).normal(size=(4000, 2))
    >>> smoothed = density_2d(draws, (-4.0, 4.0), (-4.0, 4.0))
    >>> round(float(smoothed.density.sum()) * (8 / 110) ** 2, 2)
    1.0
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
    pad = int(np.clip(np.ceil(4.5 * scales.max() * rule), 5, cells))
    ends = [
        (x_range[0] <= x_bounds[0], x_range[1] >= x_bounds[1]),
        (y_range[0] <= y_bounds[0], y_range[1] >= y_bounds[1]),
    ]
    shape = (next_fast_len(cells + 2 * pad, real=True),) * 2
    wx = 2 * np.pi * np.fft.fftfreq(shape[0])[:, None]
    wy = 2 * np.pi * np.fft.rfftfreq(shape[1])[None, :]

    def transformed(weights: np.ndarray) -> np.ndarray:
        return np.asarray(rfft2(np.pad(weights, pad), shape))

    def kernel_widths(fraction: float) -> np.ndarray:
        # Never narrower than a cell: below that the contour follows single draws.
        return np.maximum(fraction * rule * scales, 0.9)

    def smooth(spectrum: np.ndarray, fraction: float, rho: float) -> np.ndarray:
        sx, sy = kernel_widths(fraction)
        kernel = np.exp(-0.5 * ((sx * wx) ** 2 + 2 * rho * sx * sy * wx * wy + (sy * wy) ** 2))
        full = np.asarray(irfft2(spectrum * kernel, shape))[: cells + 2 * pad, : cells + 2 * pad]
        full = _fold(full, 0, pad, *ends[0])
        return np.maximum(_fold(full, 1, pad, *ends[1]), 0.0)

    half_spectrum = transformed(half)
    rhos = (correlation, 0.0) if abs(correlation) > 0.3 else (0.0,)
    tried = [(fraction, rho) for fraction in _FRACTIONS[:-1] for rho in rhos]
    smoothed = [smooth(half_spectrum, fraction * 2 ** (1 / 6), rho) for fraction, rho in tried]
    fraction, rho = tried[_widest_as_good(smoothed, held_out)]
    if kernel_widths(fraction).min() < 1.5 and cells < _FINEST:
        # The grid, not the draws, would set the width of what is drawn.
        return density_2d(draws, x_range, y_range, x_bounds=x_bounds, y_bounds=y_bounds, cells=2 * cells)
    density = smooth(transformed(counts), fraction, rho) / (len(draws) * steps.prod())
    x, y = (start + step * (np.arange(cells) + 0.5) for (start, _), step in zip(ranges, steps, strict=True))
    sx, sy = (kernel_widths(fraction) * steps).tolist()
    return Smoothed(x, y, density, (sx, sy), rho, (x_bounds, y_bounds), len(draws))
