"""``quincunx export``: a run for other tools, or a study for other schedulers."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from quincunx.cli.console import emit, say
from quincunx.cli.options import Json, RunName
from quincunx.errors import OutputNotEmpty, UsageError

_DATA = ("zarr", "parquet", "arviz", "npz")


def export(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN|STUDY", help="A run; for snakemake, reana and yadage a study or a problem will do."
        ),
    ],
    format: Annotated[
        Literal["zarr", "parquet", "arviz", "npz", "snakemake", "reana", "yadage"], typer.Argument(metavar="FORMAT")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file or folder to write; new.")],
    name: RunName = None,
    batch: Annotated[int | None, typer.Option("--batch", min=1, help="Simulations a batch, for snakemake.")] = None,
    image: Annotated[
        str | None, typer.Option("--image", help="A container image with quincunx in it, for reana and yadage.")
    ] = None,
    json: Json = False,
) -> None:
    """Write a run or a study for other tools.

    zarr, parquet, npz: its simulations. arviz: simulations and posterior as a DataTree in a Zarr store. snakemake, reana, yadage: the
    whole study as a workflow whose steps are commands of this program.
    """
    if out.exists():
        raise OutputNotEmpty(f"{out} exists and will not be overwritten; choose another OUT")
    from quincunx.cli.handle import is_run, opened

    if format in _DATA and not is_run(run):
        raise UsageError(f"{run} is no run; give one that `quincunx simulate` began, or export a workflow")
    if format == "reana" and image is None:
        raise UsageError("REANA runs every step in a container; give --image NAME:TAG, one with quincunx in it")
    if format in _DATA:
        with opened(run, name=name, read_only=True) as book:
            _data(book, format, out)
    else:
        _workflow(run, name, format, out, batch, image)
    if json:
        emit({"out": str(out), "format": format})
    else:
        say(f"{out} written")


def _data(book: Any, format: str, out: Path) -> None:
    from quincunx.lab.export import to_parquet, to_zarr, write_datatree

    if format == "zarr":
        to_zarr(book.shards(), out)
    elif format == "parquet":
        to_parquet(book.shards(), out)
    elif format == "npz":
        if out.suffix != ".npz":
            raise UsageError(f"got {out}; expected a name that ends in .npz; add it")
        book.simulations().save(out)
    else:
        from quincunx.lab.answer import answered
        from quincunx.values import load

        kept = answered(book)
        posterior = None if kept is None else load(book.artefact_file(kept)).to_arviz()
        write_datatree(book.simulations(), out, posterior=posterior)


def _workflow(run: str, name: str | None, format: str, out: Path, batch: int | None, image: str | None) -> None:
    from quincunx.cli.handle import is_run, opened, source_of
    from quincunx.cli.source import read_source
    from quincunx.cli.studying import study_of
    from quincunx.lab.export import Steps, to_reana, to_snakemake, to_yadage

    if is_run(run):
        with opened(run, name=name, read_only=True) as book:
            found, config = source_of(book), book.config
        told = {"n": config["budget"], "size": batch or config["batch"], "seed": config["seed"]}
    else:
        found, told = read_source(run), {"size": batch}
    study = study_of(found)
    steps = Steps.of(study, found.text, **told)
    if format == "snakemake":
        to_snakemake(study, steps, out)
    elif format == "reana":
        to_reana(study, steps, out, image=image or "")
    else:
        to_yadage(study, steps, out, image=image)
