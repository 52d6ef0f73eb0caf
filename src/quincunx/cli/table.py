"""Simulations as a CSV table, for spreadsheets and other programs."""

import csv
from pathlib import Path

import numpy as np

from quincunx.run import Simulations
from quincunx.run.status import NAMES


def write_table(sims: Simulations, path: Path) -> None:
    """Write one line for each simulation: its number, its parameters, its outcome, and how it went.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "sims.csv"
    >>> write_table(Simulations.of({"mu": np.arange(2.0)}, np.array([[0.5, 1.0], [np.nan, 2.0]])), path)
    >>> print(path.read_text(), end="")
    simulation,mu,x[0],x[1],status
    0,0.0,0.5,1.0,ok
    1,1.0,nan,2.0,not finite
    """
    numbers = np.concatenate([sims.theta_flat(), sims.x_flat()], axis=1)
    with open(path, "w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["simulation", *sims.columns, *sims.outcome.columns, "status"])
        for index, row, code in zip(sims.index, numbers, sims.status, strict=True):
            lines.writerow([int(index), *map(str, row), NAMES[code]])
