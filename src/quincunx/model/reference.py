"""What likelihood ratios are taken against: one parameter point, a mixture of several, or a new draw for every row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from quincunx.errors import ShapeMismatch, UsageError
from quincunx.model.prior import Prior, check_names
from quincunx.notebook import from_repr
from quincunx.values import register

__all__ = ["Reference"]


@register("reference")
@dataclass(frozen=True, eq=False)
class Reference:
    """p_ref(x, z): p(x, z | theta_1), the mixture 1/K sum_k p(x, z | theta_k), or p(x, z | theta') with theta' ~ prior for each row.

    A mixture of points spread over the prior keeps joint ratios bounded: r <= K where theta is one of them. With "each" the reference is a
    second argument of a ratio that is learned in both.

    Raises:
        UsageError: for no point at all.
        ShapeMismatch: if points have different numbers of values.

    >>> Reference.at(mu=0.5)
    Reference(mu=0.5)
    >>> len(Reference.mixture([{"mu": -1.0}, {"mu": 1.0}]))
    2
    """

    kind: ClassVar[str]

    points: Mapping[str, np.ndarray] | None

    @classmethod
    def at(cls, point: Mapping[str, Any] | None = None, /, **named: Any) -> "Reference":
        """One parameter point, as a dictionary or by keywords."""
        return cls.mixture([{**(point or {}), **named}])

    @classmethod
    def mixture(cls, points: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> "Reference":
        """Several points with equal weights: a list of dictionaries, or one dictionary of arrays with a leading axis."""
        if isinstance(points, Mapping):
            stacked = {name: np.asarray(value, np.float32) for name, value in points.items()}
        else:
            names = [list(point) for point in points]
            if not names or any(set(some) != set(names[0]) for some in names):
                raise UsageError(f"got points with the parameters {names}; expected one or more with the same names")
            stacked = {n: np.stack([np.asarray(point[n], np.float32) for point in points]) for n in names[0]}
        lengths = {name: value.shape[0] if value.ndim else 0 for name, value in stacked.items()}
        if not lengths or len(set(lengths.values())) != 1 or 0 in lengths.values():
            raise ShapeMismatch(
                f"got numbers of points {lengths}; expected the same, at least one, for every parameter"
            )
        return cls(stacked)

    @classmethod
    def spread(cls, prior: Prior, n: int, *, key: Any) -> "Reference":
        """A mixture of n draws from a prior."""
        return cls.mixture({name: np.asarray(value) for name, value in prior.sample(n, key=key).items()})

    @classmethod
    def each(cls) -> "Reference":
        """Another point for every row, drawn from the prior."""
        return cls(None)

    @property
    def drawn(self) -> bool:
        """Whether every row draws its own."""
        return self.points is None

    def __len__(self) -> int:
        return 1 if self.points is None else len(next(iter(self.points.values())))

    def flat(self, prior: Prior) -> np.ndarray:
        """The points as rows (K, dim) in the prior's flat order.

        Raises:
            NameMismatch, ShapeMismatch: if they are not points of this prior.
        """
        points = self.points or {}
        check_names(list(points), prior.names, "the reference's parameters")
        prior.check(points)
        return np.asarray(prior.flatten(points), np.float32)

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        return {"drawn": self.drawn}, {f"points/{name}": value for name, value in (self.points or {}).items()}

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Reference":
        """The inverse of `to_state`."""
        points = {name.removeprefix("points/"): value for name, value in arrays.items()}
        return cls(None if spec["drawn"] else points)

    def __repr__(self) -> str:
        if self.points is None:
            return "Reference(each row draws its own)"
        if len(self) > 1:
            return f"Reference({len(self)} points of {', '.join(self.points)})"
        said = (
            f"{name}={value[0].tolist():.6g}" if value.ndim == 1 else f"{name}={value[0].tolist()}"
            for name, value in self.points.items()
        )
        return f"Reference({', '.join(said)})"

    _repr_html_ = from_repr
