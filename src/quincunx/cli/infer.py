"""``quincunx infer``: from a simulator and a data file to a posterior in a directory."""

from pathlib import Path
from typing import Annotated, Any

import typer

from quincunx.cli.console import emit, say
from quincunx.cli.gold import HELP_METHOD
from quincunx.cli.options import Json, Out, Resume, RunName, Settings
from quincunx.errors import UsageError


def infer(
    source: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE.py|RUN", help="A gallery problem, a Python file with a simulator or a study, or a run."
        ),
    ],
    out: Out,
    data: Annotated[
        Path | None, typer.Option("--data", help="The observation: CSV, JSON or NPY.", dir_okay=False)
    ] = None,
    observation: Annotated[
        int | None, typer.Option("--observation", min=1, help="Instead of --data: a gallery problem's own, by number.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option("--method", help=HELP_METHOD),
    ] = None,
    set: Settings = None,
    budget: Annotated[
        int | None, typer.Option("--budget", min=1, help="How many simulations to spend; by default the study's.")
    ] = None,
    draws: Annotated[int, typer.Option("--draws", min=2, help="How many posterior draws to save.")] = 10_000,
    seed: Annotated[int | None, typer.Option("--seed", help="Every random number follows from it.")] = None,
    simulations: Annotated[
        list[Path] | None, typer.Option("--simulations", help="Files to learn from instead of simulating; repeatable.")
    ] = None,
    trained: Annotated[
        Path | None, typer.Option("--trained", help="What `quincunx train` wrote, instead of training.", dir_okay=False)
    ] = None,
    run: RunName = None,
    resume: Resume = False,
    json: Json = False,
) -> None:
    """Infer parameters from a data file.

    Simulates, trains and infers; leaves the posterior, its draws, the simulations and a report in --out. Of a run it takes the
    simulations as they are.
    """
    from quincunx.cli.folder import RunFolder, resume_command
    from quincunx.cli.job import resumable, run_job
    from quincunx.cli.page import write_page
    from quincunx.cli.settings import configured, parse_settings
    from quincunx.cli.studying import study_of
    from quincunx.cli.supply import supplied
    from quincunx.values import load

    settings = parse_settings(set or [])
    if method is not None:
        configured(method, settings)
    found, sims = supplied(source, simulations, run)
    study = study_of(found)
    chosen = configured(method or study.method, settings)
    x_o = _observation(found, study, data, observation)
    spent = (budget or study.budget) if sims is None else len(sims)
    key = study.key if seed is None else seed
    options = {
        "source": found.text,
        "sha256": found.sha256,
        "data": None if data is None else str(data),
        "observation": observation,
        "method": chosen.name,
        "settings": settings,
        "budget": spent,
        "draws": draws,
        "seed": key,
        "run": source if source != found.text else None,
        "simulations": [str(path) for path in simulations] if simulations else None,
        "trained": None if trained is None else str(trained),
    }
    folder = RunFolder.begin(out, options=options, resume=resume)
    again = resume_command()
    with resumable(folder, again):
        answer = run_job(
            folder,
            found,
            x_o,
            method=chosen,
            budget=spent,
            draws=draws,
            seed=key,
            resume=again,
            sims=sims,
            trained=None if trained is None else load(trained),
        )
        write_page(folder, found, answer.posterior)
        folder.note(status="done")
    if json:
        emit({"out": str(out), "summary": answer.summary.to_dict(), "warnings": folder.record["warnings"]})
        return
    typer.echo(repr(answer.summary))
    say(f"{folder.report} is the report; next: quincunx check {out}")


def _observation(found: Any, study: Any, data: Path | None, observation: int | None) -> Any:
    from quincunx.run import read_observation

    if data is not None and observation is not None:
        raise UsageError("give one observation: --data FILE, or for a gallery problem --observation NUMBER")
    if data is not None:
        return read_observation(data, found.simulator)
    if observation is not None:
        if found.problem is None:
            raise UsageError(f"{found.text} has no observations of its own; give one with --data FILE")
        return found.problem.observation(observation)
    if found.problem is not None or study.experiment is None:
        raise UsageError(
            "give one observation: --data FILE, for a gallery problem --observation NUMBER, or experiment= in the study"
        )
    return study.observation()
