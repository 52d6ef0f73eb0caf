"""What a verb learns from: a simulator that is yet to run, files of simulations, or a run with what it holds."""

from collections.abc import Sequence
from pathlib import Path

from quincunx.cli.handle import is_run, opened, source_of
from quincunx.cli.source import Source, read_source
from quincunx.errors import UsageError
from quincunx.run import Simulations


def supplied(
    source: str, files: Sequence[Path] | None = None, name: str | None = None
) -> tuple[Source, Simulations | None]:
    """The simulator that ``source`` names, and simulations where there are any: those of a run, or of files, one after the other.

    Raises:
        UsageError: for a run and files at once. UnknownRun: for a run without simulations. DataFileError: for a file that is not there.
    """
    if not is_run(source):
        sims = [Simulations.load(path) for path in files or ()]
        return read_source(source), Simulations.concatenate(*sims) if sims else None
    if files:
        raise UsageError(f"got the run {source} and --simulations; expected one of them; leave the files out")
    with opened(source, name=name, read_only=True) as book:
        return source_of(book), book.simulations()
