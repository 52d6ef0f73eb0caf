"""``quincunx demo``: the main job on a worked problem, from simulations to a checked answer beside the known one."""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from quincunx.cli.console import emit, say, tabulate
from quincunx.cli.exits import CHECK_FAILED
from quincunx.cli.options import Json, Resume, Seed, Settings


def demo(
    name: Annotated[str, typer.Argument(help="A gallery problem.")] = "boarding_school",
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Directory to write into; NAME or NAME-2, ... if left out.", file_okay=False),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option("--method", help="As for infer; npe if left out, or nle where the data are sets of events."),
    ] = None,
    set: Settings = None,
    budget: Annotated[
        int | None,
        typer.Option("--budget", min=1, help="How many simulations to spend; the problem's own if left out."),
    ] = None,
    simulations: Annotated[
        int, typer.Option("-n", "--simulations", min=10, help="Fresh simulations to check with.")
    ] = 300,
    seed: Seed = 0,
    studio: Annotated[bool, typer.Option("--studio", help="Then show it in the studio, until Ctrl-C.")] = False,
    resume: Resume = False,
    json: Json = False,
) -> None:
    """Run a worked problem, check it, write a report.

    Simulates, trains, infers, draws the reference posterior where there is one, and checks. Exit code 3 if a check fails. Where settings may be
    chosen, and neither a method, nor its settings, nor a budget is given, it is the loop: four experiments on a mock, the next one proposed, and a
    rehearsal of what was done on --simulations parameters of the prior.
    """
    from quincunx.cli.checking import run_checks
    from quincunx.cli.folder import RunFolder, first_free
    from quincunx.cli.job import resumable, run_job, save_reference
    from quincunx.cli.loop_demo import is_for_a_loop, loop_demo
    from quincunx.cli.page import write_page
    from quincunx.cli.settings import configured, parse_settings
    from quincunx.cli.source import read_source
    from quincunx.errors import UsageError

    source = read_source(name)
    if source.problem is None:
        raise UsageError(
            f"{name} is a file; demo runs a gallery problem by name, and your own goes to: quincunx infer {name}"
        )
    if method is None and set is None and budget is None and is_for_a_loop(source):
        where = first_free(source.name) if out is None else out
        failed = loop_demo(source, where, loops=simulations, seed=seed, json=json)
        _end(where, failed, studio)
        return
    if method is None:
        # Networks that read single outcomes do not take sets of events, likelihoods do.
        method = "npe" if source.problem.events is None else "nle"
    entry = source.problem.entry
    budget = entry.budget if budget is None else budget
    set = list(entry.settings) if set is None and method == "npe" else set
    settings = parse_settings(set or [])
    chosen = configured(method, settings)
    where = first_free(source.name) if out is None else out
    options: dict[str, Any] = {
        "source": name,
        "sha256": None,
        "data": None,
        "observation": 1,
        "method": method,
        "settings": settings,
        "budget": budget,
        "draws": 10_000,
        "seed": seed,
    }
    folder = RunFolder.begin(where, options=options, resume=resume)
    say(f"{source.problem.title}: {budget:,} simulations, method {method}, into {where}")
    again = shlex.join(
        [
            "quincunx",
            "demo",
            name,
            "--out",
            str(where),
            "--method",
            method,
            "--budget",
            str(budget),
            "--seed",
            str(seed),
        ]
        + [part for pair in set or [] for part in ("--set", pair)]
        + ["--simulations", str(simulations), "--resume"]
    )
    with resumable(folder, again):
        answer = run_job(
            folder,
            source,
            source.problem.observation(1),
            method=chosen,
            budget=budget,
            draws=10_000,
            seed=seed,
            resume=again,
        )
        say("drawing the reference posterior")
        has_reference = save_reference(folder, source, 1)
        say(f"checking with {simulations:,} fresh simulations")
        report = run_checks(folder, source, answer.posterior, n=simulations, seed=seed)
        write_page(folder, source, answer.posterior)
        folder.note(status="done")
    if json:
        emit(
            {
                "out": str(where),
                "summary": answer.summary.to_dict(),
                "warnings": folder.record["warnings"],
                "checks": report.to_dict(),
                "report": str(folder.report),
            }
        )
    else:
        typer.echo(repr(answer.summary))
        if has_reference:
            tabulate(["parameter", "mean", "reference", "sd", "reference sd"], _beside(folder, answer))
        typer.echo(repr(report))
        say(f"open {folder.report.resolve()}")
    _end(where, report.status == "fail", studio)


def _end(where: Path, failed: bool, studio: bool) -> None:
    """Show it, if that was asked for, and end with the code of its checks."""
    if studio:
        from quincunx.cli.studio import studio as show

        show([str(where)])
    if failed:
        raise typer.Exit(CHECK_FAILED)


def _beside(folder: Any, answer: Any) -> list[list[Any]]:
    import numpy as np

    reference = np.loadtxt(folder.reference, delimiter=",", skiprows=1, ndmin=2)
    columns = answer.posterior.prior.columns
    return [
        [name, float(a.mean()), float(b.mean()), float(a.std()), float(b.std())]
        for name, a, b in zip(columns, answer.draws.T, reference.T)
    ]
