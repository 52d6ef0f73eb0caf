"""Scanning a likelihood: q(theta) at every point of a grid, and profiling: with the other parameters at their best."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, PRNGKeyArray

from quincunx.errors import EnsembleSpreadWarning, UsageError
from quincunx.infer.ascent import Hold
from quincunx.infer.events import Events
from quincunx.infer.grids import axes_of, placed, product_of
from quincunx.infer.likelihood import Likelihood, flat_double, named_double
from quincunx.infer.maximum import Maximum, ascents, hold_of, maximum_likelihood
from quincunx.infer.scanned import Scan
from quincunx.model import Prior
from quincunx.model.precision import double_scope

TELLING = 0.25
"""The members' standard deviation of q at one standard error, where q is 1, above which they disagree by what the data can tell."""


def scan(
    likelihood: Likelihood,
    events: Any,
    *,
    grid: Mapping[str, Any] | int | None = None,
    points: Mapping[str, Any] | None = None,
    fixed: Mapping[str, Any] | None = None,
    key: PRNGKeyArray | int = 0,
    design: Mapping[str, Any] | None = None,
) -> Scan:
    """q(theta) = -2 [log L(theta) - log L(theta_hat)] on a product grid, or at listed points; theta_hat is the maximum, not a grid point.

    Every parameter is in the grid or in `fixed`. A number n as `grid` stands for n values of each within four standard errors. `key` draws
    where the search for the maximum starts.

    Raises:
        UsageError: with both or neither of grid and points, or parameters that are in neither grid nor fixed (see `profile`).
        NameMismatch, ShapeMismatch: for points that do not fit the prior.

    Warns with `EnsembleSpreadWarning` when members of an ensemble disagree on the total over all events by as much as one standard error.

    >>> import numpyro.distributions as dist
    >>> from quincunx.model import Prior
    >>> bell = Likelihood.of(lambda theta, x: -0.1 * (x - theta["mu"]) ** 2, Prior(mu=dist.Uniform(-5.0, 5.0)))
    >>> scan(bell, np.array([0.0, 2.0]), grid={"mu": [-1.0, 1.0, 2.0]}).q
    array([1.6, 0. , 0.4])
    """
    if (grid is None) == (points is None):
        raise UsageError(
            "got both or neither of grid and points; expected one of them; pass for example grid={'mu': np.linspace(0, 1, 50)}"
        )
    sample = likelihood.events(events, design=design)
    prior, held = likelihood.prior, dict(fixed or {})
    over = [name for name in prior.names if name not in held]
    given = grid if points is None else points
    if not isinstance(given, int):
        axes_of(prior, given or {}, None, None)
    missing = [name for name in over if not isinstance(given, int) and name not in (given or {})]
    if missing:
        raise UsageError(
            f"got a scan without {', '.join(missing)}; expected every parameter in the grid or in fixed; use profile() to maximise over them"
        )
    found = _checked(prior, given or 0, over, held)
    best = maximum_likelihood(likelihood, sample, key=key, fixed=held)
    axes = axes_of(prior, found, over, best)
    base = flat_double(prior, best.theta)
    flat = product_of(prior, axes, base) if points is None else placed(prior, axes, base)
    shape = tuple(len(a) for a in axes.values()) if points is None else (len(flat),)
    return _scan(likelihood, sample, axes, flat, shape, best, (), points is not None)


def profile(
    likelihood: Likelihood,
    events: Any,
    over: Sequence[str] | str | None = None,
    *,
    grid: Mapping[str, Any] | int,
    fixed: Mapping[str, Any] | None = None,
    key: PRNGKeyArray | int = 0,
    design: Mapping[str, Any] | None = None,
) -> Scan:
    """q(a) = -2 [max_nu log L(a, nu) - log L(a_hat, nu_hat)] on a grid of the parameters `over`, the others (nu) at their best at each point.

    Ascents start from nu_hat, and from where the curvature at the maximum says that nu goes with a, nu_hat - I_nunu^-1 I_nua (a - a_hat); all grid points climb
    in one compiled call. With a number n as `grid`, n values within four standard errors.

    Raises and warns: as `scan`.

    >>> import numpyro.distributions as dist
    >>> from quincunx.model import Prior
    >>> prior = Prior(a=dist.Normal(0.0, 9.0), b=dist.Normal(0.0, 9.0))
    >>> both = Likelihood.of(lambda t, x: -0.5 * (x[0] - t["a"] - t["b"]) ** 2 - 0.5 * (x[1] - t["b"]) ** 2, prior)
    >>> profile(both, np.zeros((1, 2)), grid={"a": [-1.0, 0.0, 2.0]}).q.round(6)
    array([0.5, 0. , 2. ])
    """
    sample = likelihood.events(events, design=design)
    prior, held = likelihood.prior, dict(fixed or {})
    names = [over] if isinstance(over, str) else list(over) if over is not None else None
    if isinstance(grid, int) and names is None:
        raise UsageError(
            "got a number of grid points without `over`; expected the parameters to scan; pass over=['name']"
        )
    found = _checked(prior, grid, names, held)
    best = maximum_likelihood(likelihood, sample, key=key, fixed=held)
    axes = axes_of(prior, found, names, best)
    base = flat_double(prior, best.theta)
    flat = product_of(prior, axes, base)
    profiled = tuple(name for name in prior.names if name not in axes and name not in held)
    if profiled:
        flat = conditional_maxima(likelihood, sample, flat, [*axes, *held], best)
    shape = tuple(len(a) for a in axes.values())
    return _scan(likelihood, sample, axes, flat, shape, best, profiled, False)


