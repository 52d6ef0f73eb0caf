"""``quincunx report``: write a run's HTML report again."""

from quincunx.cli.console import emit, say
from quincunx.cli.options import Folder, Json


def report(folder: Folder, json: Json = False) -> None:
    """Write the HTML report of a directory again."""
    from quincunx.cli.folder import RunFolder
    from quincunx.cli.page import write_page
    from quincunx.cli.source import read_again
    from quincunx.values import load

    run = RunFolder.open(folder)
    source = read_again(run.record["options"])
    write_page(run, source, load(run.trained()))
    if json:
        emit({"report": str(run.report), "bytes": run.report.stat().st_size})
    else:
        say(f"{run.report} written")
