"""Points and weights that integrate over a prior of one or two numbers."""

import numpy as np
from jaxtyping import Float

from quincunx.errors import UsageError
from quincunx.model import Prior
from quincunx.model.precision import double_scope

__all__ = ["quadrature"]

POINTS = {1: 2049, 2: 257}
"""Points along an axis, by the number of axes."""
NEGLIGIBLE = 1e-17


def quadrature(prior: Prior) -> tuple[Float[np.ndarray, "t d"], Float[np.ndarray, " t"]]:
    """Flat points (t, d) and weights (t,) with sum_t w_t f(theta_t) = E f(theta), by the trapezium rule in unconstrained space.

    There the density of smooth priors falls off smoothly at both ends, where the rule converges faster than any power of its step.

    Raises:
        UsageError: for a prior of more than two numbers, of numbers that are tied, or one that is restricted to a region.

    >>> import numpyro.distributions as dist
    >>> points, weights = quadrature(Prior(a=dist.Normal(1.0, 2.0)))
    >>> round(float(weights @ points[:, 0] ** 2), 10)
    5.0
    """
    if prior.dim > 2 or prior.unconstrained_dim != prior.dim or prior.region is not None:
        raise UsageError(
            f"got a prior of {prior.dim} numbers for quadrature; expected at most 2, independent and unrestricted; use draws of it"
        )
    with double_scope():
        axes = [_axis(prior, i) for i in range(prior.dim)]
        mesh = np.stack([part.ravel() for part in np.meshgrid(*axes, indexing="ij")], axis=1)
        log_density = np.asarray(prior.log_prob_unconstrained(mesh), np.float64)
        points = np.asarray(prior.to_constrained(mesh), np.float64)
    weights = np.exp(log_density - np.max(log_density))
    kept = weights > NEGLIGIBLE
    return points[kept], weights[kept] / weights[kept].sum()


def _axis(prior: Prior, i: int) -> np.ndarray:
    """Equal steps along one unconstrained number, between where the density is negligible, the other number at its middle."""
    middle = np.asarray(prior.to_unconstrained(prior.sample_flat(513, key=0)), np.float64)
    centre = np.median(middle, axis=0)
    reach = max(float(np.std(middle[:, i])), 1e-6) * np.concatenate(
        [-np.geomspace(200.0, 0.01, 2000), np.geomspace(0.01, 200.0, 2000)]
    )
    rows = np.repeat(centre[None], len(reach), axis=0)
    rows[:, i] += reach
    density = np.asarray(prior.log_prob_unconstrained(rows), np.float64)
    inside = reach[np.nan_to_num(density, nan=-np.inf) > np.nanmax(density) + np.log(NEGLIGIBLE)]
    return centre[i] + np.linspace(inside.min(), inside.max(), POINTS[prior.dim])
