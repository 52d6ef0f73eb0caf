"""``quincunx train``: learn from simulations, for any observation."""

from pathlib import Path
from typing import Annotated

import typer

from quincunx.cli.console import emit, say
from quincunx.cli.gold import HELP_METHOD
from quincunx.cli.options import Json, RunName, Settings
from quincunx.errors import OutputNotEmpty, UsageError


def train(
    source: Annotated[str, typer.Argument(metavar="NAME|FILE.py|RUN", help="A problem, a file, a study, or a run.")],
    out: Annotated[Path, typer.Option("--out", help="File to write, for `quincunx infer --trained`.", dir_okay=False)],
    simulations: Annotated[
        list[Path] | None, typer.Option("--simulations", help="Files to learn from, unless it is a run; repeatable.")
    ] = None,
    method: Annotated[str | None, typer.Option("--method", help=HELP_METHOD)] = None,
    set: Settings = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Every random number follows from it.")] = None,
    run: RunName = None,
    json: Json = False,
) -> None:
    """Learn from simulations, for any observation.

    With the same seed it is what `quincunx infer` learns from them.
    """
    if out.exists():
        raise OutputNotEmpty(f"{out} exists and will not be overwritten; choose another --out")
    from quincunx.cli.job import train as learn
    from quincunx.cli.progress import progress
    from quincunx.cli.settings import configured, parse_settings
    from quincunx.cli.studying import study_of
    from quincunx.cli.supply import supplied
    from quincunx.infer.learning import no_part_training

    settings = parse_settings(set or [])
    found, sims = supplied(source, simulations, run)
    if sims is None:
        raise UsageError(
            f"there is nothing to learn from; give --simulations FILE, or a run: quincunx simulate {source} --out RUN"
        )
    study = study_of(found)
    chosen = configured(method or study.method, settings)
    with no_part_training(), progress("training") as tell:
        estimator = learn(found, sims, chosen, study.key if seed is None else seed, tell)
    estimator.save(out)
    if json:
        emit({"file": str(out), "method": chosen.name, "simulations": len(sims), "notes": list(estimator.notes)})
    else:
        say(
            f"{out} holds what {chosen.name} learned from {len(sims):,} simulations; next: quincunx infer {source} --trained {out}"
        )
