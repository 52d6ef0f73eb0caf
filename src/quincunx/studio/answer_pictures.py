"""The pictures of an answer: its posterior, its checks, and how it was learned."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from quincunx import plot
from quincunx._container import read_container
from quincunx.studio.sheet import DRAWS, PARAMETERS, Sheet

__all__ = ["answer_sheets", "predictive_figure"]

_SERIES = 8


def answer_sheets(folder: Path) -> list[Sheet]:
    """What can be drawn of an answer at this moment."""
    found = []
    draws, checks, posterior = (folder / name for name in ("draws.csv", "checks.qx", "posterior.qx"))
    if draws.is_file():
        caption = "Shaded regions hold 68 and 95 % of the posterior mass."
        caption += " Dashed: the reference posterior." if (folder / "reference.csv").is_file() else ""
        found.append(
            Sheet(
                "posterior",
                "Posterior",
                caption,
                "Corner plot of the posterior.",
                _stamp(draws),
                lambda: _corner(folder),
            )
        )
    if checks.is_file():
        details, counts = _details(checks)
        n = max((counts[name] for name in ("coverage", "tarp") if name in counts), default=0)
        stamp = _stamp(checks)
        if any(name.startswith("sbc: ") for name in details):
            caption = "Ranks of the true parameter among posterior draws, uniform if the posterior is right; below, their ECDF less the uniform's, with its band."
            found.append(
                Sheet(
                    "calibration",
                    "Calibration",
                    caption,
                    "Rank histograms.",
                    stamp,
                    lambda: plot.checked_ranks(details),
                )
            )
        if "coverage" in details or "tarp" in details:
            caption = "How often regions of stated credibility hold the truth. Below the diagonal the posterior is too sure of itself."
            found.append(
                Sheet(
                    "coverage",
                    "Coverage",
                    caption,
                    "Coverage by credibility.",
                    stamp,
                    lambda: plot.checked_coverage(details, n),
                )
            )
        for kind in ("posterior", "prior"):
            if f"{kind} predictive" in details:
                one = details[f"{kind} predictive"]
                caption = f"The observation beside data simulated at parameters of the {kind}: bands hold 50 and 90 %."
                found.append(
                    Sheet(
                        f"{kind}-predictive",
                        f"{kind.capitalize()} predictive",
                        caption,
                        caption,
                        stamp,
                        lambda one=one, kind=kind: _predictive(one, kind),
                    )  # type: ignore[misc]
                )
    if posterior.is_file():
        found.append(
            Sheet(
                "losses",
                "Losses",
                "Training and validation loss; the parameters of the marked epoch were kept.",
                "Loss by epoch.",
                _stamp(posterior),
                lambda: _losses(posterior),
            )
        )
    return found


def _stamp(path: Path) -> str:
    told = path.stat()
    return f"{told.st_mtime_ns:x}-{told.st_size:x}"


def _table(path: Path, most: int = DRAWS) -> tuple[list[str], np.ndarray]:
    with open(path, newline="") as file:
        rows = csv.reader(file)
        names = next(rows)
        found = [[float(number) for number in row] for _, row in zip(range(most), rows, strict=False)]
    return names, np.asarray(found)


def _corner(folder: Path) -> Figure:
    names, draws = _table(folder / "draws.csv")
    reference = folder / "reference.csv"
    other = _table(reference)[1][:, :PARAMETERS] if reference.is_file() else None
    return plot.corner(draws[:, :PARAMETERS], names[:PARAMETERS], reference=other)


def _details(path: Path) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, int]]:
    """The arrays behind each test, and how many simulations it had, by the tests' names."""
    _, spec, arrays = read_container(path)
    found: dict[str, dict[str, np.ndarray]] = {result["name"]: {} for result in spec["results"]}
    for name, array in arrays.items():
        number, _, which = name.partition("/")
        found[spec["results"][int(number)]["name"]][which] = array
    return found, {result["name"]: int(result["n"]) for result in spec["results"]}


def predictive_figure(
    observed: np.ndarray, replicates: np.ndarray, kind: str, names: Sequence[str] | None = None
) -> Figure:
    """An observation (F,) beside replicates of it (m, F): bands along their number where there are many, else a row for each."""
    if observed.size >= _SERIES:
        return plot.predictive_series(replicates, observed, kind=kind)
    rows = names or [f"{i + 1}" for i in range(observed.size)]
    return plot.predictive_summaries(replicates, observed, rows, kind=kind)


def _predictive(detail: Mapping[str, np.ndarray], kind: str) -> Figure:
    return predictive_figure(np.asarray(detail["observed"], float), np.asarray(detail["replicates"], float), kind)


def _losses(posterior: Path) -> Figure | None:
    arrays = read_container(posterior)[2]
    ends = {name.rsplit("surrogate/", 1)[-1]: array for name, array in arrays.items() if "surrogate/" in name}
    if not {"history/train", "history/validation", "best_epoch"} <= set(ends) or not len(ends["history/train"]):
        return None
    return plot.losses(ends["history/train"], ends["history/validation"], np.ravel(ends["best_epoch"]))
