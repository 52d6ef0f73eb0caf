"""From the values of a run to what its report says."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from quincunx.lab.report.axis import Axis, numbered_axis
from quincunx.lab.report.columns import Columns
from quincunx.lab.report.content import CheckRow, ComparisonRow, ParameterRow, Picture, ReportContent
from quincunx.lab.report.illustrate import (
    check_pictures,
    corner_picture,
    failure_picture,
    loss_picture,
    predictive_picture,
)
from quincunx.lab.report.numbers import plain, rounded
from quincunx.lab.report.provenance import fingerprint, surroundings
from quincunx.values import as_key

Named = Mapping[str, Any]
_PRIOR_DRAWS = 4000
# From here on the numbers of one array are drawn along an axis instead of one a row.
_SERIES = 8
_MOST_ROWS = 30


def from_run(
    posterior: Any,
    report: Any = None,
    simulations: Any = None,
    *,
    run: Any = None,
    title: str = "Posterior",
    question: str = "",
    summary: str = "",
    data_note: str = "",
    times: Any = None,
    time_name: str = "index",
    time_unit: str | None = None,
    reference: Named | None = None,
    reference_name: str = "reference",
    reference_note: str = "",
    truth: Named | None = None,
    derived: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
    derived_units: Mapping[str, str] | None = None,
    warnings: Sequence[str] = (),
    provenance: Named | None = None,
    command: str = "",
) -> ReportContent:
    """What the report of a run says, from its posterior and, where there are any, its checks and simulations.

    `run` are the draws to report (`posterior.run(n, key=...)`), the standard ones if None. `reference` are draws by
    name from another computation. `derived` takes one draw by name to numbers by name, in JAX, for example
    `lambda theta: {"R0": theta["beta"] / theta["gamma"]}`; it is also taken of the prior and the reference. `times`
    is the axis of a series. What `provenance` says is added to versions, platform and fingerprints.

    Raises:
        NameMismatch: if the reference or the truth lacks a parameter, or a derived quantity takes a parameter's name.
        ShapeMismatch: if a derived quantity is more than one number.
    """
    prior = posterior.prior
    run = posterior.standard_run() if run is None else run
    table = Columns(prior, derived, dict(derived_units or {}))
    draws = table.of(prior.unflatten(np.asarray(run.theta)), "draws")
    background = table.of(prior.unflatten(prior.sample_flat(_PRIOR_DRAWS, key=as_key(1))), "prior draws")
    compared = None if reference is None else table.of(reference, "reference")
    found = None if truth is None else table.of({k: np.asarray(v)[None] for k, v in truth.items()}, "truth")[0]
    estimator = getattr(posterior, "estimator", None)
    method = str(getattr(estimator, "method", {}).get("method", "posterior")).upper()

    pictures: dict[str, Picture] = {
        "Posterior": corner_picture(
            table.columns,
            draws,
            name=method,
            units=table.units,
            bounds=table.bounds,
            prior=background,
            reference=compared,
            reference_name=reference_name,
            truth=found,
        )
    }
    outcome = _outcome(posterior)
    axis = _axis(outcome, times, time_name, time_unit)
    pictures |= _predictive(outcome, report, axis)
    if report is not None:
        pictures |= check_pictures(report)
    if simulations is not None and simulations.failed.any():
        pictures["Failures"] = failure_picture(
            simulations.theta_flat(), np.asarray(simulations.failed), list(simulations.columns), table.units
        )
    surrogate = getattr(estimator, "surrogate", None)
    if surrogate is not None and len(surrogate.history["train"]):
        history = {name: np.asarray(surrogate.history[name]) for name in ("train", "validation")}
        pictures["Loss"] = loss_picture(
            history["train"], history["validation"], np.asarray(surrogate.best_epoch), stopped=surrogate.stopped
        )
    rows = _rows(posterior, run, table, draws)
    parameters = len(prior.columns)
    said = [*posterior.warnings, *run.warnings, *(report.warnings if report is not None else ()), *warnings]
    return ReportContent(
        title=title,
        question=question,
        summary=summary or _sentence(rows),
        data=_data(posterior, outcome, axis),
        data_note=data_note,
        design=posterior.design or {},
        warnings=tuple(dict.fromkeys(said)),
        posterior=rows[:parameters],
        derived=rows[parameters:],
        posterior_note=_note(run, method),
        pictures=pictures,
        checks=[] if report is None else [_check(row) for row in report.rows()],
        checks_note="" if report is None else _checks_note(report),
        comparison=[] if compared is None else _compared(table.columns, draws, compared),
        comparison_name=reference_name,
        comparison_note=reference_note,
        simulations={} if simulations is None else _simulations(simulations),
        training={} if surrogate is None else _training(estimator, surrogate),
        provenance={**_fingerprints(posterior, simulations), **surroundings(), **dict(provenance or {})},
        command=command,
    )


def _rows(posterior: Any, run: Any, table: Columns, draws: np.ndarray) -> list[ParameterRow]:
    summary = posterior.summary(run)
    extra = len(table.columns) - len(summary.columns)
    if extra:
        derived = type(summary).of(draws[:, -extra:], columns=table.columns[-extra:], ess=np.full(extra, np.nan))
        found = {**summary.to_dict(), **derived.to_dict()}
    else:
        found = summary.to_dict()
    rows = []
    for column in table.columns:
        values = found[column]
        unit = table.units.get(column) or table.units.get(column.split("[")[0]) or ""
        rows.append(
            ParameterRow(
                column,
                unit,
                values["mean"],
                values["sd"],
                (values["68% low"], values["68% high"]),
                (values["95% low"], values["95% high"]),
                values["ess"],
                values["r_hat"],
            )
        )
    return rows


def _sentence(rows: Sequence[ParameterRow]) -> str:
    """The answer in one line, when it fits in one."""
    if len(rows) > 6:
        return ""
    said = [
        f"{row.name} {rounded(row.hdi95[0], row.resolution)} to {rounded(row.hdi95[1], row.resolution)} {row.unit}".strip()
        for row in rows
    ]
    return "With 95 % of the posterior: " + "; ".join(said) + "."


def _note(run: Any, method: str) -> str:
    sampler, reason = run.diagnostics.get("sampler", "direct"), run.diagnostics.get("reason", "finished")
    how = "independent draws" if sampler == "direct" else f"draws by {sampler}"
    ended = "" if reason == "finished" else f"; the sampler stopped because: {reason}"
    return f"{plain(len(run.theta))} {how} from {method}{ended}."


def _outcome(posterior: Any) -> Any:
    return getattr(getattr(getattr(posterior, "estimator", None), "reader", None), "outcome", None)


def _axis(outcome: Any, times: Any, time_name: str, time_unit: str | None) -> Axis | None:
    """The axis of the data: the one given, or the one that the names of the observables spell out."""
    if times is not None:
        return Axis(time_name, np.ravel(np.asarray(times, float)), time_unit)
    return None if outcome is None or len(outcome.names) != 1 else numbered_axis(outcome.columns)


def _predictive(outcome: Any, report: Any, axis: Axis | None) -> dict[str, Picture]:
    """The predictive pictures of a report of checks, the posterior's first."""
    found: dict[str, Picture] = {}
    results = {result.name: result for result in report.results} if report is not None else {}
    for kind in ("posterior", "prior"):
        result = results.get(f"{kind} predictive")
        if result is None:
            continue
        observed, replicates = (np.asarray(result.detail[name], float) for name in ("observed", "replicates"))
        columns, name, unit, one = [f"summary {i + 1}" for i in range(observed.size)], "value", None, False
        # A set of events is compared by summaries of it, which are not the columns of an outcome.
        if outcome is not None and outcome.dim == observed.size:
            columns = list(outcome.columns)
            one = [len(shape) for shape in outcome.shapes.values()] == [1]
            name = outcome.names[0] if one else name
            unit = outcome.units.get(name)
        series = (one and observed.size >= _SERIES) or observed.size > _MOST_ROWS
        along = (
            axis if axis is not None and axis.values.size == observed.size else Axis("index", np.arange(observed.size))
        )
        found[f"{kind.capitalize()} predictive"] = predictive_picture(
            replicates, observed, columns, series=series, axis=along, name=name, unit=unit, kind=kind
        )
    return found


