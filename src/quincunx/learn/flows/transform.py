"""Elementwise monotone maps whose parameters a network supplies: affine, and rational-quadratic spline on top of it."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_LOG_SCALE_BOUND = 9.0
_MIN_BIN = 1e-3
_MIN_SLOPE = 1e-3


class Affine(eqx.Module):
    """z = (y - shift) exp(-log_scale), the log-scale softly bounded to +-9; two parameters a coordinate."""

    @property
    def size(self) -> int:
        """How many parameters one coordinate takes."""
        return 2

    def forward(
        self, y: Float[Array, " d"], parameters: Float[Array, "d p"]
    ) -> tuple[Float[Array, " d"], Float[Array, " d"]]:
        """z and log|dz/dy|, coordinate by coordinate."""
        log_scale = _bounded(parameters[:, 1])
        return (y - parameters[:, 0]) * jnp.exp(-log_scale), -log_scale

    def inverse(self, z: Float[Array, " d"], parameters: Float[Array, "d p"]) -> Float[Array, " d"]:
        """y from z."""
        return z * jnp.exp(_bounded(parameters[:, 1])) + parameters[:, 0]


class Spline(eqx.Module):
    """A monotone rational-quadratic spline on [-interval, interval], identity outside, after an affine map (1906.04032).

    The affine part moves and narrows, so that the knots only carry the shape: a posterior a hundredth as wide as the
    prior does not have to be found by one bin. `2 + 3 knots - 1` parameters a coordinate; all zero gives the identity.
    """

    knots: int = eqx.field(static=True)
    interval: float = eqx.field(static=True)

    @property
    def size(self) -> int:
        """How many parameters one coordinate takes."""
        return 3 * self.knots + 1

    def forward(
        self, y: Float[Array, " d"], parameters: Float[Array, "d p"]
    ) -> tuple[Float[Array, " d"], Float[Array, " d"]]:
        """z and log|dz/dy|, coordinate by coordinate."""
        log_scale = _bounded(parameters[:, 1])
        moved = (y - parameters[:, 0]) * jnp.exp(-log_scale)
        inside = jnp.abs(moved) < self.interval
        safe = jnp.where(inside, moved, 0.0)
        (x0, y0, d0), (x1, y1, d1) = self._bin(safe, 0, self._knots(parameters[:, 2:]))
        width, height = x1 - x0, y1 - y0
        steep = height / width
        t = (safe - x0) / width
        s = t * (1 - t)
        bottom = steep + (d1 + d0 - 2 * steep) * s
        z = y0 + height * (steep * t**2 + d0 * s) / bottom
        slope = steep**2 * (d1 * t**2 + 2 * steep * s + d0 * (1 - t) ** 2) / bottom**2
        return jnp.where(inside, z, moved), jnp.log(jnp.where(inside, slope, 1.0)) - log_scale

    def inverse(self, z: Float[Array, " d"], parameters: Float[Array, "d p"]) -> Float[Array, " d"]:
        """y from z, by the quadratic's stable root."""
        inside = jnp.abs(z) < self.interval
        safe = jnp.where(inside, z, 0.0)
        (x0, y0, d0), (x1, y1, d1) = self._bin(safe, 1, self._knots(parameters[:, 2:]))
        width, height = x1 - x0, y1 - y0
        steep = height / width
        rise = safe - y0
        curve = d1 + d0 - 2 * steep
        a = height * (steep - d0) + rise * curve
        b = height * d0 - rise * curve
        c = -steep * rise
        root = jnp.sqrt(jnp.maximum(b**2 - 4 * a * c, 0.0))
        t = 2 * c / (-b - root)
        moved = jnp.where(inside, x0 + t * width, z)
        return moved * jnp.exp(_bounded(parameters[:, 1])) + parameters[:, 0]

    def _knots(self, raw: Float[Array, "d q"]) -> Float[Array, "3 d knots"]:
        """Positions, values and slopes at the knots, the two ends included."""
        k, d = self.knots, raw.shape[0]
        share = _MIN_BIN + (1 - _MIN_BIN * k) * jax.nn.softmax(raw[:, : 2 * k].reshape(d, 2, k), axis=-1)
        # a product with a triangle instead of a cumulative sum: it and its gradient compile faster
        edges = (2 * share @ jnp.triu(jnp.ones((k, k + 1)), 1) - 1) * self.interval
        one = jnp.log(jnp.expm1(1 - _MIN_SLOPE))
        inner = _MIN_SLOPE + jax.nn.softplus(raw[:, 2 * k :] + one)
        slopes = jnp.pad(inner, ((0, 0), (1, 1)), constant_values=1.0)
        return jnp.stack([edges[:, 0], edges[:, 1], slopes])

    def _bin(self, at: Float[Array, " d"], axis: int, knots: Float[Array, "3 d knots"]):
        """Knots to the left and to the right of `at`, searched in positions (axis 0) or values (axis 1)."""
        # a one-hot product instead of a gather: on a CPU it is faster, and its gradient is a product too
        edges = knots[axis, :, 1:-1]
        passed = (at[:, None] >= edges).astype(at.dtype)
        hot = jnp.pad(passed, ((0, 0), (1, 0)), constant_values=1.0) - jnp.pad(passed, ((0, 0), (0, 1)))
        return jnp.sum(hot * knots[:, :, :-1], axis=-1), jnp.sum(hot * knots[:, :, 1:], axis=-1)


def _bounded(log_scale: Float[Array, " d"]) -> Float[Array, " d"]:
    return _LOG_SCALE_BOUND * jnp.tanh(log_scale / _LOG_SCALE_BOUND)


def transform_named(name: str, *, knots: int = 8, interval: float = 4.0) -> Affine | Spline:
    """The transform called "affine" or "spline"; `ValueError` for another name."""
    if name == "affine":
        return Affine()
    if name == "spline":
        return Spline(knots, interval)
    raise ValueError(f"got transform {name!r}; expected 'affine' or 'spline'")
