"""What a report says, as plain immutable values: no page, no colours, nothing of how it was computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from quincunx.errors import UsageError
from quincunx.notebook import from_fields

SECTIONS = ("data", "posterior", "comparison", "predictive", "checks", "simulations", "training")
"""The sections a picture can stand in, in the order of the page."""

STATUSES = ("pass", "warn", "fail")


@dataclass(frozen=True)
class Picture:
    """A figure with the words around it: a caption for everybody, an alternative text for those who cannot see it.

    >>> from matplotlib.figure import Figure
    >>> Picture(Figure(), "Posterior.", alt="One peak near 2.", section="posterior").section
    'posterior'
    """

    figure: Figure
    caption: str
    alt: str
    section: str

    def __post_init__(self) -> None:
        if self.section not in SECTIONS:
            raise UsageError(
                f"got section {self.section!r}, expected one of {', '.join(SECTIONS)}; choose where the picture stands"
            )
        if not self.alt.strip():
            raise UsageError(
                "got a picture without an alternative text, expected a sentence that says what it shows; pass alt="
            )

    _repr_html_ = from_fields


@dataclass(frozen=True)
class ParameterRow:
    """One line of the posterior's table; `ess` and `r_hat` are NaN where the sampler has none."""

    name: str
    unit: str
    mean: float
    sd: float
    hdi68: tuple[float, float]
    hdi95: tuple[float, float]
    ess: float = float("nan")
    r_hat: float = float("nan")

    @property
    def resolution(self) -> float:
        """The width by which to round: heavy tails make the standard deviation too coarse a ruler for the intervals.

        >>> ParameterRow("a", "", 0.1, 0.4, (0.0, 0.1), (0.0, 0.3)).resolution
        0.075
        """
        return min(self.sd, max((self.hdi95[1] - self.hdi95[0]) / 4, 1e-3 * self.sd))

    _repr_html_ = from_fields


@dataclass(frozen=True)
class CheckRow:
    """One check: verdict, question, p-value (also corrected for the number of checks), effects in words."""

    name: str
    status: str
    statistic: float = float("nan")
    p_value: float = float("nan")
    adjusted: float = float("nan")
    effect: str = ""
    question: str = ""

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise UsageError(
                f"got status {self.status!r} of check {self.name!r}, expected one of {', '.join(STATUSES)}"
            )

    _repr_html_ = from_fields


@dataclass(frozen=True)
class ComparisonRow:
    """One parameter beside a reference posterior."""

    name: str
    mean: float
    sd: float
    reference_mean: float
    reference_sd: float

    @property
    def shift(self) -> float:
        """(mean - reference mean) / reference sd.

        >>> ComparisonRow("a", 1.1, 0.2, 1.0, 0.2).shift.__round__(2)
        0.5
        """
        return (self.mean - self.reference_mean) / self.reference_sd if self.reference_sd > 0 else float("nan")

    @property
    def ratio(self) -> float:
        """sd / reference sd.

        >>> ComparisonRow("a", 1.1, 0.3, 1.0, 0.2).ratio.__round__(2)
        1.5
        """
        return self.sd / self.reference_sd if self.reference_sd > 0 else float("nan")

    _repr_html_ = from_fields


@dataclass(frozen=True)
class ReportContent:
    """Everything a report holds. Only the title is needed; a part that is empty is left out of the page.

    `data` are columns by name, drawn as a table when short. `facts`, `simulations`, `training` and `provenance` are
    names with values (numbers, strings, lists or one more level of names). `command` reproduces the report.

    >>> ReportContent(title="Decay").status
    'not checked'
    """

    title: str
    question: str = ""
    summary: str = ""
    data: Mapping[str, np.ndarray] = field(default_factory=dict)
    data_note: str = ""
    design: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    posterior: Sequence[ParameterRow] = ()
    derived: Sequence[ParameterRow] = ()
    posterior_note: str = ""
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    checks: Sequence[CheckRow] = ()
    checks_note: str = ""
    comparison: Sequence[ComparisonRow] = ()
    comparison_name: str = "reference"
    comparison_note: str = ""
    simulations: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""

    @property
    def status(self) -> str:
        """The worst verdict of the checks: "fail", "warn" or "pass"; "not checked" without any.

        >>> ReportContent(title="t", checks=[CheckRow("a", "pass"), CheckRow("b", "warn")]).status
        'warn'
        """
        found = {row.status for row in self.checks}
        return next((status for status in ("fail", "warn", "pass") if status in found), "not checked")

    _repr_html_ = from_fields
