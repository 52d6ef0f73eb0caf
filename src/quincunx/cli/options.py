"""The options that several verbs share, so that a flag means one thing everywhere."""

from pathlib import Path
from typing import Annotated

import typer

Source = Annotated[
    str,
    typer.Argument(
        metavar="NAME|FILE.py", help="A gallery problem by name, or a Python file that defines a simulator."
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Every random number follows from this integer.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for machines.")]
Out = Annotated[Path, typer.Option("--out", help="Directory to write into; new or empty.", file_okay=False)]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with what an interrupted run left in --out.")]
Budget = Annotated[int, typer.Option("--budget", min=1, help="How many simulations to spend.")]
Method = Annotated[
    str,
    typer.Option(
        "--method",
        help="npe, nle, nre, ratio, fmpe, npse, or auto to have one chosen for the problem; with gold alices, alice, rascal, rolr, "
        "cascal, carl, scandal, sally or sallino.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="An option of the method or its training, such as members=5; repeatable."
    ),
]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A directory that `quincunx infer` wrote.")]
Run = Annotated[
    str, typer.Argument(metavar="RUN", help="A run that `quincunx simulate` began: its folder, or its database's URL.")
]
RunName = Annotated[
    str | None, typer.Option("--run", metavar="NAME", help="Which run, where a database holds several.")
]
Workers = Annotated[int | None, typer.Option("--workers", min=0, help="Processes; by default as many as it pays for.")]
Dask = Annotated[str | None, typer.Option("--dask", metavar="ADDRESS", help="A Dask scheduler to run on.")]
Batch = Annotated[int | None, typer.Option("--batch", min=1, help="Simulations a batch; by default measured.")]
FailureBudget = Annotated[
    float,
    typer.Option("--failure-budget", min=0.0, max=1.0, help="Stop when more than this share of simulations fails."),
]
ChoosingSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--settings",
        metavar="NAME=LOW:HIGH",
        help="What may be chosen, such as energy=40:50, or levels kind=[a,b]; repeatable; by default the study's or the problem's.",
    ),
]
Events = Annotated[
    int | None,
    typer.Option(
        "--events", min=1, help="Independent events in one experiment; by default the study's or the problem's."
    ),
]
