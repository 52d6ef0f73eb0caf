"""The door of the command line: which verbs there are."""

import signal
import sys
from typing import Annotated

import typer

from quincunx._version import __version__
from quincunx.cli.bench import bench
from quincunx.cli.check import check
from quincunx.cli.demo import demo
from quincunx.cli.design import design
from quincunx.cli.doctor import doctor
from quincunx.cli.exits import guarded
from quincunx.cli.export import export
from quincunx.cli.infer import infer
from quincunx.cli.init import init
from quincunx.cli.list import list_problems
from quincunx.cli.loop import loop
from quincunx.cli.policy import policy
from quincunx.cli.report import report
from quincunx.cli.resume import resume
from quincunx.cli.simulate import simulate
from quincunx.cli.status import status
from quincunx.cli.studio import studio
from quincunx.cli.submit import submit
from quincunx.cli.train import train
from quincunx.cli.worker import worker

_HELP = """From a simulator and an observation to a checked answer.

Answers go to stdout, progress and warnings to stderr. Exit codes: 0 done, 1 failed, 2 asked wrongly, 3 a check failed,
4 interrupted and resumable."""

app = typer.Typer(
    name="quincunx",
    help=_HELP,
    no_args_is_help=True,
    # Plain help: the framed one costs as much time again as everything else.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for name, verb in (
    ("list", list_problems),
    ("demo", demo),
    ("init", init),
    ("simulate", simulate),
    ("status", status),
    ("resume", resume),
    ("train", train),
    ("infer", infer),
    ("check", check),
    ("design", design),
    ("policy", policy),
    ("loop", loop),
    ("studio", studio),
    ("worker", worker),
    ("submit", submit),
    ("report", report),
    ("export", export),
    ("doctor", doctor),
):
    app.command(name)(guarded(verb))
app.add_typer(bench, name="bench")


def _version(asked: bool | None) -> None:
    if asked:
        sys.stdout.write(f"quincunx {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool | None, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = None,
) -> None:
    """Options that stand before any verb."""


def main() -> None:
    """Run the command line; the exit code says how it ended."""
    # Batch systems ask with SIGTERM before they kill: to us that is Ctrl-C, after which what is done is saved.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app(prog_name="quincunx")
