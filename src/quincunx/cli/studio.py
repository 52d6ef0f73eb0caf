"""``quincunx studio``: a page over runs and answers, on this machine."""

import os
from pathlib import Path
from typing import Annotated

import typer

from quincunx.cli.console import say


def studio(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN|FOLDER|URL]...",
            help="What to show: runs, answers, folders of them, databases; by default this folder.",
        ),
    ] = None,
    allow_run: Annotated[
        bool,
        typer.Option(
            "--allow-run", help="Let the page start commands, approve, tell data and stop; else it only shows."
        ),
    ] = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="By default any that is free.")] = 0,
    host: Annotated[
        str, typer.Option("--host", help="Another address than this machine's own; needs QUINCUNX_STUDIO_TOKEN.")
    ] = "127.0.0.1",
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open it in the browser.")] = False,
) -> None:
    """Show runs in the browser, as they go on.

    Lists runs and answers; shows timelines, posteriors, calibration, losses, failures, proposals and provenance; compares. Nothing leaves
    this machine. Ctrl-C ends it, and loses nothing.
    """
    from quincunx.studio import serve

    def ready(address: str) -> None:
        if host not in ("127.0.0.1", "localhost", "::1"):
            say(
                f"warning: whoever reaches {host} and has the token can see these runs{' and run commands' if allow_run else ''}"
            )
        typer.echo(address)
        say("Ctrl-C ends it")
        if browser:
            import webbrowser

            webbrowser.open(address)

    serve(
        runs or [str(Path.cwd())],
        allow_run=allow_run,
        host=host,
        port=port,
        token=os.environ.get("QUINCUNX_STUDIO_TOKEN"),
        ready=ready,
    )