def _checked(
    prior: Prior, grid: Mapping[str, Any] | int, over: Sequence[str] | None, held: Mapping[str, Any]
) -> Mapping[str, Any] | int:
    """The grid, refused before anything is maximised if it cannot be scanned."""
    names = (over or []) if isinstance(grid, int) else list(axes_of(prior, grid, None, None))
    twice = [name for name in names if name in held]
    if twice:
        raise UsageError(f"got {', '.join(twice)} both to scan and fixed; expected one of them; leave one out")
    return grid


def conditional_maxima(
    likelihood: Likelihood, events: Events, flat: Float[np.ndarray, "n d"], held: Sequence[str], best: Maximum
) -> Float[np.ndarray, "n d"]:
    """The flat points with every parameter that is not `held` at its best given the others, started from a maximum."""
    prior = likelihood.prior
    mask = hold_of(prior, {name: np.zeros(prior.shapes[name]) for name in held})
    centre = flat_double(prior, best.theta)
    moved = flat.copy()
    covariance = np.nan_to_num(best.covariance)
    inner = covariance[np.ix_(mask.flat, mask.flat)]
    # regression of what is free on what is held, under the normal approximation at the maximum
    slope = covariance[np.ix_(~mask.flat, mask.flat)] @ np.linalg.pinv(inner)
    moved[:, ~mask.flat] = centre[~mask.flat] + (flat[:, mask.flat] - centre[mask.flat]) @ slope.T
    # extrapolated starts stay inside the support, a fiftieth of the way from its bounds
    with np.errstate(invalid="ignore"):
        low = np.where(np.isfinite(prior.low), prior.low + 0.02 * (centre - prior.low), -np.inf)
        high = np.where(np.isfinite(prior.high), prior.high - 0.02 * (prior.high - centre), np.inf)
    moved = np.clip(moved, low, high)
    plain = np.where(mask.flat, moved, centre)
    with double_scope():
        starts = np.asarray(prior.to_unconstrained(np.stack([plain, moved], axis=1)))
    starts = np.where(np.isfinite(starts), starts, 0.0)
    peak = ascents(likelihood, events.alone(), starts, Hold(flat, mask.flat, mask.u))
    return np.asarray(peak.theta)


def _scan(
    likelihood: Likelihood,
    sample: Events,
    axes: dict[str, np.ndarray],
    flat: np.ndarray,
    shape: tuple[int, ...],
    best: Maximum,
    profiled: tuple[str, ...],
    listed: bool,
) -> Scan:
    prior = likelihood.prior
    told = likelihood.rows(flat, sample)
    at_best = likelihood.rows(flat_double(prior, best.theta)[None], sample)[0]
    # a grid point above what the ascents found is a better maximum than theirs
    top = max(float(at_best[0]), float(told[:, 0].max()))
    q = (2.0 * (top - told[:, 0])).reshape(shape)
    if top > at_best[0] + 1e-3:
        best = _moved(prior, best, flat[int(np.argmax(told[:, 0]))], top)
    members = None
    if told.shape[1] > 1:
        members = np.moveaxis(2.0 * (at_best[1:] - told[:, 1:]), 0, 1).reshape(-1, *shape)
        _tell_spread(likelihood, sample, best, list(axes))
    units = {name: prior.units[name] for name in axes if name in prior.units}
    theta = {name: value.reshape((*shape, *value.shape[1:])) for name, value in named_double(prior, flat).items()}
    return Scan(axes, q, theta, best, float(sample.n), profiled, units, members, listed)


def _moved(prior: Any, best: Maximum, flat: np.ndarray, value: float) -> Maximum:
    nowhere = np.full_like(best.covariance, np.nan)
    return Maximum(named_double(prior, flat), value, nowhere, best.columns, best.fixed, (), False)


def _tell_spread(likelihood: Likelihood, sample: Events, best: Maximum, names: list[str]) -> None:
    """Warn if members disagree on 2 [log L(theta_hat) - log L(theta_hat + one standard error)], which is 1 for the ensemble."""
    prior = likelihood.prior
    centre = flat_double(prior, best.theta)
    for name in names:
        column = prior.columns.index(name)
        error = best.standard_errors[name]
        if not np.isfinite(error) or error == 0:
            continue
        # towards the middle of the support, so that the point lies inside; the others move as they do along the profile
        along = best.covariance[:, column] / error
        sides = [centre - along, centre + along]
        inside = [np.all((side >= prior.low) & (side <= prior.high)) for side in sides]
        told = likelihood.rows(np.stack([centre, sides[int(bool(inside[1]))]]), sample)[:, 1:]
        spread = float(np.std(2.0 * (told[0] - told[1]), ddof=1))
        if spread > TELLING:
            warnings.warn(
                f"the {told.shape[1]} members differ by {spread:.2g} (standard deviation) in q at one standard error of '{name}', where q "
                f"is 1; expected at most {TELLING}: errors of each event add up over {sample.n:g} events; train longer, on more "
                "simulations, or with more members, or use fewer events",
                EnsembleSpreadWarning,
                stacklevel=4,
            )
