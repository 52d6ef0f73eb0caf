"""An estimate of an expected information gain, with everything needed to judge it."""

import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from quincunx.notebook import from_repr
from quincunx.values import register, save

__all__ = ["EIG"]

NAT_IN_BITS = 1.0 / math.log(2.0)


@register("eig")
@dataclass(frozen=True, repr=False)
class EIG:
    """Expected information gain in nats: EIG = E[log p(x | theta, design) - log p(x | design)] = I(theta; x | design) >= 0.

    `lower` and `upper` bound it in expectation, each with a standard error; either is None where nothing valid is known, so that a simulator
    without a likelihood is never "bracketed". `ess` is the effective number of inner draws, averaged over outcomes, `warnings` are sentences.

    >>> EIG(1.38, 0.02, 1.37, 1.39, 0.02, 0.02, "nested", 2000, 1000, 120.0)
    EIG 1.38 +- 0.02 nats in [1.37, 1.39] (nested, 2000 outer and 1000 inner draws)
    >>> round(EIG(1.0, 0.0, None, None, None, None, "fisher", 100, 0, None).bits, 4)
    1.4427
    """

    kind: ClassVar[str]

    value: float
    se: float
    lower: float | None
    upper: float | None
    lower_se: float | None
    upper_se: float | None
    estimator: str
    n_outer: int
    n_inner: int
    ess: float | None
    warnings: tuple[str, ...] = ()

    @property
    def bits(self) -> float:
        """The value in bits."""
        return self.value * NAT_IN_BITS

    @property
    def is_bracketed(self) -> bool:
        """Whether it is bounded on both sides."""
        return self.lower is not None and self.upper is not None

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain numbers and text, fit for JSON."""
        return {**asdict(self), "warnings": list(self.warnings)}

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to one file; `quincunx.load` reads it back."""
        return save(self, path)

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        return self.to_dict(), {}

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "EIG":
        """The inverse of `to_state`."""
        return cls(**{**spec, "warnings": tuple(spec["warnings"])})

    def __repr__(self) -> str:
        low, high = ("?" if end is None else f"{end:.4g}" for end in (self.lower, self.upper))
        bounds = "" if self.lower is None and self.upper is None else f" in [{low}, {high}]"
        inner = f" and {self.n_inner} inner" if self.n_inner else ""
        head = (
            f"EIG {self.value:.4g} +- {self.se:.2g} nats{bounds} ({self.estimator}, {self.n_outer} outer{inner} draws)"
        )
        return "\n".join([head, *(f"  warning: {said}" for said in self.warnings)])

    def _repr_html_(self) -> str:
        return from_repr(self)
