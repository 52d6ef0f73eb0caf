"""A density of whole and continuous numbers together, coordinate after coordinate."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import log_ndtr
from jax.scipy.stats import norm
from jaxtyping import Array, Bool, Float, PRNGKeyArray
from scipy.stats import skew

from quincunx.learn.build import register
from quincunx.learn.flows.gaussian import head_size
from quincunx.learn.flows.trunk import Trunk

ColumnSpec = dict[str, Any]
"""What is known of a whole column, as JSON: "low", "high", "open_low", "open_high", "log", "offset", "shift", "spread"."""

_LOG_SCALE_BOUND = 9.0
_NARROW = 0.05
_DEFENCE, _BROAD = 1e-4, 3.0


class MixedDensity(eqx.Module):
    """q(y | c) = prod_i q_i(r_i | r_1..i-1, c) |dr_i/dy_i| with the residuals r_i = (g_i(y_i) - m_i(c)) / s_i(c) and

        q_i = sum_k w_ik(c) Normal(r_i; d_ik(c) - sum_j<i L_ij(c) r_j, t_ik(c)).

    Of a continuous coordinate g is the identity and q_i a density; of a whole one, g(y) = (log(y + offset) - shift) / spread, or
    without the logarithm where `log` is false, and q_i is the probability of its unit cell, the mixture's mass between the residuals
    of y - 1/2 and y + 1/2, with nothing added to the data. Where `open_low` (`open_high`) the cell at `low` (`high`) reaches to minus (plus)
    infinity, so that counts of few values and yes-or-no outcomes are exact. One network gives m, s, L, w, d and t: mixed neural
    likelihood estimation (Boelts et al. 2022) for any number of coordinates of either kind. Every q_i is mixed with a ten-thousandth
    of a broad normal that knows no condition: an outcome rarer than any simulated one then says little instead of anything.

    >>> import jax, jax.numpy as jnp
    >>> from quincunx.learn.build import build
    >>> ends = {"low": 0, "high": 1, "open_low": True, "open_high": True}
    >>> coin = build({"kind": "mixed", "dim": 1, "condition_dim": 1, "columns": [ends]}, key=jax.random.key(0))
    >>> sides = jax.vmap(lambda y: coin.log_prob(y, jnp.zeros(1)))(jnp.array([[0.0], [1.0]]))
    >>> bool(abs(jnp.exp(sides).sum() - 1) < 1e-5)
    True
    """

    trunk: Trunk
    centres: Float[Array, " q"]
    columns: "Columns"
    dim: int = eqx.field(static=True)
    condition_dim: int = eqx.field(static=True)
    components: int = eqx.field(static=True)
    invertible: bool = eqx.field(static=True, default=False)

    def _heads(self, condition):
        """Mean, log-scale and triangle (d, d) of the residuals; log-weights, places and log-widths of the mixture, (d, k) each."""
        d, k = self.dim, self.components
        plain, mixture = jnp.split(self.trunk(condition) + self.centres, [head_size(d, True)])
        weights, places, widths = mixture.reshape(3, d, k)
        log_scale = _bounded(plain[d : 2 * d])
        triangle = jnp.zeros((d, d)).at[jnp.tril_indices(d, -1)].set(plain[2 * d :])
        return plain[:d], log_scale, triangle, jax.nn.log_softmax(weights, axis=1), places, _bounded(widths)

    def log_prob(self, y: Float[Array, " d"], condition: Float[Array, " c"]) -> Float[Array, ""]:
        """log q(y | condition): a density in the continuous coordinates, a probability in the whole ones."""
        mean, log_scale, triangle, log_weights, places, log_widths = self._heads(condition)

        def residual(g):
            return (g - mean) * jnp.exp(-log_scale)

        at = residual(self.columns.seen(y))
        centre = places - (triangle @ at)[:, None]
        whole = self.columns.whole[:, None]

        def log_mass(to_normal, log_slope):
            ends = (
                jnp.where(whole, to_normal(self.columns.seen(edge)), side)
                for edge, side in ((y - 0.5, -1.0), (y + 0.5, 1.0))
            )
            cell = _log_cell(*ends, *(end[:, None] for end in self.columns.open_at(y)))
            return jnp.where(whole, cell, norm.logpdf(to_normal(self.columns.seen(y))) + log_slope)

        each = log_mass(
            lambda g: (residual(g)[:, None] - centre) * jnp.exp(-log_widths), -log_widths - log_scale[:, None]
        )
        learned = jax.nn.logsumexp(log_weights + each, axis=1)
        broad = log_mass(lambda g: g[:, None] / _BROAD, -math.log(_BROAD))[:, 0]
        return jnp.sum(jnp.logaddexp(math.log1p(-_DEFENCE) + learned, math.log(_DEFENCE) + broad))

    def sample(self, condition: Float[Array, " c"], *, key: PRNGKeyArray) -> Float[Array, " d"]:
        """One draw from q(. | condition)."""
        mean, log_scale, triangle, log_weights, places, log_widths = self._heads(condition)
        k_component, k_noise = jax.random.split(key)
        chosen = jnp.argmax(log_weights + jax.random.gumbel(k_component, log_weights.shape), axis=1)[:, None]
        place = jnp.take_along_axis(places, chosen, axis=1)[:, 0]
        width = jnp.exp(jnp.take_along_axis(log_widths, chosen, axis=1)[:, 0])
        noise = place + width * jax.random.normal(k_noise, (self.dim,))
        # draws leave the defence out: one in ten thousand would come from nowhere

        def coordinate(i, y):
            at = (self.columns.seen(y) - mean) * jnp.exp(-log_scale)
            residual = noise[i] - triangle[i] @ at
            return y.at[i].set(self.columns.from_seen(mean[i] + jnp.exp(log_scale[i]) * residual, i))

        return jax.lax.fori_loop(0, self.dim, coordinate, jnp.zeros(self.dim))


class Columns(eqx.Module):
    """Which coordinates are whole numbers, where they end, and the coordinate g in which they are modelled."""

    whole: Bool[Array, " d"]
    log: Bool[Array, " d"]
    offset: Float[Array, " d"]
    low: Float[Array, " d"]
    high: Float[Array, " d"]
    open_low: Bool[Array, " d"]
    open_high: Bool[Array, " d"]
    shift: Float[Array, " d"]
    spread: Float[Array, " d"]

    def seen(self, y: Float[Array, " d"]) -> Float[Array, " d"]:
        """g(y)."""
        # what the data are like is no parameter of the network: training must leave it alone
        offset, shift, spread = jax.lax.stop_gradient((self.offset, self.shift, self.spread))
        warped = jnp.log(jnp.maximum(jnp.where(self.log, y + offset, 1.0), 0.25))
        return jnp.where(self.whole, (jnp.where(self.log, warped, y) - shift) / spread, y)

    def open_at(self, y: Float[Array, " d"]) -> tuple[Bool[Array, " d"], Bool[Array, " d"]]:
        """Whether the cell of y reaches to minus infinity, and whether it reaches to plus infinity."""
        return self.open_low & (y <= self.low), self.open_high & (y >= self.high)

    def from_seen(self, g: Float[Array, ""], i: Array | int) -> Float[Array, ""]:
        """The number whose cell holds g, for coordinate i."""
        plain = g * self.spread[i] + self.shift[i]
        number = jnp.round(jnp.where(self.log[i], jnp.exp(jnp.where(self.log[i], plain, 0.0)) - self.offset[i], plain))
        number = jnp.where(self.open_low[i], jnp.maximum(number, self.low[i]), number)
        number = jnp.where(self.open_high[i], jnp.minimum(number, self.high[i]), number)
        return jnp.where(self.whole[i], number, g)


def _bounded(log_scale: Float[Array, "..."]) -> Float[Array, "..."]:
    return _LOG_SCALE_BOUND * jnp.tanh(log_scale / _LOG_SCALE_BOUND)


def _log_cell(
    low: Float[Array, "d k"], high: Float[Array, "d k"], open_low: Bool[Array, "d 1"], open_high: Bool[Array, "d 1"]
) -> Float[Array, "d k"]:
    """log[Phi(high) - Phi(low)] for low < high, exact to float32 in both tails and for narrow cells; an open end counts as infinite.

    Every branch sees numbers that are harmless to it: an infinity that is selected away still makes a gradient NaN.
    """
    # in the upper tail both are near one: by symmetry look at the lower
    flip = (low > 0) & ~open_high & ~open_low
    bottom, top = jnp.where(flip, -high, low), jnp.where(flip, -low, high)
    bounded = ~(open_low | open_high)
    narrow = bounded & (top - bottom < _NARROW)
    # a narrow cell is its width times the density at its middle, and the next term of that series; the difference would cancel
    middle, width = (
        jnp.where(narrow, 0.5 * (bottom + top), 0.0),
        jnp.where(narrow, jnp.maximum(top - bottom, 1e-30), 1.0),
    )
    by_density = norm.logpdf(middle) + jnp.log(width) + width**2 * (middle**2 - 1) / 24
    wide = bounded & ~narrow
    log_top = log_ndtr(jnp.where(wide, top, 1.0))
    by_difference = log_top + jnp.log1p(-jnp.exp(log_ndtr(jnp.where(wide, bottom, -1.0)) - log_top))
    one_sided = jnp.where(open_low & open_high, 0.0, log_ndtr(jnp.where(open_low, high, -low)))
    return jnp.where(narrow, by_density, jnp.where(wide, by_difference, one_sided))


def describe_columns(y: Float[np.ndarray, "n d"], whole: Bool[np.ndarray, " d"]) -> list[ColumnSpec | None]:
    """What `mixed` needs to know of every column: None of a continuous one, the range and coordinate of a whole one.

    A whole column without negative numbers is open below at zero; an end at which one simulation in a hundred lies is open too.

    >>> describe_columns(np.array([[0.0, 0.5], [1.0, 0.7]] * 50), np.array([True, False]))[0]["open_high"]
    True
    """
    return [_describe(column) if is_whole else None for column, is_whole in zip(y.T, whole, strict=True)]


def _describe(column: Float[np.ndarray, " n"]) -> ColumnSpec:
    low, high = float(column.min()), float(column.max())
    counts = low >= 0
    low = 0.0 if counts else low
    # the coordinate in which the column is nearest to a normal is the one in which networks learn it best
    log = counts and float(skew(np.log(column + 1.0)) ** 2) < float(skew(column) ** 2)
    g = np.log(column + 1.0) if log else column
    return {
        "log": log,
        "offset": 1.0,
        "low": low,
        "high": high,
        "open_low": counts or float(np.mean(column == low)) > 0.01,
        "open_high": float(np.mean(column == high)) > 0.01,
        "shift": float(g.mean()),
        "spread": float(g.std()) or 1.0,
    }


@register("mixed")
def mixed(
    *,
    dim: int,
    condition_dim: int,
    key: PRNGKeyArray,
    columns: list[ColumnSpec | None] | None = None,
    components: int = 2,
    width: int = 64,
    depth: int = 3,
) -> MixedDensity:
    """Build a `MixedDensity`; `columns` is as from `describe_columns` (without it, all are continuous)."""
    known = columns or [None] * dim

    def of(name: str, default: float | bool) -> Array:
        return jnp.asarray([default if column is None else column.get(name, default) for column in known])

    described = Columns(
        jnp.asarray([column is not None for column in known]),
        of("log", False),
        of("offset", 1.0).astype(float),
        of("low", 0.0).astype(float),
        of("high", 0.0).astype(float),
        of("open_low", False),
        of("open_high", False),
        of("shift", 0.0).astype(float),
        of("spread", 1.0).astype(float),
    )
    size = head_size(dim, True)
    trunk = Trunk(condition_dim, size + 3 * dim * components, width=width, depth=depth, key=key)
    # the components start apart, in place and in width
    start = (jnp.zeros(components), jnp.linspace(-0.5, 0.5, components), jnp.linspace(-1.0, 0.0, components))
    centres = jnp.concatenate([jnp.zeros(size), *(jnp.tile(part, dim) for part in start)])
    return MixedDensity(trunk, centres, described, dim, condition_dim, components)
