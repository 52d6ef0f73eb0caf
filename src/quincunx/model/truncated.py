"""A distribution cut to an interval, for any base with a cumulative distribution function."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray
from numpyro.distributions import constraints

from quincunx.errors import UnsupportedPrior
from quincunx.model.transforms import Identity, bounds_of, transform_for

__all__ = ["Truncated", "truncate"]

_BISECTIONS = 60


class Truncated(dist.Distribution):
    """p(theta | low < theta < high) = p(theta) / (F(high) - F(low)) inside, zero outside.

    Draws invert the cumulative distribution function F, by bisection where the base has no inverse of its own.

    >>> import jax, numpyro.distributions as dist
    >>> d = Truncated(dist.Gamma(2.0, 1.0), 1.0, 2.0)
    >>> draws = d.sample(jax.random.key(0), (100,))
    >>> bool((draws >= 1.0).all() and (draws <= 2.0).all())
    True
    """

    arg_constraints: dict = {}  # noqa: RUF012 (NumPyro's own protocol)
    pytree_data_fields = ("base_dist", "low", "high", "_map")
    pytree_aux_fields = ("_sides",)

    def __init__(self, base_dist: dist.Distribution, low: ArrayLike, high: ArrayLike):
        shape = base_dist.batch_shape
        self.base_dist = base_dist
        self.low = np.broadcast_to(np.asarray(low, np.float64), shape)
        self.high = np.broadcast_to(np.asarray(high, np.float64), shape)
        # Kept from here, where the bounds are concrete: under jit they may be tracers.
        self._map = transform_for("truncated", base_dist)
        self._sides = (bool(np.all(np.isfinite(self.low))), bool(np.all(np.isfinite(self.high))))
        super().__init__(batch_shape=shape, event_shape=())

    @property
    def support(self) -> constraints.Constraint:
        if self._sides == (True, True):
            return constraints.interval(self.low, self.high)
        if self._sides == (True, False):
            return constraints.greater_than(self.low)
        return constraints.less_than(self.high)

    def _ends(self) -> tuple[Array, Array]:
        # An infinite end has a known probability, and some cdfs return NaN there.
        below = self.base_dist.cdf(jnp.asarray(self.low)) if self._sides[0] else jnp.zeros(self.batch_shape)
        above = self.base_dist.cdf(jnp.asarray(self.high)) if self._sides[1] else jnp.ones(self.batch_shape)
        return below, above

    def sample(self, key: PRNGKeyArray, sample_shape: tuple[int, ...] = ()) -> Array:
        return self.icdf(jax.random.uniform(key, sample_shape + self.batch_shape))

    def log_prob(self, value: ArrayLike, intermediates: list | None = None) -> Array:
        below, above = self._ends()
        inside = (jnp.asarray(value) >= self.low) & (jnp.asarray(value) <= self.high)
        return jnp.where(inside, self.base_dist.log_prob(value) - jnp.log(above - below), -jnp.inf)

    def cdf(self, value: ArrayLike) -> Array:
        below, above = self._ends()
        return jnp.clip((self.base_dist.cdf(value) - below) / (above - below), 0.0, 1.0)

    def icdf(self, q: Float[ArrayLike, "..."]) -> Array:
        below, above = self._ends()
        p = below + jnp.asarray(q) * (above - below)
        try:
            value = self.base_dist.icdf(p)
        except (NotImplementedError, ImportError, AttributeError):
            value = self._bisect(p)
        return jnp.clip(value, jnp.asarray(self.low, value.dtype), jnp.asarray(self.high, value.dtype))

    def _bisect(self, p: Array) -> Array:
        def value_at(s: Array) -> Array:
            # s in (-1, 1) covers unconstrained space: u scaled for the logarithm and the probit, stretched for the line.
            u = jnp.sinh(20 * s) if isinstance(self._map, Identity) else 85 * s
            flat = u.reshape((*p.shape[: p.ndim - len(self.batch_shape)], -1))
            return self._map.inverse(flat).reshape(p.shape)

        def halve(_: Array | int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
            left, right = ends
            middle = 0.5 * (left + right)
            lower = self.base_dist.cdf(value_at(middle)) < p
            return jnp.where(lower, middle, left), jnp.where(lower, right, middle)

        left, right = jax.lax.fori_loop(0, _BISECTIONS, halve, (jnp.full_like(p, -1.0), jnp.full_like(p, 1.0)))
        return value_at(0.5 * (left + right))


def truncate(
    name: str, distribution: dist.Distribution, low: ArrayLike | None, high: ArrayLike | None
) -> dist.Distribution:
    """Cut one parameter's distribution to [low, high]; None leaves a side as it is.

    Raises:
        UnsupportedPrior: if nothing of the prior is left, or the distribution has no cumulative distribution function.

    >>> import numpyro.distributions as dist
    >>> cut = truncate("a", dist.Uniform(0.0, 4.0), 1.0, None)
    >>> cut.low, cut.high
    (1.0, 4.0)
    """
    box = bounds_of(distribution)
    if box is None:
        raise UnsupportedPrior(
            f"parameter '{name}' has support {distribution.support}; expected independent numbers to truncate; "
            "truncation of tied numbers is not defined by bounds"
        )
    asked_low = -np.inf if low is None else np.asarray(low, np.float64)
    asked_high = np.inf if high is None else np.asarray(high, np.float64)
    low_, high_ = np.asarray(np.maximum(box[0], asked_low)), np.asarray(np.minimum(box[1], asked_high))
    if np.any(low_ >= high_):
        raise UnsupportedPrior(
            f"truncating '{name}' to [{asked_low}, {asked_high}] leaves nothing of its support [{box[0]}, {box[1]}]; "
            "expected low < high inside the support; widen the bounds"
        )
    return _cut(name, distribution, low_, high_)


def _cut(name: str, distribution: dist.Distribution, low: np.ndarray, high: np.ndarray) -> dist.Distribution:
    if isinstance(distribution, dist.Independent):
        return _cut(name, distribution.base_dist, low, high).to_event(distribution.reinterpreted_batch_ndims)
    if isinstance(distribution, dist.Uniform):
        return dist.Uniform(_plain(low), _plain(high))
    if distribution.event_shape:
        raise UnsupportedPrior(
            f"parameter '{name}' has the correlated distribution {type(distribution).__name__}; "
            "expected independent numbers to truncate; give the components their own names"
        )
    # NumPyro's own truncation of Student's t needs another package for its quantiles; bisection does not
    supported = tuple(t for t in dist.TwoSidedTruncatedDistribution.supported_types if t is not dist.StudentT)
    if isinstance(distribution, supported) and np.all(np.isfinite(low)) == np.any(np.isfinite(low)):
        sides = {k: _plain(v) for k, v in {"low": low, "high": high}.items() if np.all(np.isfinite(v))}
        return dist.TruncatedDistribution(distribution, **sides) if sides else distribution
    try:
        cut = Truncated(distribution, low, high)
        below, above = cut._ends()
    except (NotImplementedError, ImportError, AttributeError) as error:
        raise UnsupportedPrior(
            f"parameter '{name}' has {type(distribution).__name__}, whose cumulative distribution function is "
            "not known; "
            "expected a distribution with one; use a Uniform, Normal, LogNormal, Gamma or Beta instead"
        ) from error
    if not np.all(np.asarray(above - below) > 0):
        raise UnsupportedPrior(
            f"truncating '{name}' to [{low}, {high}] keeps no probability that float32 can see; widen the bounds"
        )
    return cut


def _plain(bound: np.ndarray) -> float | np.ndarray:
    # Python floats stay static under jit and read well.
    return float(bound) if bound.ndim == 0 else bound