def _data(posterior: Any, outcome: Any, axis: Axis | None) -> dict[str, np.ndarray]:
    x_o, units = posterior.x_o, {} if outcome is None else outcome.units
    single = "x" if outcome is None else outcome.names[0]
    named = dict(x_o) if isinstance(x_o, Mapping) else {single: x_o}
    arrays = {f"{name} [{units[name]}]" if name in units else name: np.asarray(x) for name, x in named.items()}
    if axis is not None and all(values.shape == axis.values.shape for values in arrays.values()):
        return {axis.name: axis.values, **arrays}
    return arrays


def _check(row: Mapping[str, Any]) -> CheckRow:
    effects = ", ".join(f"{name} {plain(float(value), 3)}" for name, value in row["effects"].items())
    said = f"{effects} ({row['note']})" if effects and row["note"] else effects or row["note"]
    return CheckRow(
        row["name"],
        row["status"],
        float(row["statistic"]),
        float(row["p_value"]),
        float(row["adjusted"]),
        said,
        row["question"],
    )


def _checks_note(report: Any) -> str:
    return (
        f"{plain(report.simulated)} fresh simulations ({plain(report.failed)} failed), "
        f"{plain(report.draws)} draws for each. p-values are "
        "corrected for the number of checks (Holm): an exact posterior fails in at most one report of a hundred. "
        "Passing does not prove an answer right; it says that errors larger than these tests resolve were not found."
    )


