"""A run's directory as an HTML report: what the page says is read from the directory, so that it can be written again."""

import csv
from typing import Any

import jax
import numpy as np

from quincunx import plot
from quincunx.cli.console import cell
from quincunx.cli.folder import RunFolder
from quincunx.cli.source import Source
from quincunx.infer.summary import Summary
from quincunx.lab.report import CheckRow, ComparisonRow, ParameterRow, Picture, ReportContent, write_report
from quincunx.run import Simulations
from quincunx.values import load

_LARGEST_CORNER = 12
_PRIOR_DRAWS = 4000


def write_page(folder: RunFolder, source: Source, posterior: Any) -> None:
    """Write report.html from everything the directory holds."""
    draws = _columns(folder.draws)
    reference = _columns(folder.reference) if folder.reference.exists() else None
    checks = load(folder.checks_value) if folder.checks_value.exists() else None
    sims: Simulations = load(folder.simulations)
    options, record = folder.record["options"], folder.record
    prior = posterior.prior
    title = source.name if source.problem is None else source.problem.title
    content = ReportContent(
        title=title,
        question=f"What do these data say about {_list_in_words(prior.names)}?",
        summary=_sentence(options, sims, record),
        data={name: np.ravel(value) for name, value in _observed(posterior).items()},
        warnings=list(dict.fromkeys((*record.get("warnings", ()), *(() if checks is None else checks.warnings)))),
        posterior=_rows(Summary.of(draws, columns=prior.columns, units=prior.units), record.get("summary")),
        derived=_derived_rows(source, prior, draws),
        posterior_note=_sampler_in_words(record.get("diagnostics", {})),
        comparison=() if reference is None else _comparison(source, prior, draws, reference),
        comparison_name="reference",
        comparison_note="" if reference is None else "The reference comes from the known likelihood, without a network.",
        checks=() if checks is None else [_check_row(row) for row in checks.rows()],
        checks_note=""
        if checks is None
        else f"{checks.simulated:,} fresh simulations, {checks.draws:,} draws each; adjusted for {len(checks.results)} tests.",
        pictures=_pictures(posterior, draws, reference, checks, sims),
        simulations={
            "simulations": len(sims),
            "failed": int(np.sum(sims.status != 0)),
            "parameters": list(prior.columns),
            "numbers in one outcome": int(sims.x_flat().shape[-1]),
        },
        training=_training(posterior, options, record),
        provenance={
            "started": record["started"],
            "seed": options["seed"],
            "source": options["source"],
            "source sha256": options.get("sha256") or "shipped with the package",
            "seconds": record["seconds"],
            "process CPU seconds": record["cpu_seconds"],
            "versions": record["versions"],
        },
        command=record["command"],
    )
    write_report(folder.report, content)


def _columns(path: Any) -> np.ndarray:
    with open(path, newline="") as file:
        rows = csv.reader(file)
        next(rows)
        return np.array([[float(number) for number in row] for row in rows])


def _observed(posterior: Any) -> dict[str, Any]:
    x = posterior.x_o
    return dict(x) if isinstance(x, dict) else {"x": x}


