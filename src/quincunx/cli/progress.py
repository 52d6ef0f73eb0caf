"""Progress for people: a line that moves on a terminal, one plain line every ten seconds anywhere else."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from quincunx.cli.console import watch

_EVERY = 10.0


@contextmanager
def progress(label: str) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield the function that ``simulate`` and ``fit`` call with a dict of where they are.

    ``done`` and ``total`` (or ``epoch`` and ``epochs``) make the bar; every other number is shown beside it.
    """
    console = watch()
    if not console.is_terminal:
        yield _plain_lines(label, console)
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,}/{task.total:,}"))
    with Progress(
        *columns, TextColumn("{task.fields[facts]}"), TimeRemainingColumn(), console=console, transient=True
    ) as bar:
        task = bar.add_task(label, total=1, facts="")

        def tell(state: dict[str, Any]) -> None:
            done, total, facts = _parts(state)
            bar.update(task, completed=done, total=total, facts=facts)

        yield tell


def _plain_lines(label: str, console: Any) -> Callable[[dict[str, Any]], None]:
    last = time.monotonic()

    def tell(state: dict[str, Any]) -> None:
        nonlocal last
        if time.monotonic() - last < _EVERY:
            return
        last = time.monotonic()
        done, total, facts = _parts(state)
        console.print(f"{label}: {done:,}/{total:,} {facts}".rstrip(), markup=False)

    return tell


def _parts(state: dict[str, Any]) -> tuple[int, int, str]:
    """
    >>> _parts({"epoch": 3, "epochs": 60, "validation": -1.25, "stage": "train"})
    (3, 60, 'validation -1.25')
    >>> _parts({"done": 500, "total": 1000, "failed": 0})
    (500, 1000, 'failed 0')
    """
    done = state.get("done", state.get("epoch", 0))
    total = state.get("total", state.get("epochs", 1))
    shown = ("failed", "rate", "train", "validation", "best")
    facts = " ".join(f"{name} {state[name]:.4g}" for name in shown if isinstance(state.get(name), (int, float)))
    return int(done), int(total), facts
