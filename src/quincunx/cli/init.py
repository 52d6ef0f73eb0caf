"""``quincunx init``: a folder with a study that runs as it stands."""

from pathlib import Path
from typing import Annotated

import typer

from quincunx.cli.console import emit, say
from quincunx.cli.options import Json
from quincunx.errors import OutputNotEmpty


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write study.py; new or without one.")],
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="NAME|FILE.py", help="A gallery problem, or a file with a simulator."),
    ] = None,
    json: Json = False,
) -> None:
    """Write a study.py to begin from.

    A simulator, an observation, a method and a budget, with comments; it runs as it stands.
    """
    path = folder / "study.py"
    if path.exists():
        raise OutputNotEmpty(f"{path} exists and will not be overwritten; choose another folder")
    from quincunx.cli.studies import study_text

    text = study_text(source)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if json:
        emit({"study": str(path)})
    else:
        say(
            f"{path} written; next: quincunx simulate {path} --out {folder / 'run'}, then: quincunx resume {folder / 'run'}"
        )
