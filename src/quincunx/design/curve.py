"""Expected information at many designs, on common random numbers, with the errors of differences."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from quincunx.design.estimate import EIG
from quincunx.design.space import Design, brief, design_rows
from quincunx.errors import UsageError
from quincunx.notebook import card, from_repr
from quincunx.values import register, save

__all__ = ["Curve", "Eigs"]

_NUMBERS = ("value", "se", "lower", "upper", "lower_se", "upper_se", "ess", "n_inner")


@dataclass(frozen=True, eq=False, repr=False)
class Eigs:
    """Estimates at D designs as arrays (D,), NaN where there is none; each of them by its number as an `EIG`."""

    value: Float[np.ndarray, " d"]
    se: Float[np.ndarray, " d"]
    lower: Float[np.ndarray, " d"]
    upper: Float[np.ndarray, " d"]
    lower_se: Float[np.ndarray, " d"]
    upper_se: Float[np.ndarray, " d"]
    ess: Float[np.ndarray, " d"]
    n_inner: Float[np.ndarray, " d"]
    estimator: str
    n_outer: int
    warnings: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, eigs: "list[EIG]") -> "Eigs":
        """From single estimates."""
        numbers = {
            name: np.asarray([np.nan if getattr(one, name) is None else float(getattr(one, name)) for one in eigs])
            for name in _NUMBERS
        }
        return cls(
            **numbers,
            estimator=" / ".join(dict.fromkeys(one.estimator for one in eigs)),
            n_outer=eigs[0].n_outer,
            warnings=tuple(e.warnings for e in eigs),
        )

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, i: int) -> EIG:
        told = {name: float(getattr(self, name)[i]) for name in _NUMBERS}
        known: dict[str, Any] = {name: None if np.isnan(number) else number for name, number in told.items()}
        known |= {"value": told["value"], "se": told["se"], "n_inner": int(told["n_inner"])}
        return EIG(**known, estimator=self.estimator, n_outer=self.n_outer, warnings=self.warnings[i])

    def __iter__(self) -> Iterator[EIG]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"Eigs({len(self)} estimates, {self.estimator}, {self.value.min():.4g} to {self.value.max():.4g} nats)"

    _repr_html_ = from_repr


@register("eig_curve")
@dataclass(frozen=True, eq=False, repr=False)
class Curve:
    """Expected information gain (nats) at D designs: `designs` a dict of arrays (D,) or (D, length), `eigs` the estimates.

    `contributions` (D, N) hold those of every outer draw, the same draws at every design, so that differences between designs have smaller
    errors than the values; or (D, 1) for exact values.

    >>> eigs = Eigs.of([EIG(v, 0.1, None, None, None, None, "fisher", 10, 0, None) for v in (0.5, 1.0)])
    >>> Curve({"dose": np.array([1.0, 2.0])}, eigs, np.array([[0.5], [1.0]])).best()
    {'dose': 2.0}
    """

    kind: ClassVar[str]

    designs: dict[str, Float[np.ndarray, "d ..."]]
    eigs: Eigs
    contributions: Float[np.ndarray, "d n"]

    @property
    def value(self) -> Float[np.ndarray, " d"]:
        """The values."""
        return self.eigs.value

    @property
    def se(self) -> Float[np.ndarray, " d"]:
        """Their standard errors."""
        return self.eigs.se

    @property
    def lower(self) -> Float[np.ndarray, " d"]:
        """The lower bounds, NaN where there is none."""
        return self.eigs.lower

    @property
    def upper(self) -> Float[np.ndarray, " d"]:
        """The upper bounds, NaN where there is none."""
        return self.eigs.upper

    @property
    def columns(self) -> dict[str, Float[np.ndarray, " d"]]:
        """Every number of the designs by name, `times[0]` of a vector."""
        from quincunx.plot import setting_columns

        return setting_columns(self.designs)

    @property
    def rows(self) -> list[Design]:
        """The designs one by one."""
        return design_rows(self.designs)

    def __len__(self) -> int:
        return len(self.eigs)

    def best(self) -> Design:
        """The design of highest value; its value is biased upwards by having been selected."""
        return self.rows[int(np.argmax(self.value))]

    def difference(self, i: int, j: int) -> tuple[float, float]:
        """EIG_i - EIG_j and its standard error, paired over the common draws."""
        rows = self.contributions[i] - self.contributions[j]
        rows = rows[np.isfinite(rows)]
        gap = float(self.value[i] - self.value[j])
        if len(rows) < 2:
            return gap, float(np.hypot(self.se[i], self.se[j]))
        own = self.contributions[i][np.isfinite(self.contributions[i])]
        # what values have beyond the scatter of their rows, for inner draws that rows share, differences have too
        plain = float(own.std(ddof=1) / np.sqrt(len(own)))
        more = max(1.0, float(self.se[i]) / plain) if plain > 0 else 1.0
        return gap, more * float(rows.std(ddof=1) / np.sqrt(len(rows)))

    def cost_adjusted(
        self, cost: Callable[[dict[str, Any]], float] | Float[np.ndarray, " d"], *, weight: float | None = None
    ) -> "Curve":
        """The same curve per unit of cost, or with `weight` less weight * cost: utilities in the place of information, bounds likewise.

        Raises:
            UsageError: for a cost that is not positive, where it is divided by.
        """
        costs = costs_of(cost, self.rows)
        if weight is None and not np.all(costs > 0):
            raise UsageError(
                f"got a cost of {costs.min():g}; expected positive ones to divide by; pass weight= to subtract them"
            )
        scale, shift = (1.0 / costs, np.zeros_like(costs)) if weight is None else (np.ones_like(costs), weight * costs)
        e = self.eigs
        changed = {name: getattr(e, name) * scale - shift for name in ("value", "lower", "upper")}
        changed |= {name: getattr(e, name) * scale for name in ("se", "lower_se", "upper_se")}
        eigs = Eigs(
            **changed, ess=e.ess, n_inner=e.n_inner, estimator=e.estimator, n_outer=e.n_outer, warnings=e.warnings
        )
        return Curve(self.designs, eigs, self.contributions * scale[:, None] - shift[:, None])

    def plot(
        self, *, past: Mapping[str, Any] | None = None, chosen: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        """The curve with its bracket along one setting, a map of two, or a panel for each of more, without those of the past: a Matplotlib figure."""
        from quincunx.plot import designs_compared

        told = {"lower": self.lower, "upper": self.upper, "se": self.se}
        return designs_compared(self.designs, self.value, **told, chosen=chosen, past=past, **options)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to one file; `quincunx.load` reads it back."""
        return save(self, path)

    def to_dict(self) -> dict[str, Any]:
        """Designs and estimates as plain lists."""
        return {
            "designs": {k: v.tolist() for k, v in self.designs.items()},
            "eigs": [one.to_dict() for one in self.eigs],
        }

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        e = self.eigs
        spec = {
            "names": list(self.designs),
            "estimator": e.estimator,
            "n_outer": e.n_outer,
            "warnings": [list(w) for w in e.warnings],
        }
        arrays = {f"designs/{name}": values for name, values in self.designs.items()}
        return spec, arrays | {f"eigs/{n}": getattr(e, n) for n in _NUMBERS} | {"contributions": self.contributions}

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Curve":
        """The inverse of `to_state`."""
        numbers = {name: arrays[f"eigs/{name}"] for name in _NUMBERS}
        said = tuple(tuple(w) for w in spec["warnings"])
        eigs = Eigs(**numbers, estimator=spec["estimator"], n_outer=spec["n_outer"], warnings=said)
        return cls({name: arrays[f"designs/{name}"] for name in spec["names"]}, eigs, arrays["contributions"])

    def __repr__(self) -> str:
        i = int(np.argmax(self.value))
        where = ", ".join(f"{name} = {brief(value)}" for name, value in self.rows[i].items())
        low, high = self.value.min(), self.value.max()
        head = f"Curve of {len(self)} designs ({self.eigs.estimator}): {low:.4g} to {high:.4g} nats, highest at {where}"
        said = sorted({warning for warnings in self.eigs.warnings for warning in warnings})
        return "\n".join([head, *(f"  warning: {warning}" for warning in said[:3])])

    def _repr_html_(self) -> str:
        title, *said = repr(self).splitlines()
        warnings = [line.removeprefix("  warning: ") for line in said]
        return card(title, warnings=warnings, picture=lambda: curve_svg(self, title))


def curve_svg(drawn: Any, alt: str) -> str:
    """The picture of a curve, or of a choice with its curve, for a notebook; nothing where more than two settings vary."""
    from quincunx.plot import inline_svg

    curve = getattr(drawn, "curve", drawn)
    if sum(bool(np.ptp(values) > 0) for values in curve.columns.values()) > 2:
        return ""
    return inline_svg(drawn.plot(), alt=alt)


def costs_of(cost: Any, rows: list[Design]) -> Float[np.ndarray, " d"]:
    """The cost of each design, from a function of one or from numbers.

    Raises:
        UsageError: for a number of costs that is not that of the designs, or costs that are not finite.
    """
    costs = np.asarray([float(cost(dict(row))) for row in rows] if callable(cost) else cost, np.float64)
    if costs.shape != (len(rows),) or not np.all(np.isfinite(costs)):
        raise UsageError(f"got costs of shape {costs.shape} for {len(rows)} designs; expected a finite number for each")
    return costs
