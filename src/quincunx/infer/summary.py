"""The table of a posterior: where each parameter is, how surely, and how well the draws know it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from quincunx.errors import NameMismatch
from quincunx.infer.interval import hdi
from quincunx.notebook import card

_HEADINGS = ("mean", "sd", "68% low", "68% high", "95% low", "95% high", "ess", "r_hat")


@dataclass(frozen=True)
class Summary:
    """Mean, standard deviation, 68 % and 95 % highest-density intervals, effective sample size and R-hat by column.

    R-hat is NaN for independent draws, which have no chains to compare.

    >>> import numpy as np
    >>> table = Summary.of(np.random.default_rng(0).normal(2.0, 0.1, (4000, 1)), columns=("mu",), units={"mu": "m"})
    >>> table
    Summary of 4000 draws
        unit   mean       sd  68% low  68% high  95% low  95% high   ess  r_hat
    mu  m     1.998  0.09984    1.894     2.092    1.805     2.193  4000      -
    >>> bool(abs(table["mu"]["mean"] - 2.0) < 0.01)
    True
    """

    columns: tuple[str, ...]
    units: Mapping[str, str]
    n: int
    values: Float[np.ndarray, "columns 8"]

    @classmethod
    def of(
        cls,
        draws: Float[np.ndarray, "n columns"],
        *,
        columns: Sequence[str],
        units: Mapping[str, str] | None = None,
        ess: Float[np.ndarray, " columns"] | None = None,
        r_hat: Float[np.ndarray, " columns"] | None = None,
    ) -> "Summary":
        """Summarise flat draws; without `ess` the draws are taken as independent."""
        draws = np.asarray(draws, float)
        n, d = draws.shape
        inner, outer = hdi(draws, 0.68), hdi(draws, 0.95)
        values = np.stack(
            [
                draws.mean(0),
                draws.std(0, ddof=1) if n > 1 else np.zeros(d),
                *inner,
                *outer,
                np.full(d, float(n)) if ess is None else np.asarray(ess, float),
                np.full(d, np.nan) if r_hat is None else np.asarray(r_hat, float),
            ],
            axis=1,
        )
        return cls(tuple(columns), dict(units or {}), n, values)

    def __getitem__(self, column: str) -> dict[str, float]:
        if column not in self.columns:
            raise NameMismatch(f"got column '{column}'; expected one of {', '.join(self.columns)}")
        return dict(zip(_HEADINGS, map(float, self.values[self.columns.index(column)]), strict=True))

    def to_dict(self) -> dict[str, dict[str, float]]:
        """The table as nested dictionaries, column by column."""
        return {column: self[column] for column in self.columns}

    def __repr__(self) -> str:
        table = [["", "unit", *_HEADINGS], *self._cells()]
        if not self.units:
            table = [[row[0], *row[2:]] for row in table]
        widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
        left = 2 if self.units else 1
        lines = [
            "  ".join(
                cell.ljust(width) if i < left else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in table
        ]
        return "\n".join([f"Summary of {self.n} draws", *(line.rstrip() for line in lines)])

    def _repr_html_(self) -> str:
        head, body = self.table()
        return card(f"Summary of {self.n} draws", head=head, body=body)

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Headings, and a row of text for each parameter, with its unit where any has one."""
        keep = slice(1, None) if self.units else slice(2, None)
        cells = [[row[0], *row[keep]] for row in self._cells()]
        return ["parameter", *["unit", *_HEADINGS][keep.start - 1 :]], cells

    def _cells(self) -> list[list[str]]:
        rows = []
        for column, (mean, sd, *bounds, ess, r_hat) in zip(self.columns, self.values, strict=True):
            numbers = [_number(v) for v in (mean, sd, *bounds)]
            unit = self.units.get(column, self.units.get(column.split("[")[0], ""))
            rows.append([column, unit, *numbers, f"{ess:.0f}", "-" if np.isnan(r_hat) else f"{r_hat:.3f}"])
        return rows


def _number(value: float) -> str:
    return f"{value:#.4g}".rstrip(".")
