"""A chosen design, why it was chosen, and what it is expected to teach."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from quincunx.design.curve import Curve, curve_svg
from quincunx.design.estimate import EIG
from quincunx.notebook import card, short
from quincunx.values import pack, register, save, unpack

__all__ = ["Choice"]


@register("design_choice")
@dataclass(frozen=True, eq=False, repr=False)
class Choice:
    """The design to run next: `design` {name: number}, or {name: list} of a batch, and `reason`, one sentence or more.

    `information` is estimated again after the choice, with fresh draws: the value on the curve is that of a maximum of noisy values, and so too high
    on average. `curve` has all designs that were compared, `runner_up` is the second best, `cost` what the design costs, `criterion` what was maximised.
    """

    kind: ClassVar[str]

    design: dict[str, Any]
    information: EIG
    runner_up: dict[str, Any] | None
    curve: Curve
    cost: float | None
    criterion: str
    reason: str
    per_cost: bool = False

    @property
    def designs(self) -> list[dict[str, float]]:
        """The designs of a batch one by one; the only one otherwise."""
        size = max(np.size(value) for value in self.design.values())
        return [{n: float(np.atleast_1d(v)[i]) for n, v in self.design.items()} for i in range(size)]

    def plot(self, **options: Any) -> Any:
        """The curve with the chosen design: a Matplotlib figure. Raises: as `Curve.plot`."""
        chosen = self.design if set(self.design) == set(self.curve.designs) else None
        return self.curve.plot(**{"chosen": chosen, **options})

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to one file; `quincunx.load` reads it back."""
        return save(self, path)

    def to_dict(self) -> dict[str, Any]:
        """All of it but the curve as plain numbers and text, fit for JSON."""
        return {
            "design": self.design,
            "information": self.information.to_dict(),
            "runner_up": self.runner_up,
            "cost": self.cost,
            "criterion": self.criterion,
            "reason": self.reason,
            "per_cost": self.per_cost,
        }

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        curve, arrays = pack(self.curve, "curve")
        return {**self.to_dict(), "curve": curve}, arrays

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Choice":
        """The inverse of `to_state`."""
        told = {name: value for name, value in spec.items() if name not in ("curve", "information")}
        information = EIG.from_state(spec["information"], {})
        return cls(**told, information=information, curve=unpack(spec["curve"], arrays, "curve"))

    def __repr__(self) -> str:
        where = ", ".join(f"{n} = {_short(v)}" for n, v in self.design.items())
        cost = "" if self.cost is None else f", cost {self.cost:.4g}"
        return f"Choice({where}{cost})\n  {self.information!r}\n  {self.reason}"

    def _repr_html_(self) -> str:
        title, information, *more = repr(self).splitlines()
        facts = [("information", information.strip())]
        facts += [] if self.runner_up is None else [("runner-up", short(self.runner_up))]
        warnings = [line.removeprefix("  warning: ") for line in more if "warning: " in line]
        return card(
            title, facts=[*facts, ("why", self.reason)], warnings=warnings, picture=lambda: curve_svg(self, title)
        )


def _short(value: Any) -> str:
    return f"{value:.4g}" if np.ndim(value) == 0 else "[" + ", ".join(f"{v:.4g}" for v in value) + "]"
