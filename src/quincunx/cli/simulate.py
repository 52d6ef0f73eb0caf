"""``quincunx simulate``: draw parameters from the prior, run the simulator, keep every outcome, in a run or in one file."""

from pathlib import Path
from typing import Annotated, Any

import typer

from quincunx.cli.console import emit, say
from quincunx.cli.gold import HELP_GOLD, HELP_REFERENCE, gold_asked
from quincunx.cli.handle import is_run
from quincunx.cli.options import Batch, Dask, FailureBudget, Json, RunName, Source, Workers
from quincunx.errors import Interrupted, OutputNotEmpty, UsageError

_FILES = (".qx", ".npz", ".csv")


def simulate(
    source: Source,
    budget: Annotated[
        int | None, typer.Option("--budget", "--n", "-n", min=1, help="How many simulations; by default the study's.")
    ] = None,
    out: Annotated[
        str,
        typer.Option("--out", help="A file (.qx, .npz, .csv), or a run: a folder, or a database's URL."),
    ] = "simulations.qx",
    seed: Annotated[int | None, typer.Option("--seed", help="Every random number follows from it.")] = None,
    start: Annotated[int, typer.Option("--start", min=0, help="Number of the first simulation, for a file.")] = 0,
    gold: Annotated[bool, typer.Option("--gold", help=HELP_GOLD)] = False,
    reference: Annotated[list[str] | None, typer.Option("--reference", help=HELP_REFERENCE)] = None,
    workers: Workers = None,
    dask: Dask = None,
    batch: Batch = None,
    failure_budget: FailureBudget = 0.05,
    run: RunName = None,
    folder: Annotated[Path | None, typer.Option("--folder", help="The run's files, for a database's URL.")] = None,
    json: Json = False,
) -> None:
    """Simulate from the prior and save every outcome.

    Into a run, which survives interruptions and several workers, or into one file. The same seed gives the same simulations in either.
    """
    to_file = "://" not in out and Path(out).suffix in _FILES
    if to_file and Path(out).exists():
        raise OutputNotEmpty(f"{out} exists and will not be overwritten; choose another --out")
    if to_file and (dask or batch or run or folder):
        raise UsageError(
            "--dask, --batch, --run and --folder are for a run; give a folder or a database's URL as --out"
        )
    if not to_file and start:
        raise UsageError("--start is for a file; a run goes on by itself: quincunx resume")
    is_table = to_file and Path(out).suffix == ".csv"
    if is_table and (gold or reference):
        raise UsageError("a .csv table has no place for gold; give a .qx or .npz file, or a run, as --out")
    from quincunx.cli.source import read_source
    from quincunx.cli.studying import study_of
    from quincunx.infer import method_named

    found = read_source(source)
    study = study_of(found)
    n, key = budget or study.budget, study.key if seed is None else seed
    mined = False
    if not is_table:
        asked = {"gold": gold, "references": reference or ()}
        mined = gold_asked(found.simulator, **asked, method=method_named(study.method))
    if to_file:
        _into_file(found, Path(out), n, key, start, workers, json, mined)
        return
    _into_run(
        found,
        study,
        out,
        n,
        key,
        run,
        folder,
        json,
        workers=workers,
        dask=dask,
        batch=batch,
        failure_budget=failure_budget,
        gold=mined,
    )


def _into_file(found: Any, out: Path, n: int, key: int, start: int, workers: int | None, json: bool, gold: Any) -> None:
    from quincunx.cli.progress import progress
    from quincunx.cli.table import write_table
    from quincunx.run import simulate as run

    with progress("simulating") as tell:
        sims = run(found.simulator, n, key=key, start=start, workers=workers, gold=gold, progress=tell)
    if out.suffix == ".csv":
        write_table(sims, out)
    else:
        sims.save(out)
    if sims.stopped:
        # Part of what was asked for must not look to a script like all of it.
        raise Interrupted(
            f"{sims.stopped} after {len(sims):,} of {n:,} simulations, which are in {out}; for runs that can be gone on with, give a folder: --out DIR"
        )
    failed = int((sims.status != 0).sum())
    if json:
        emit({"file": str(out), "simulations": len(sims), "failed": failed, "parameters": list(sims.names)})
    else:
        say(
            f"{len(sims):,} simulations ({failed:,} failed) in {out}; next: quincunx infer {found.text} --data FILE.csv --out DIR"
        )


def _into_run(
    found: Any,
    study: Any,
    out: str,
    n: int,
    key: int,
    name: str | None,
    folder: Path | None,
    json: bool,
    **how: Any,
) -> None:
    from quincunx.cli.carrying import carry, resume_with
    from quincunx.infer import method_named
    from quincunx.lab import begin_book, standing
    from quincunx.run.order import gold_text

    if "://" not in out and is_run(out):
        raise OutputNotEmpty(
            f"{out} holds a run already; go on with it: {resume_with(out, name)}; or choose another --out"
        )
    config = {
        "source": found.text if found.module is None else str(Path(found.text).resolve()),
        "sha256": found.sha256,
        "budget": n,
        "seed": key,
        "method": method_named(study.method).describe(),
        "batch": how["batch"],
        "failure_budget": how["failure_budget"],
        "gold": gold_text(how["gold"]),
    }
    with begin_book(out, key=key, run=name, folder=folder, config=config) as book:
        carry(book, found.simulator, n, run=out, name=name, **how)
        now = standing(book)
        if json:
            emit({"run": out, "name": book.name, "simulations": now.done, "failed": now.failed, "batches": now.batches})
            return
        asked = "" if study.experiment is None else f"; next: quincunx resume {out}, for the answer"
        say(f"{now.done:,} simulations ({now.failed:,} failed) in the run {out}{asked}")
