"""``quincunx submit``: start workers through a batch system."""

import shutil
import subprocess
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from quincunx.cli.console import say
from quincunx.cli.duration import seconds_of
from quincunx.errors import CommandNotFound, QuincunxError, UnknownRun, UsageError


class System(StrEnum):
    """Batch systems."""

    slurm = "slurm"
    htcondor = "htcondor"
    kubernetes = "kubernetes"


def submit(
    system: Annotated[System, typer.Argument(help="Who runs the workers.")],
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="The folder of a run on a shared disk, or the URL of its database.")
    ],
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="How many workers.")] = 10,
    time: Annotated[str, typer.Option("--time", metavar="4h", help="How long each may run.")] = "4h",
    set: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="An option of the system's own, as partition=short."),
    ] = None,
    image: Annotated[str | None, typer.Option("--image", help="The container, for Kubernetes.")] = None,
    name: Annotated[
        str | None, typer.Option("--run", metavar="NAME", help="Which run, where a database holds several.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be submitted, and submit nothing.")
    ] = False,
) -> None:
    """Submit workers on a run: a Slurm array, an HTCondor queue or a Kubernetes job."""
    wrong = [text for text in set or [] if "=" not in text]
    if wrong:
        raise UsageError(f"got the option '{wrong[0]}'; expected NAME=VALUE; write it so")
    from quincunx.lab.submission import submission

    options = dict(text.split("=", 1) for text in set or [])
    place = run if "://" in run else str(Path(run).resolve())
    made = submission(system.value, place, jobs=jobs, seconds=seconds_of(time), options=options, name=name, image=image)
    if dry_run:
        typer.echo(made.text, nl=False)
        return
    if "://" not in run and not (Path(run) / "ledger.sqlite").is_file():
        raise UnknownRun(
            f"got '{run}', where no run is; expected the folder of one; begin it: quincunx simulate STUDY --out {run}"
        )
    if shutil.which(made.program) is None:
        raise CommandNotFound(
            f"got no program '{made.program}' on the PATH; expected that of {system.value}; run this where jobs are submitted from, or take "
            "what --dry-run prints there"
        )
    with tempfile.NamedTemporaryFile("w", suffix=made.suffix, prefix="quincunx-") as stream:
        stream.write(made.text)
        stream.flush()
        argv = [word.replace("{file}", stream.name) for word in made.argv]
        done = subprocess.run(argv, check=False, capture_output=True, text=True)
    if done.returncode:
        raise QuincunxError(
            f"{made.program} refused the job ({done.stderr.strip() or done.returncode}); expected it to be taken; look at --dry-run, and set "
            "what this site asks for with --set NAME=VALUE"
        )
    say(done.stdout.strip())
