"""``quincunx infer``: from a simulator and a data file to a posterior in a directory."""

from pathlib import Path
from typing import Annotated

import typer

from quincunx.cli.console import emit, say
from quincunx.cli.options import Budget, Json, Method, Out, Resume, Seed, Settings, Source
from quincunx.errors import UsageError


def infer(
    source: Source,
    out: Out,
    data: Annotated[
        Path | None, typer.Option("--data", help="The observation: CSV, JSON or NPY.", dir_okay=False)
    ] = None,
    observation: Annotated[
        int | None, typer.Option("--observation", min=1, help="Instead of --data: a gallery problem's own, by number.")
    ] = None,
    method: Method = "npe",
    set: Settings = None,
    budget: Budget = 10_000,
    draws: Annotated[int, typer.Option("--draws", min=2, help="How many posterior draws to save.")] = 10_000,
    seed: Seed = 0,
    resume: Resume = False,
    json: Json = False,
) -> None:
    """Infer parameters from a data file.

    Simulates, trains and infers; leaves the posterior, its draws, the simulations and a report in --out.
    """
    from quincunx.cli.folder import RunFolder, resume_command
    from quincunx.cli.job import resumable, run_job
    from quincunx.cli.page import write_page
    from quincunx.cli.settings import configured, parse_settings
    from quincunx.cli.source import read_source
    from quincunx.run import read_observation

    settings = parse_settings(set or [])
    chosen = configured(method, settings)
    found = read_source(source)
    if (data is None) == (observation is None):
        raise UsageError("give one observation: --data FILE, or for a gallery problem --observation NUMBER")
    if data is not None:
        x_o = read_observation(data, found.simulator)
    elif found.problem is None:
        raise UsageError(f"{source} has no observations of its own; give one with --data FILE")
    else:
        x_o = found.problem.observation(observation)
    options = {
        "source": source,
        "sha256": found.sha256,
        "data": None if data is None else str(data),
        "observation": observation,
        "method": method,
        "settings": settings,
        "budget": budget,
        "draws": draws,
        "seed": seed,
    }
    folder = RunFolder.begin(out, options=options, resume=resume)
    again = resume_command()
    with resumable(folder, again):
        answer = run_job(folder, found, x_o, method=chosen, budget=budget, draws=draws, seed=seed, resume=again)
        write_page(folder, found, answer.posterior)
        folder.note(status="done")
    if json:
        emit({"out": str(out), "summary": answer.summary.to_dict(), "warnings": folder.record["warnings"]})
        return
    typer.echo(repr(answer.summary))
    say(f"{folder.report} is the report; next: quincunx check {out}")
