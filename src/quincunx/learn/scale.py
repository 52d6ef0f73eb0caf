"""Standardisation: the fixed, invertible map under which a network is fitted."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from scipy.special import logit, ndtr, ndtri

from quincunx.errors import ConstantColumnWarning, UsageError
from quincunx.notebook import from_fields
from quincunx.values import register

_FLOOR = 1e-14
_HEAVY = 30.0
"""Kurtosis above which a mean and a standard deviation no longer describe a column (a normal has 3, a Laplace 6)."""
_METHODS = ("zscore", "robust", "auto", "bounded", "none")
_LINEAR, _LOG, _ASINH, _NORMAL, _LOGIT = 0, 1, 2, 3, 4
_EDGE, _CROWD = 0.01, 1e-3
"""A column is bounded on both sides if more than this share of it lies within so much of its range of either end: a normal has a millionth there."""
_BEYOND, _INSIDE = 1e-4, 5e-5
"""How far beyond the outermost values its ends are put, and how near to them a value is read at most, as parts of the range."""


@register("scale")
class Scale(eqx.Module):
    """Columnwise map to zero mean and unit spread, after a warp that tames skewed or heavy-tailed columns.

    z = (w(x) - shift) / spread, where w is, column by column, the identity, log(x + offset), asinh((x - centre) /
    width), or the normal distribution function (for the columns named in `probit`, which are probits of bounded numbers:
    a network then sees the number itself, in which a likelihood is smoother). Methods: "zscore" (identity
    warp, mean and standard deviation), "robust" (asinh about the median in units of the scaled median absolute
    deviation: for tails without a variance), "auto" (the identity; the logarithm for
    a column without negative values, asinh for one with very heavy tails, where that brings its quantiles nearer to a normal's),
    "bounded" (the logit between its ends for a column that ends abruptly on both sides, as an angle's cosine does; else as "auto"), "none".
    A constant column gets spread 1 and a `ConstantColumnWarning`.

    >>> import numpy as np
    >>> scale = Scale.fit(np.array([[1.0, 10.0], [3.0, 30.0]]))
    >>> scale.forward(np.array([2.0, 20.0])).tolist()
    [0.0, 0.0]
    >>> scale.inverse(scale.forward(np.array([5.0, -7.0]))).tolist()
    [5.0, -7.0]
    """

    warp: Int[Array, " d"]
    centre: Float[Array, " d"]
    width: Float[Array, " d"]
    shift: Float[Array, " d"]
    spread: Float[Array, " d"]
    kept: Int[Array, " d"] | None = None

    @property
    def size(self) -> int:
        """How many columns come out."""
        return self.spread.shape[-1]

    def keeping(self, columns: Bool[np.ndarray, " d"]) -> "Scale":
        """The same map, of the chosen columns alone; the others are dropped on the way in, and `inverse` gives the kept ones.

        >>> import numpy as np
        >>> scale = Scale.fit(np.arange(6.0).reshape(2, 3)).keeping(np.array([True, False, True]))
        >>> scale.forward(np.array([1.5, 9.0, 3.5])).tolist()
        [0.0, 0.0]
        """
        kept = np.flatnonzero(columns).astype(np.int32)
        parts = (getattr(self, name)[kept] for name in _ARRAYS)
        return Scale(*parts, jnp.asarray(kept))

    def leaving(self, columns: Bool[np.ndarray, " d"]) -> "Scale":
        """The same map, but for the chosen columns, which pass as they are.

        >>> import numpy as np
        >>> scale = Scale.fit(np.arange(6.0).reshape(2, 3)).leaving(np.array([True, False, True]))
        >>> scale.forward(np.array([7.0, 1.0, 9.0])).tolist()
        [7.0, -1.0, 9.0]
        """
        there = columns if self.kept is None else columns[np.asarray(self.kept)]
        neutral = dict(zip(_ARRAYS, (_LINEAR, 0.0, 1.0, 0.0, 1.0), strict=True))
        changed = (
            jnp.where(there, neutral[name], getattr(self, name)).astype(getattr(self, name).dtype) for name in _ARRAYS
        )
        return Scale(*changed, self.kept)

    @classmethod
    def fit(
        cls,
        x: Float[np.ndarray, "n d"],
        *,
        method: str = "zscore",
        names: tuple[str, ...] | None = None,
        probit: Bool[np.ndarray, " d"] | None = None,
    ) -> "Scale":
        """Fit the map to the rows of `x`; `names` only serve the warning about constant columns.

        Raises `UsageError` for an unknown method.
        """
        if method not in _METHODS:
            raise UsageError(f"got scaling {method!r}; expected one of {', '.join(_METHODS)}; choose one of those")
        x = np.asarray(x, dtype=np.float64)
        d = x.shape[1]
        if method == "none":
            return cls._of(np.zeros(d, int), np.zeros(d), np.ones(d), np.zeros(d), np.ones(d))
        constant = np.ptp(x, axis=0) <= _FLOOR
        if constant.any():
            which = ", ".join(str(i) if names is None else names[i] for i in np.flatnonzero(constant))
            warnings.warn(
                f"column(s) {which} of the data have the same value in every simulation; they teach nothing and are "
                "passed on unscaled; drop them from the simulator's outcome, or check that it uses its parameters",
                ConstantColumnWarning,
                stacklevel=2,
            )
        undo = np.zeros(d, bool) if probit is None else probit
        columns = [(_NORMAL, 0.0, 1.0) if undo[j] else _choose(x[:, j], method) for j in range(d)]
        warp, centre, width = (np.array([c[i] for c in columns]) for i in range(3))
        warped = np.stack([_warp_column(x[:, j], *columns[j]) for j in range(d)], axis=1) if d else x
        spread = warped.std(axis=0)
        return cls._of(warp, centre, width, warped.mean(axis=0), np.where((spread <= _FLOOR) | constant, 1.0, spread))

    @classmethod
    def _of(cls, warp, centre, width, shift, spread) -> "Scale":
        numbers = (jnp.asarray(np.asarray(v, np.float32)) for v in (centre, width, shift, spread))
        return cls(jnp.asarray(np.asarray(warp, np.int32)), *numbers)

    def forward(self, x: Float[Array, "*batch d"] | Float[np.ndarray, "*batch d"]) -> Float[Array, "*batch k"]:
        """Scaled values."""
        return (self._warped(self._chosen(x)) - self.shift) / self.spread

    def inverse(self, z: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
        """Values from scaled values."""
        w = z * self.spread + self.shift
        by_log = jnp.exp(jnp.where(self.warp == _LOG, w, 0.0)) - self.centre
        by_asinh = self.centre + self.width * jnp.sinh(jnp.where(self.warp == _ASINH, w, 0.0))
        by_normal = jax.scipy.special.ndtri(jnp.where(self.warp == _NORMAL, jnp.clip(w, 1e-7, 1 - 1e-7), 0.5))
        by_logit = self.centre + self.width * jax.nn.sigmoid(jnp.where(self.warp == _LOGIT, w, 0.0))
        choices = [by_log, by_asinh, by_normal, by_logit]
        return jnp.select([self.warp == kind for kind in (_LOG, _ASINH, _NORMAL, _LOGIT)], choices, w)

    def log_det(self, x: Float[Array, "*batch d"] | Float[np.ndarray, "*batch d"]) -> Float[Array, "*batch"]:
        """log|det dz/dx|: what turns a density of scaled values into one of values."""
        x = self._chosen(x)
        log_slope = jnp.where(self.warp == _LOG, -jnp.log(self._shifted(x)), 0.0)
        relative = jnp.where(self.warp == _ASINH, (x - self.centre) / self.width, 0.0)
        by_asinh = -0.5 * jnp.log1p(relative**2) - jnp.log(self.width)
        log_slope = jnp.where(self.warp == _ASINH, by_asinh, log_slope)
        log_slope = jnp.where(self.warp == _NORMAL, jax.scipy.stats.norm.logpdf(x), log_slope)
        part = self._part(x)
        by_logit = -jnp.log(part) - jnp.log1p(-part) - jnp.log(self.width)
        log_slope = jnp.where(self.warp == _LOGIT, by_logit, log_slope)
        return jnp.sum(log_slope - jnp.log(self.spread), axis=-1)

    def _chosen(self, x):
        x = jnp.asarray(x)
        return x if self.kept is None else x[..., self.kept]

    def _shifted(self, x):
        # a log column met below its support is pinned there; the misspecification check is what reports it
        return jnp.maximum(jnp.where(self.warp == _LOG, x + self.centre, 1.0), self.width * 1e-3)

    def _part(self, x):
        # what lies beyond the ends is read at them
        inside = jnp.clip((x - self.centre) / self.width, _INSIDE, 1.0 - _INSIDE)
        return jnp.where(self.warp == _LOGIT, inside, 0.5)

    def _warped(self, x):
        by_asinh = jnp.arcsinh((x - self.centre) / self.width)
        part = self._part(x)
        by_logit = jnp.log(part) - jnp.log1p(-part)
        choices = [jnp.log(self._shifted(x)), by_asinh, jax.scipy.special.ndtr(x), by_logit]
        return jnp.select([self.warp == kind for kind in (_LOG, _ASINH, _NORMAL, _LOGIT)], choices, x)

    def to_state(self) -> tuple[dict, dict[str, np.ndarray]]:
        """What a file holds of it."""
        arrays = {name: np.asarray(getattr(self, name)) for name in _ARRAYS}
        return {}, arrays if self.kept is None else arrays | {"kept": np.asarray(self.kept)}

    @classmethod
    def from_state(cls, spec: dict, arrays: dict[str, np.ndarray]) -> "Scale":
        """The inverse of `to_state`."""
        kept = arrays.get("kept")
        return cls(*(jnp.asarray(arrays[name]) for name in _ARRAYS), None if kept is None else jnp.asarray(kept))

    _repr_html_ = from_fields


_ARRAYS = ("warp", "centre", "width", "shift", "spread")


def _warp_column(x, warp, centre, width):
    if warp == _LOG:
        return np.log(np.maximum(x + centre, width * 1e-3))
    if warp == _ASINH:
        return np.arcsinh((x - centre) / width)
    if warp == _LOGIT:
        return logit(np.clip((x - centre) / width, _INSIDE, 1.0 - _INSIDE))
    return ndtr(x) if warp == _NORMAL else x


def _choose(x: np.ndarray, method: str) -> tuple[int, float, float]:
    """The warp of one column and its two constants."""
    linear = (_LINEAR, 0.0, 1.0)
    if method == "zscore":
        return linear
    low, high = float(x.min()), float(x.max())
    near = _EDGE * (high - low)
    if method == "bounded" and min(np.mean(x < low + near), np.mean(x > high - near)) > _CROWD:
        # few values lie further from the true ends than they do from one another
        beyond = max(_BEYOND, 2.0 / len(x)) * (high - low)
        return _LOGIT, low - beyond, high - low + 2 * beyond
    median = float(np.median(x))
    spread = 1.4826 * float(np.median(np.abs(x - median))) or float(x.std()) or 1.0
    asinh = (_ASINH, median, spread)
    if method == "robust":
        return asinh
    centred = x - x.mean()
    heavy = float(np.mean(centred**4)) > _HEAVY * float(np.mean(centred**2)) ** 2
    candidates = [linear, asinh] if heavy else [linear]
    if low >= 0:
        positive = x[x > 0]
        unit = float(np.quantile(positive, 0.05)) if positive.size else 1.0
        candidates.append((_LOG, 0.0 if low > 0 else (1.0 if np.all(x == np.round(x)) else unit), unit))
    return min(candidates, key=lambda c: _distance_to_normal(_warp_column(x, *c)))


def _distance_to_normal(x: np.ndarray) -> float:
    """Mean squared distance of the standardised quantiles to the normal's, a Shapiro-Francia statistic."""
    spread = x.std()
    if spread <= _FLOOR:
        return 0.0
    levels = (np.arange(400) + 0.5) / 400
    ours = np.quantile((x - x.mean()) / spread, levels)
    return 1.0 - float(np.corrcoef(ours, ndtri(levels))[0, 1])
