"""A chosen design, why it was chosen, and what it is expected to teach."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from quincunx.design.curve import Curve, curve_svg
from quincunx.design.estimate import EIG
from quincunx.design.space import Design, brief, plain_design
from quincunx.notebook import card, short
from quincunx.values import pack, register, save, unpack

__all__ = ["Choice"]


@register("design_choice")
@dataclass(frozen=True, eq=False, repr=False)
class Choice:
    """The design to run next: `design` {name: number, or tuple of them}, or {name: list of those} of a batch, and `reason`, one sentence or more.

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
    def designs(self) -> list[Design]:
        """The designs of a batch one by one; the only one otherwise."""
        if not self.is_batch:
            return [plain_design(self.design)]
        size = len(next(iter(self.design.values())))
        return [plain_design({name: values[i] for name, values in self.design.items()}) for i in range(size)]

    @property
    def is_batch(self) -> bool:
        """Whether several designs were chosen, to be run together."""
        return any(isinstance(value, list) for value in self.design.values())

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
        return {**self.to_dict(), "batch": self.is_batch, "curve": curve}, arrays

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Choice":
        """The inverse of `to_state`."""
        told = {name: value for name, value in spec.items() if name not in ("curve", "information", "batch")}
        for name in ("design", "runner_up"):
            # JSON makes lists of tuples; before there were vectors, a list was a batch
            if told[name] is not None:
                batch = spec.get("batch", any(isinstance(value, list) for value in told[name].values()))
                told[name] = _batch(told[name]) if batch else plain_design(told[name])
        information = EIG.from_state(spec["information"], {})
        return cls(**told, information=information, curve=unpack(spec["curve"], arrays, "curve"))

    def __repr__(self) -> str:
        where = "; ".join(", ".join(f"{n} = {brief(v)}" for n, v in one.items()) for one in self.designs)
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


def _batch(design: dict[str, Any]) -> dict[str, Any]:
    return {name: [plain_design({name: one})[name] for one in values] for name, values in design.items()}