def _list_in_words(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _sentence(options: dict[str, Any], sims: Simulations, record: dict[str, Any]) -> str:
    spent = sum(record["seconds"].values())
    return f"{len(sims):,} simulations, method {options['method']}, seed {options['seed']}, {spent:.0f} seconds."


def _rows(summary: Summary, kept: dict[str, Any] | None) -> list[ParameterRow]:
    rows = []
    for column, name in zip(summary.columns, summary.columns):
        row = summary[column] if kept is None or column not in kept else {**summary[column], **_known(kept[column])}
        unit = summary.units.get(column, summary.units.get(column.split("[")[0], ""))
        rows.append(
            ParameterRow(
                name=name,
                unit=unit,
                mean=row["mean"],
                sd=row["sd"],
                hdi68=(row["68% low"], row["68% high"]),
                hdi95=(row["95% low"], row["95% high"]),
                ess=row["ess"],
                r_hat=row["r_hat"],
            )
        )
    return rows


def _known(row: dict[str, Any]) -> dict[str, float]:
    # What the sampler knew of its draws is in run.json; null there is "not known".
    return {name: float("nan") if row[name] is None else row[name] for name in ("ess", "r_hat")}


def _derived(source: Source, prior: Any, flat: np.ndarray) -> tuple[tuple[str, ...], np.ndarray] | None:
    derive = getattr(source.problem, "derived", None)
    if derive is None:
        return None
    values = jax.vmap(derive)(prior.unflatten(flat.astype(np.float32)))
    return tuple(values), np.stack([np.asarray(value, float) for value in values.values()], axis=1)


def _derived_rows(source: Source, prior: Any, flat: np.ndarray) -> list[ParameterRow]:
    derived = _derived(source, prior, flat)
    return [] if derived is None else _rows(Summary.of(derived[1], columns=derived[0]), None)


def _comparison(source: Source, prior: Any, draws: np.ndarray, reference: np.ndarray) -> list[ComparisonRow]:
    tables = [(prior.columns, draws, reference)]
    ours, theirs = _derived(source, prior, draws), _derived(source, prior, reference)
    if ours is not None and theirs is not None:
        tables.append((ours[0], ours[1], theirs[1]))
    return [
        ComparisonRow(name, *(float(v) for v in (a.mean(), a.std(ddof=1), b.mean(), b.std(ddof=1))))
        for names, one, other in tables
        for name, a, b in zip(names, one.T, other.T, strict=True)
    ]


def _sampler_in_words(diagnostics: dict[str, Any]) -> str:
    facts = {name: value for name, value in diagnostics.items() if isinstance(value, (str, int, float)) and value == value}
    return "; ".join(f"{name.replace('_', ' ')}: {cell(value)}" for name, value in facts.items())


def _check_row(row: dict[str, Any]) -> CheckRow:
    effects = ", ".join(f"{name} {value:.3g}" for name, value in row["effects"].items())
    return CheckRow(
        name=row["name"],
        status=row["status"],
        statistic=row["statistic"],
        p_value=row["p_value"],
        adjusted=row["adjusted"],
        effect="; ".join(part for part in (effects, row["note"]) if part),
        question=row["question"],
    )


def _training(posterior: Any, options: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    surrogate = posterior.estimator.surrogate
    return {
        "method": options["method"],
        "settings given": options.get("settings") or "none",
        "options": posterior.estimator.method,
        "minimised": surrogate.functional,
        "networks": surrogate.members,
        "epochs": len(surrogate.history["train"]),
        "stopped by": surrogate.stopped,
        "best validation loss": [round(float(loss), 4) for loss in np.ravel(surrogate.best_loss)],
        "CPU seconds, compilation included": round(record["cpu_seconds"].get("train", surrogate.cpu_seconds), 1),
    }


def _pictures(
    posterior: Any, draws: np.ndarray, reference: np.ndarray | None, checks: Any, sims: Simulations
) -> dict[str, Picture]:
    prior, surrogate = posterior.prior, posterior.estimator.surrogate
    shown = slice(0, _LARGEST_CORNER)
    names = list(prior.columns)[shown]
    means = ", ".join(f"{name} near {value:.3g}" for name, value in zip(names, draws.mean(axis=0)))
    beside = "" if reference is None else ", the reference in another colour"
    pictures = {
        "corner": Picture(
            plot.corner(
                draws[:, shown],
                names,
                units=prior.units,
                bounds=list(zip(prior.low, prior.high))[shown],
                prior=np.asarray(prior.sample_flat(_PRIOR_DRAWS, key=1))[:, shown],
                reference=None if reference is None else reference[:, shown],
            ),
            f"Posterior draws: regions that hold 68 % and 95 % of the probability, the prior behind{beside}.",
            alt=f"Marginal posterior densities: {means}.",
            section="posterior",
        ),
        "losses": Picture(
            plot.losses(
                surrogate.history["train"],
                surrogate.history["validation"],
                np.ravel(surrogate.best_epoch),
                stopped=surrogate.stopped,
            ),
            "Training and validation loss; the mark is the epoch whose parameters were kept.",
            alt=f"Loss over {len(surrogate.history['train'])} epochs.",
            section="training",
        ),
    }
    if np.any(sims.status != 0):
        pictures["failures"] = Picture(
            plot.failures(sims.theta_flat()[:, shown], sims.failed, names, units=prior.units),
            "Share of simulations that failed, along each parameter.",
            alt=f"{100 * sims.failure_rate:.2g} percent of the simulations failed.",
            section="simulations",
        )
    tests = () if checks is None else {result.name for result in checks.results}
    if any(name.startswith("sbc: ") for name in tests):
        pictures["ranks"] = Picture(
            checks.plot("ranks"),
            "Ranks of the true values among posterior draws: flat when the posterior is calibrated, inside the bands by chance.",
            alt="Rank histograms and their cumulative differences.",
            section="checks",
        )
    if "coverage" in tests or "tarp" in tests:
        pictures["coverage"] = Picture(
            checks.plot("coverage"),
            "How often regions of stated probability hold the truth: on the diagonal when they are honest.",
            alt="Empirical coverage against stated credibility.",
            section="checks",
        )
    if "posterior predictive" in tests:
        pictures["predictive"] = Picture(
            checks.plot("predictive"),
            "The observation over data simulated from the posterior: 50 % and 90 % bands.",
            alt="Observed values and predictive bands.",
            section="predictive",
        )
    return pictures
