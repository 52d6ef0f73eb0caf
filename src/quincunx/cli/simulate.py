"""``quincunx simulate``: draw parameters from the prior, run the simulator, keep every outcome."""

from pathlib import Path
from typing import Annotated

import typer

from quincunx.cli.console import emit, say
from quincunx.cli.options import Budget, Json, Seed, Source
from quincunx.errors import OutputNotEmpty


def simulate(
    source: Source,
    budget: Budget = 10_000,
    out: Annotated[
        Path, typer.Option("--out", help="File to write: .qx, or .npz for any NumPy.", dir_okay=False)
    ] = Path("simulations.qx"),
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Simulate from the prior and save every outcome."""
    if out.exists():
        raise OutputNotEmpty(f"{out} exists and will not be overwritten; choose another --out")
    from quincunx.cli.progress import progress
    from quincunx.cli.source import read_source
    from quincunx.run import simulate as run

    simulator = read_source(source).simulator
    with progress("simulating") as tell:
        sims = run(simulator, budget, key=seed, progress=tell)
    sims.save(out)
    failed = int((sims.status != 0).sum())
    if json:
        emit({"file": str(out), "simulations": len(sims), "failed": failed, "parameters": list(sims.names)})
    else:
        say(
            f"{len(sims):,} simulations ({failed:,} failed) in {out}; next: quincunx infer {source} --data FILE.csv --out DIR"
        )
