"""A run's directory as an HTML report: what the page says is read from the directory, so that it can be written again."""

import csv
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from quincunx.cli.folder import RunFolder
from quincunx.cli.source import Source
from quincunx.infer import Run
from quincunx.lab.report import from_run, write_report
from quincunx.values import load


def write_page(folder: RunFolder, source: Source, posterior: Any) -> None:
    """Write report.html from everything the directory holds."""
    record, prior, problem = folder.record, posterior.prior, source.problem
    options = record["options"]
    run = Run(jnp.asarray(_columns(folder.draws), jnp.float32), record["diagnostics"], tuple(record["warnings"]))
    reference = prior.unflatten(_columns(folder.reference)) if folder.reference.exists() else None
    content = from_run(
        posterior,
        load(folder.checks_value) if folder.checks_value.exists() else None,
        load(folder.simulations),
        run=run,
        title=source.name if problem is None else problem.title,
        question=f"What do these data say about {_in_words(prior.names)}?",
        reference=reference,
        reference_note=""
        if reference is None
        else "The reference is drawn from the known posterior or likelihood, without a network.",
        derived=None if problem is None else problem.derived,
        provenance={
            "started": record["started"],
            "seed": options["seed"],
            "source": options["source"] if problem is None else f"{options['source']} ({problem.source})",
            "source (SHA-256)": options["sha256"] or "shipped with the package",
            "settings given": options["settings"] or "none",
            "seconds": record["seconds"],
            "process CPU seconds": record["cpu_seconds"],
            "versions when it ran": record["versions"],
        },
        command=record["command"],
    )
    write_report(folder.report, content)


def _columns(path: Path) -> np.ndarray:
    with open(path, newline="") as file:
        rows = csv.reader(file)
        next(rows)
        return np.array([[float(number) for number in row] for row in rows])


def _in_words(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
