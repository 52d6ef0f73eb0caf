"""All checks of one answer, with one verdict."""

import json
import os
from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import numpy as np

from quincunx.check.ecdf import simultaneous_band
from quincunx.check.result import Status, TestResult, holm, status_of
from quincunx.errors import UsageError
from quincunx.notebook import card
from quincunx.values import register, save

_DRAWN = 2
"""Of more parameters than this the ranks do not fit in a notebook's cell."""

_ORDER = {"fail": 0, "warn": 1, "pass": 2}


@register("report")
class Report(eqx.Module):
    """The verdict on an answer: every test, corrected for their number.

    `adjusted` are Holm's p-values over all tests; below 0.01 a test fails, below 0.05 it warns, so an exact answer
    fails in at most one report of a hundred and warns in at most five, however the tests depend on each other.
    `simulated` counts the simulations made for the checks, `failed` those that gave nothing finite and were left out,
    in the same way as in training; `draws` of the answer were taken for each; `seed` is the key's words. `warnings` are
    sentences to read first.

    >>> from quincunx.check.result import TestResult
    >>> report = Report((TestResult("a", "Right?", 0.5, 0.0, 300), TestResult("b", "Sure?", 0.001, 0.0, 300)))
    >>> report.status, report["b"].p_value
    ('fail', 0.001)
    """

    kind: ClassVar[str] = "report"

    results: tuple[TestResult, ...] = eqx.field(static=True)
    simulated: int = eqx.field(static=True, default=0)
    failed: int = eqx.field(static=True, default=0)
    draws: int = eqx.field(static=True, default=0)
    seed: tuple[int, ...] = eqx.field(static=True, default=())
    warnings: tuple[str, ...] = eqx.field(static=True, default=())

    @property
    def adjusted(self) -> dict[str, float]:
        """Each test's p-value after Holm's correction."""
        names = [result.name for result in self.results]
        return dict(zip(names, holm([result.p_value for result in self.results]).tolist(), strict=True))

    @property
    def statuses(self) -> dict[str, Status]:
        """Each test's verdict after correction."""
        return {name: status_of(p) for name, p in self.adjusted.items()}

    @property
    def status(self) -> Status:
        """The worst verdict of all: "pass", "warn" or "fail"."""
        return min(self.statuses.values(), key=_ORDER.__getitem__, default="pass")

    def __getitem__(self, name: str) -> TestResult:
        """One test's result by its name."""
        for result in self.results:
            if result.name == name:
                return result
        raise UsageError(f"got test '{name}'; expected one of {', '.join(r.name for r in self.results)}")

    def rows(self) -> list[dict[str, Any]]:
        """The table: one row a test, the worst first, effects by name."""
        adjusted, statuses = self.adjusted, self.statuses
        rows = [
            {**result.to_spec(), "adjusted": adjusted[result.name], "status": statuses[result.name]}
            for result in self.results
        ]
        return sorted(rows, key=lambda row: (_ORDER[row["status"]], row["adjusted"]))

    def to_dict(self) -> dict[str, Any]:
        """The report without its arrays, as JSON; NaN becomes null."""
        plain = {
            "status": self.status,
            "simulated": self.simulated,
            "failed": self.failed,
            "draws": self.draws,
            "seed": list(self.seed),
            "warnings": list(self.warnings),
            "tests": self.rows(),
        }
        return _without_nan(plain)

    def __repr__(self) -> str:
        head = (
            f"Report: {self.status} ({len(self.results)} tests, {self.simulated} simulations, {self.failed} of them failed, "
            f"{self.draws} draws each)"
        )
        rows = self.rows()
        width = max((len(row["name"]) for row in rows), default=0)
        lines = [
            f"  {row['status']:<4}  {row['name']:<{width}}  p {row['p_value']:<8.2g} Holm {row['adjusted']:<8.2g} "
            f"{_effects(row)}".rstrip()
            for row in rows
        ]
        return "\n".join([head, *(f"  ! {warning}" for warning in self.warnings), *lines])

    def _repr_html_(self) -> str:
        from quincunx.plot import inline_svg

        body = [
            [
                row["name"],
                row["status"],
                f"{row['p_value']:.2g}",
                f"{row['adjusted']:.2g}",
                _effects(row),
                row["question"],
            ]
            for row in self.rows()
        ]
        title = repr(self).splitlines()[0]
        names = [result.name for result in self.results]
        ranked = sum(name.startswith("sbc: ") for name in names)
        kind = "ranks" if 0 < ranked <= _DRAWN else "coverage" if {"coverage", "tarp"} & set(names) else ""
        return card(
            title,
            head=["test", "verdict", "p", "Holm", "effect", "question"],
            body=body,
            warnings=self.warnings,
            picture=(lambda: inline_svg(self.plot(kind), alt=f"{kind}: {title}")) if kind else "",
        )

    def plot(self, kind: str = "ranks", *, theme: str = "light") -> Any:
        """A Matplotlib figure: "ranks" (SBC with its ECDF band), "coverage" or "predictive".

        Raises:
            UsageError: if the report holds no such test, or knows no such picture.
        """
        from quincunx import plot

        details = {result.name: result.detail for result in self.results}
        if kind == "ranks":
            ranked = [result for result in self.results if result.name.startswith("sbc: ")]
            if ranked:
                n = ranked[0].n
                band = simultaneous_band(n, int(ranked[0].detail["draws"]))
                grid = np.concatenate([[0.0], band.points, [1.0]])
                low = np.concatenate([[0.0], band.lower / n - band.points, [0.0]])
                high = np.concatenate([[0.0], band.upper / n - band.points, [0.0]])
                return plot.checked_ranks(details, band=(grid, low, high), theme=theme)
        elif kind == "coverage":
            counts = [result.n for result in self.results if result.name in ("coverage", "tarp")]
            figure = plot.checked_coverage(details, max(counts, default=0), theme=theme)
            if figure is not None:
                return figure
        elif kind == "predictive":
            for name in ("posterior predictive", "prior predictive"):
                for result in self.results:
                    if result.name == name:
                        return plot.predictive_series(
                            result.detail["replicates"],
                            result.detail["observed"],
                            kind=name.split()[0],
                            theme=theme,
                        )
        else:
            raise UsageError(f"got picture '{kind}'; expected 'ranks', 'coverage' or 'predictive'")
        raise UsageError(f"got a report without the test behind '{kind}'; run check with tests that include it")

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the report, with the arrays behind its pictures, to one file that `quincunx.load` reads."""
        return save(self, path)

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        spec = {
            "results": [result.to_spec() for result in self.results],
            "simulated": self.simulated,
            "failed": self.failed,
            "draws": self.draws,
            "seed": list(self.seed),
            "warnings": list(self.warnings),
        }
        arrays = {
            f"{i}/{name}": np.asarray(array)
            for i, result in enumerate(self.results)
            for name, array in result.detail.items()
        }
        return json.loads(json.dumps(spec)), arrays

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Report":
        """The inverse of `to_state`."""
        results = []
        for i, plain in enumerate(spec["results"]):
            detail = {name.split("/", 1)[1]: a for name, a in arrays.items() if name.split("/", 1)[0] == str(i)}
            results.append(TestResult(**plain, detail=detail))
        return cls(
            tuple(results),
            int(spec["simulated"]),
            int(spec["failed"]),
            int(spec["draws"]),
            tuple(spec["seed"]),
            tuple(spec["warnings"]),
        )


def _effects(row: dict[str, Any]) -> str:
    said = ", ".join(f"{name} {value:.3g}" for name, value in row["effects"].items())
    return f"{said} ({row['note']})" if row["note"] and said else said or row["note"]


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(v) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(v) for v in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
