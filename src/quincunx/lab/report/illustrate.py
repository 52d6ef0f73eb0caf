"""The pictures of a report, with captions and alternative texts written from the numbers in them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Integer

from quincunx import plot
from quincunx.lab.report.axis import Axis
from quincunx.lab.report.content import Picture
from quincunx.lab.report.numbers import rounded

MOST_PARAMETERS = 12
"""A corner plot shows the first twelve parameters."""


def corner_picture(
    columns: Sequence[str],
    draws: Float[np.ndarray, "n d"],
    *,
    name: str,
    units: Mapping[str, str],
    bounds: Sequence[tuple[float, float]],
    prior: Float[np.ndarray, "m d"] | None = None,
    reference: Float[np.ndarray, "k d"] | None = None,
    reference_name: str = "reference",
    truth: Float[np.ndarray, " d"] | None = None,
) -> Picture:
    """The posterior's corner plot; it says so when only the first twelve parameters are in it."""
    shown = min(len(columns), MOST_PARAMETERS)

    def cut(array: Any) -> Any:
        return None if array is None else np.asarray(array)[..., :shown]

    figure = plot.corner(
        cut(draws), list(columns[:shown]), units=units, bounds=list(bounds[:shown]), prior=cut(prior),
        reference=cut(reference), reference_name=reference_name, truth=cut(truth), name=name,
    )  # fmt: skip
    means = [
        f"{column} {rounded(m, s)} ± {rounded(s, s)}"
        for column, m, s in zip(columns, draws.mean(0), draws.std(0), strict=True)
    ]
    caption = (
        "Shaded regions hold 68 and 95 % of the posterior mass; above each curve its median and central 68 % interval."
    )
    if prior is not None:
        caption += " Dotted: the prior."
    if reference is not None:
        caption += f" Dashed: {reference_name}."
    if shown < len(columns):
        caption += f" The first {shown} of {len(columns)} parameters."
    return Picture(figure, caption, f"Corner plot of the posterior: {', '.join(means[:shown])}.", "posterior")


def predictive_picture(
    replicates: Float[np.ndarray, "n f"],
    observed: Float[np.ndarray, " f"],
    columns: Sequence[str],
    *,
    series: bool,
    axis: Axis,
    name: str = "x",
    unit: str | None = None,
    kind: str = "posterior",
) -> Picture:
    """Replicates of the data beside the data: bands along a series, or one row for each number."""
    low, high = plot.central_band(replicates[np.isfinite(replicates).all(axis=1)], 0.9)
    outside = int(np.sum((observed < low) | (observed > high)))
    expected = f"about {0.1 * observed.size:.2g} are expected"
    count = f"{outside} of {observed.size} observed values lie outside the 90 % band, where {expected}."
    source = "parameters drawn from the posterior" if kind == "posterior" else "parameters drawn from the prior"
    if series:
        figure = plot.predictive_series(
            replicates, observed, times=axis.values, name=name, unit=unit, time_name=axis.name, time_unit=axis.unit,
            kind=kind,
        )  # fmt: skip
        caption = f"Bands hold 50 and 90 % of data simulated at {source}, point by point. {count}"
    else:
        figure = plot.predictive_summaries(replicates, observed, list(columns), kind=kind)
        caption = (
            f"Bands hold 50 and 90 % of data simulated at {source}; on the right the observed value and its "
            f"two-sided tail area. {count}"
        )
    return Picture(figure, caption, f"The observation beside {kind} predictive bands. {count}", "predictive")


def check_pictures(report: Any) -> dict[str, Picture]:
    """Rank histograms and coverage, for the tests that a report of checks holds."""
    names = [result.name for result in report.results]
    statuses = report.statuses
    found = {}
    ranked = [name for name in names if name.startswith("sbc: ")]
    if ranked:
        said = ", ".join(f"{name.removeprefix('sbc: ')} {statuses[name]}" for name in ranked)
        found["Calibration"] = Picture(
            report.plot("ranks"),
            "Above: ranks of the true parameter among posterior draws, uniform if the posterior is right. A "
            "hump says too wide, a dish too "
            "narrow, a slope biased. Below: the same as a difference of distribution functions with a "
            "simultaneous band.",
            f"Rank histograms of simulation-based calibration: {said}.",
            "checks",
        )
    covered = [name for name in ("coverage", "tarp") if name in names]
    if covered:
        said = ", ".join(f"{name} {statuses[name]}" for name in covered)
        found["Coverage"] = Picture(
            report.plot("coverage"),
            "How often regions of stated credibility hold the truth, over fresh simulations. Below the "
            "diagonal the posterior is too sure of itself.",
            f"Empirical coverage against credibility: {said}.",
            "checks",
        )
    return found


def loss_picture(
    train: Float[np.ndarray, "e m"],
    validation: Float[np.ndarray, "e m"],
    best_epoch: Integer[np.ndarray, " m"],
    *,
    stopped: str,
) -> Picture:
    """The loss, epoch by epoch."""
    best = ", ".join(f"{float(validation[min(int(b), len(validation) - 1), i]):.3g}" for i, b in enumerate(best_epoch))
    figure = plot.losses(train, validation, best_epoch, stopped=stopped)
    caption = (
        "Loss on the simulations that were trained on and on those held out; the parameters of the "
        "marked epoch were kept."
    )
    return Picture(
        figure,
        caption,
        f"Training and validation loss over {len(train)} epochs; best validation loss {best}.",
        "training",
    )


def failure_picture(
    theta: Float[np.ndarray, "n d"], failed: Bool[np.ndarray, " n"], columns: Sequence[str], units: Mapping[str, str]
) -> Picture:
    """Where in parameter space simulations failed."""
    shown = min(len(columns), MOST_PARAMETERS)
    figure = plot.failures(theta[:, :shown], failed, list(columns[:shown]), units=units)
    caption = (
        "Share of simulations that failed along each parameter, with 95 % intervals. Where it is not "
        "flat, the posterior is conditional on success."
    )
    return Picture(figure, caption, f"{int(failed.sum())} of {len(failed)} simulations failed.", "simulations")
