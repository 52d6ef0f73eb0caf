"""``quincunx check``: is a saved answer right?"""

from typing import Annotated

import typer

from quincunx.cli.console import emit, say
from quincunx.cli.exits import CHECK_FAILED
from quincunx.cli.options import Folder, Json, Seed


def check(
    folder: Folder,
    simulations: Annotated[
        int, typer.Option("-n", "--simulations", min=10, help="Fresh simulations to check with.")
    ] = 300,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Check a saved posterior with fresh simulations.

    Calibration, coverage, predictive checks and more. Exit code 3 if one fails.
    """
    from quincunx.cli.checking import run_checks
    from quincunx.cli.folder import RunFolder
    from quincunx.cli.page import write_page
    from quincunx.cli.source import read_again
    from quincunx.values import load

    run = RunFolder.open(folder)
    source = read_again(run.record["options"])
    posterior = load(run.trained())
    report = run_checks(run, source, posterior, n=simulations, seed=seed)
    write_page(run, source, posterior)
    if json:
        emit({"out": str(folder), **report.to_dict()})
    else:
        typer.echo(repr(report))
        say(f"{run.report} is the report, {run.checks} the same for machines")
    if report.status == "fail":
        raise typer.Exit(CHECK_FAILED)
