"""Maps between a parameter's support and unconstrained space, one class per map.

Every map acts on the last axis of flat arrays, over any leading axes, in the dtype it is given.
"""

import abc
import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import ndtr, ndtri
from jaxtyping import Array, Bool, Float
from numpyro.distributions import constraints

from quincunx.errors import UnsupportedPrior

__all__ = ["Bijection", "Identity", "Log", "Probit", "Transform", "bounds_of", "transform_for"]

EDGE = 1e-6
"""The fraction of an interval's width kept clear of each end: float32 cannot resolve the probit's tails beyond it."""


class Transform(eqx.Module):
    """An invertible map from `size` constrained numbers theta to `unconstrained_size` unconstrained numbers u."""

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """How many constrained numbers there are."""

    @property
    def unconstrained_size(self) -> int:
        """How many unconstrained numbers there are."""
        return self.size

    @abc.abstractmethod
    def forward(self, theta: Float[Array, "*batch n"]) -> Float[Array, "*batch m"]:
        """Constrained to unconstrained."""

    @abc.abstractmethod
    def inverse(self, u: Float[Array, "*batch m"]) -> Float[Array, "*batch n"]:
        """Unconstrained to constrained; never leaves the support."""

    @abc.abstractmethod
    def log_det(self, u: Float[Array, "*batch m"]) -> Float[Array, "*batch"]:
        """log |det d theta / d u|."""

    @abc.abstractmethod
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest value of every constrained number, infinite where there is none."""

    @abc.abstractmethod
    def contains(self, theta: Float[Array, "*batch n"]) -> Bool[Array, "*batch"]:
        """Whether theta is in the support."""


class Identity(Transform):
    """Real numbers: u = theta.

    >>> import jax.numpy as jnp
    >>> Identity(2).forward(jnp.array([1.0, -3.0]))
    Array([ 1., -3.], dtype=float32)
    """

    count: int = eqx.field(static=True)

    @property
    def size(self) -> int:
        return self.count

    def forward(self, theta: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        return theta

    def inverse(self, u: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        return u

    def log_det(self, u: Float[Array, "*batch n"]) -> Float[Array, "*batch"]:
        return jnp.zeros(u.shape[:-1], u.dtype)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        return np.full(self.size, -np.inf), np.full(self.size, np.inf)

    def contains(self, theta: Float[Array, "*batch n"]) -> Bool[Array, "*batch"]:
        return jnp.all(jnp.isfinite(theta), axis=-1)


class Log(Transform):
    """Half-lines: u = log(sign (theta - origin)), with sign +1 above the origin and -1 below it.

    >>> import numpy as np, jax.numpy as jnp
    >>> Log(np.zeros(1)).inverse(jnp.array([0.0]))
    Array([1.], dtype=float32)
    """

    origin: np.ndarray
    sign: int = eqx.field(static=True, default=1)

    @property
    def size(self) -> int:
        return self.origin.size

    def forward(self, theta: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        distance = self.sign * (theta - jnp.asarray(self.origin, theta.dtype))
        return jnp.log(jnp.maximum(distance, jnp.finfo(theta.dtype).tiny))

    def inverse(self, u: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        # exp overflows float32 beyond 88 and is flushed to the boundary below -87.
        return jnp.asarray(self.origin, u.dtype) + self.sign * jnp.exp(jnp.clip(u, -85.0, 85.0))

    def log_det(self, u: Float[Array, "*batch n"]) -> Float[Array, "*batch"]:
        return jnp.sum(u, axis=-1)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        far = np.full(self.size, np.inf)
        origin = np.asarray(self.origin)
        return (origin, far) if self.sign > 0 else (-far, origin)

    def contains(self, theta: Float[Array, "*batch n"]) -> Bool[Array, "*batch"]:
        distance = self.sign * (theta - jnp.asarray(self.origin, theta.dtype))
        return jnp.all((distance >= 0) & jnp.isfinite(distance), axis=-1)


class Probit(Transform):
    """Intervals: u = Phi^-1((theta - low) / (high - low)), so that a uniform variable becomes exactly N(0, 1).

    The rescaled interval is clipped to [1e-6, 1 - 1e-6]; log |d theta / d u| = log(high - low) + log N(u; 0, 1).

    >>> import numpy as np, jax.numpy as jnp
    >>> Probit(np.array([-1.0]), np.array([3.0])).inverse(jnp.array([0.0]))
    Array([1.], dtype=float32)
    """

    low: np.ndarray
    high: np.ndarray

    @property
    def size(self) -> int:
        return self.low.size

    def _ends(self, dtype: np.dtype) -> tuple[Array, Array]:
        return jnp.asarray(self.low, dtype), jnp.asarray(self.high, dtype)

    def forward(self, theta: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        low, high = self._ends(theta.dtype)
        return ndtri(jnp.clip((theta - low) / (high - low), EDGE, 1 - EDGE))

    def inverse(self, u: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        low, high = self._ends(u.dtype)
        theta = low + (high - low) * jnp.clip(ndtr(u), EDGE, 1 - EDGE)
        return jnp.clip(theta, low, high)

    def log_det(self, u: Float[Array, "*batch n"]) -> Float[Array, "*batch"]:
        low, high = self._ends(u.dtype)
        return jnp.sum(jnp.log(high - low) - 0.5 * u**2 - 0.5 * math.log(2 * math.pi), axis=-1)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        return np.asarray(self.low), np.asarray(self.high)

    def contains(self, theta: Float[Array, "*batch n"]) -> Bool[Array, "*batch"]:
        low, high = self._ends(theta.dtype)
        return jnp.all((theta >= low) & (theta <= high), axis=-1)


class Bijection(Transform):
    """Supports that tie numbers together (a simplex, a Cholesky factor, an ordering): NumPyro's own bijection.

    A simplex of K numbers has K - 1 unconstrained ones, and densities are over its first K - 1 coordinates.

    >>> import jax.numpy as jnp
    >>> from numpyro.distributions import constraints
    >>> t = Bijection(constraints.simplex, (3,), 2)
    >>> t.inverse(jnp.zeros(2)).sum()
    Array(1., dtype=float32)
    """

    constraint: constraints.Constraint = eqx.field(static=True)
    event_shape: tuple[int, ...] = eqx.field(static=True)
    free: int = eqx.field(static=True)

    @property
    def size(self) -> int:
        return math.prod(self.event_shape)

    @property
    def unconstrained_size(self) -> int:
        return self.free

    def _map(self) -> dist.transforms.Transform:
        return dist.biject_to(self.constraint)

    def _unflat(self, u: Array) -> Array:
        return u.reshape(u.shape[:-1] + tuple(self._map().inverse_shape(self.event_shape)))

    def _event(self, theta: Array) -> Array:
        return theta.reshape(theta.shape[:-1] + self.event_shape)

    def forward(self, theta: Float[Array, "*batch n"]) -> Float[Array, "*batch m"]:
        return self._map().inv(self._event(theta)).reshape((*theta.shape[:-1], self.unconstrained_size))

    def inverse(self, u: Float[Array, "*batch m"]) -> Float[Array, "*batch n"]:
        return self._map()(self._unflat(u)).reshape((*u.shape[:-1], self.size))

    def log_det(self, u: Float[Array, "*batch m"]) -> Float[Array, "*batch"]:
        inner = self._unflat(u)
        each = self._map().log_abs_det_jacobian(inner, self._map()(inner))
        return jnp.sum(each.reshape((*u.shape[:-1], -1)), axis=-1)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        if self.constraint is constraints.simplex:
            return np.zeros(self.size), np.ones(self.size)
        return np.full(self.size, -np.inf), np.full(self.size, np.inf)

    def contains(self, theta: Float[Array, "*batch n"]) -> Bool[Array, "*batch"]:
        each = jnp.asarray(self.constraint(self._event(theta)))
        return jnp.all(each.reshape((*theta.shape[:-1], -1)), axis=-1)


def bounds_of(distribution: dist.Distribution) -> tuple[np.ndarray, np.ndarray] | None:
    """Lowest and highest value of each number of a distribution with a box-shaped support, else None.

    >>> import numpyro.distributions as dist
    >>> bounds_of(dist.Uniform(-1.0, 2.0))
    (array(-1.), array(2.))
    """
    if isinstance(distribution, dist.Independent | dist.ExpandedDistribution):
        inner = bounds_of(distribution.base_dist)
    elif isinstance(distribution, dist.TransformedDistribution):
        inner = _bounds_through(distribution)
    else:
        inner = _bounds_of_constraint(distribution.support)
    if inner is None:
        return None
    shape = distribution.batch_shape + distribution.event_shape
    low, high = (np.broadcast_to(np.asarray(side, np.float64), shape) for side in inner)
    return low, high


def _bounds_through(distribution: dist.TransformedDistribution) -> tuple[np.ndarray, np.ndarray] | None:
    # NumPyro reports the codomain of the last map, so an affine map of a Uniform would claim the whole line.
    monotone = (dist.transforms.AffineTransform, dist.transforms.ExpTransform)
    inner = bounds_of(distribution.base_dist)
    if inner is None or not all(isinstance(t, monotone) for t in distribution.transforms):
        return _bounds_of_constraint(distribution.support)
    for step in distribution.transforms:
        if isinstance(step, dist.transforms.ExpTransform):
            ends = [np.exp(end) for end in inner]
        else:
            ends = [np.asarray(step.loc, np.float64) + np.asarray(step.scale, np.float64) * end for end in inner]
        inner = np.asarray(np.minimum(*ends)), np.asarray(np.maximum(*ends))
    return inner


def _bounds_of_constraint(constraint: constraints.Constraint) -> tuple[np.ndarray, np.ndarray] | None:
    while isinstance(constraint, constraints._IndependentConstraint):
        constraint = constraint.base_constraint
    low = getattr(constraint, "lower_bound", None)
    high = getattr(constraint, "upper_bound", None)
    if low is not None or high is not None:
        return np.asarray(-np.inf if low is None else low), np.asarray(np.inf if high is None else high)
    if isinstance(constraint, constraints._Real):
        return np.asarray(-np.inf), np.asarray(np.inf)
    return None


def transform_for(name: str, distribution: dist.Distribution) -> Transform:
    """The map for one parameter, by its support: real, half-line, interval, or NumPyro's bijection.

    Raises:
        UnsupportedPrior: if the support is discrete or no map to unconstrained space is known.

    >>> import numpyro.distributions as dist
    >>> type(transform_for("beta", dist.LogNormal(0.0, 1.0))).__name__
    'Log'
    """
    support = distribution.support
    if getattr(support, "is_discrete", False):
        raise UnsupportedPrior(
            f"parameter '{name}' has the discrete distribution {type(distribution).__name__}; expected a "
            "continuous one; "
            "sum the discrete parameter out inside the simulator, or give it a continuous relaxation"
        )
    if support is None or isinstance(distribution, dist.ImproperUniform):
        raise UnsupportedPrior(
            f"parameter '{name}' has {type(distribution).__name__}, which cannot be sampled; expected a proper prior; "
            "give it finite bounds, for example dist.Uniform(low, high)"
        )
    box = bounds_of(distribution)
    if box is not None:
        low, high = (side.reshape(-1) for side in box)
        if np.all(np.isfinite(low) & np.isfinite(high)):
            if np.any(low >= high):
                raise UnsupportedPrior(
                    f"parameter '{name}' lies between {low} and {high}; expected low < high; correct its bounds"
                )
            return Probit(low, high)
        if np.all(np.isinf(low) & np.isinf(high)):
            return Identity(low.size)
        if np.all(np.isfinite(low) & np.isinf(high)):
            return Log(low, 1)
        if np.all(np.isinf(low) & np.isfinite(high)):
            return Log(high, -1)
        raise UnsupportedPrior(
            f"parameter '{name}' mixes bounded and unbounded numbers; expected one kind of support per parameter; "
            "split it into several named parameters"
        )
    try:
        inner = dist.biject_to(support).inverse_shape(distribution.event_shape)
    except (NotImplementedError, AttributeError) as error:
        raise UnsupportedPrior(
            f"parameter '{name}' has support {support}, for which no map to unconstrained space is known; "
            "expected real, positive, interval, simplex, ordered or Cholesky; rewrite it in one of these"
        ) from error
    return Bijection(support, distribution.event_shape, math.prod(inner))
