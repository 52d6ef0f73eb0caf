"""Any learned ratio as one to a reference: estimators, calibrated ratios and plain functions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from quincunx.errors import UsageError
from quincunx.model import Prior, Reference
from quincunx.notebook import fields_text, from_fields

PAIRS = 1 << 17
"""How many pairs of a parameter point and an outcome are looked at together."""


@dataclass(frozen=True, eq=False)
class RatioTo:
    """log r^(x | theta) = log p^(x | theta) - log 1/K sum_k p^(x | theta_k), from whatever has learned it.

    `source` has `log_likelihood(theta, x)` (a likelihood, or a ratio to anything, of which the reference's part then drops out), or
    `log_ratio(theta, reference, x)`, or is itself a ratio to a reference (`CalibratedRatio`), or is a function `f(theta, x)` that gives log r^ to this
    very reference. Parameters go in by name with a leading axis (n, ...), as outcomes do. `points` are the reference's, flat (K, dim).

    >>> import numpyro.distributions as dist
    >>> ratio = RatioTo.of(lambda theta, x: theta["mu"] * x[:, 0], Prior(mu=dist.Normal(0.0, 1.0)), Reference.at(mu=0.0))
    >>> ratio(np.array([[1.0], [2.0]]), np.array([[3.0], [4.0]])), ratio.table(np.array([[1.0], [2.0]]), np.array([[3.0], [4.0]]))[1]
    (array([3., 8.]), array([6., 8.]))
    """

    source: Any
    prior: Prior
    reference: Reference
    points: Float[np.ndarray, "K dim"]

    @classmethod
    def of(cls, source: Any, prior: Prior, reference: Reference | Mapping[str, Any] | None) -> "RatioTo":
        """The ratio to a reference; None takes the source's own.

        Raises:
            UsageError: if the source is no ratio, there is no reference, it has no fixed points, or the source is a ratio to another one.
            NameMismatch, ShapeMismatch: if the reference is none of this prior's.
        """
        if not callable(source) and not any(hasattr(source, name) for name in ("log_likelihood", "log_ratio")):
            raise UsageError(
                f"got a {type(source).__name__} as a ratio; expected an estimator of a likelihood or ratio, a CalibratedRatio, or a function "
                "f(theta, x) that gives log r"
            )
        own = _own(source)
        reference = Reference.at(reference) if isinstance(reference, Mapping) else reference or own
        if reference is None or reference.drawn:
            raise UsageError(
                f"got {'no reference' if reference is None else reference}; expected fixed points, to which the ratio is; pass "
                "reference=Reference.at(...) or Reference.mixture(...)"
            )
        points = np.asarray(reference.flat(prior), float)
        if own is not None and not np.array_equal(own.flat(prior), reference.flat(prior)):
            raise UsageError(f"got a ratio to {own} and {reference}; expected one reference; leave reference out")
        return cls(source, prior, reference, points)

    def __call__(
        self, theta: Float[np.ndarray, "n dim"], x: Any, *, design: Mapping[str, Any] | None = None
    ) -> Float[np.ndarray, " n"]:
        """log r^ of row i of x at row i of theta."""
        return self.numerator(theta, x, design=design) - self.denominator(x, design=design)

    def numerator(
        self, theta: Float[np.ndarray, "n dim"], x: Any, *, design: Mapping[str, Any] | None = None
    ) -> Float[np.ndarray, " n"]:
        """The part of log r^ that depends on theta."""
        named, options = self._named(theta), {} if design is None else {"design": design}
        if _own(self.source) is not None:
            return _array(self.source.log_ratio(named, x, **options))
        if self._differs:
            return _array(self.source.log_likelihood(named, x, **options))
        if not hasattr(self.source, "log_ratio"):
            return _array(self.source(named, x, **options))
        each = [self._named(np.tile(point, (len(theta), 1))) for point in self.points]
        inverse = [-_array(self.source.log_ratio(named, point, x, **options)) for point in each]
        return -_log_mean_exp(np.stack(inverse, axis=1))

    def denominator(self, x: Any, *, design: Mapping[str, Any] | None = None) -> Float[np.ndarray, " n"]:
        """The part of log r^ that does not: of a likelihood, its mean over the reference; 0 of what is a ratio already."""
        n = len(jax.tree.leaves(x)[0])
        if not self._differs:
            return np.zeros(n)
        return _log_mean_exp(self.table(self.points, x, design=design).T)

    def table(
        self, theta: Float[np.ndarray, "t dim"], x: Any, *, design: Mapping[str, Any] | None = None
    ) -> Float[np.ndarray, "t n"]:
        """The numerators of every outcome at every theta."""
        n = len(jax.tree.leaves(x)[0])
        block = max(1, PAIRS // max(n, 1))
        parts = []
        for first in range(0, len(theta), block):
            some = theta[first : first + block]
            if self._differs:
                # Every outcome takes all theta at once: nothing is copied, and one call is compiled.
                rows = self._named(np.broadcast_to(some, (n, *some.shape)))
                options = {} if design is None else {"design": design}
                parts.append(_array(self.source.log_likelihood(rows, x, **options)).T)
            else:
                copies = _tiled(x, len(some))
                found = self.numerator(np.repeat(some, n, axis=0), copies, design=design)
                parts.append(found.reshape(len(some), n))
        return np.concatenate(parts) if parts else np.zeros((0, n))

    @property
    def _differs(self) -> bool:
        """Whether log r^ is a difference of what the source says at two points; one learned in both is asked at both."""
        spec = getattr(getattr(self.source, "surrogate", None), "spec", {})
        paired = spec.get("kind") == "against" and len(self.points) == 1
        return _own(self.source) is None and hasattr(self.source, "log_likelihood") and not paired

    def _named(self, theta: Float[np.ndarray, "*batch dim"]) -> dict[str, np.ndarray]:
        named, start = {}, 0
        for name, shape in self.prior.shapes.items():
            size = int(np.prod(shape, dtype=int))
            part = np.asarray(theta[..., start : start + size], np.float32)
            named[name] = part.reshape((*theta.shape[:-1], *shape))
            start += size
        return named

    __repr__ = fields_text
    _repr_html_ = from_fields


def _own(source: Any) -> Reference | None:
    reference = getattr(source, "reference", None)
    return reference if isinstance(reference, Reference) else None


def _tiled(x: Any, times: int) -> Any:
    return jax.tree.map(lambda a: np.tile(a, (times, *[1] * (np.ndim(a) - 1))), x)


def _array(values: Any) -> np.ndarray:
    return np.asarray(values, np.float64)


def _log_mean_exp(values: Float[np.ndarray, "n K"]) -> Float[np.ndarray, " n"]:
    with np.errstate(invalid="ignore"):
        return np.logaddexp.reduce(values, axis=1) - np.log(values.shape[1])