def _compared(columns: Sequence[str], draws: np.ndarray, reference: np.ndarray) -> list[ComparisonRow]:
    moments = zip(
        columns, draws.mean(0), draws.std(0, ddof=1), reference.mean(0), reference.std(0, ddof=1), strict=True
    )
    return [ComparisonRow(name, *(float(value) for value in values)) for name, *values in moments]


def _simulations(simulations: Any) -> dict[str, Any]:
    failed = int(np.sum(simulations.failed))
    said: dict[str, Any] = {
        "simulations": len(simulations),
        "failed": f"{plain(failed)} ({100 * simulations.failure_rate:.2g} %)",
    }
    if simulations.simulator:
        said["simulator"] = simulations.simulator
    if simulations.stopped:
        said["stopped"] = simulations.stopped
    told = list(dict.fromkeys((simulations.messages or {}).values()))[:3]
    return said | ({"first messages": told} if told else {})


def _training(estimator: Any, surrogate: Any) -> dict[str, Any]:
    return {
        "method": {name: value for name, value in estimator.method.items() if not isinstance(value, Mapping)},
        "minimises": surrogate.functional,
        "network": surrogate.spec.get("density", surrogate.spec).get("kind", "network"),
        "members": surrogate.members,
        "epochs": len(surrogate.history["train"]),
        "best epoch": [int(epoch) + 1 for epoch in np.ravel(surrogate.best_epoch)],
        "best validation loss": [float(loss) for loss in np.ravel(surrogate.best_loss)],
        "stopped by": surrogate.stopped,
        "CPU seconds": float(f"{surrogate.cpu_seconds:.3g}"),
    }


def _fingerprints(posterior: Any, simulations: Any) -> dict[str, Any]:
    x_o = posterior.x_o
    observed = [np.asarray(x_o[name]) for name in sorted(x_o)] if isinstance(x_o, Mapping) else [np.asarray(x_o)]
    said = {"observation (SHA-256)": fingerprint(observed)}
    if simulations is not None:
        said["simulations (SHA-256)"] = fingerprint([simulations.theta_flat(), simulations.x_flat()])
    return said
