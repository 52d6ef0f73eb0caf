"""What is printed where: answers on stdout, everything a person watches on stderr."""

import json
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from quincunx.errors import QuincunxWarning

if TYPE_CHECKING:
    from rich.console import Console

# rich is imported where something is printed: help, which is asked most often, does without it.


def watch() -> "Console":
    """The console for progress, warnings and errors; honours ``NO_COLOR`` and a stderr that is not a terminal."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """One line on stderr."""
    watch().print(text, markup=False)


def tell(name: str, message: str, style: str) -> None:
    """A warning's or error's name, in colour where there is colour, and what it says."""
    from rich.text import Text

    watch().print(Text.assemble((name, style), f": {message}"))


def emit(value: Mapping[str, Any]) -> None:
    """One JSON document on stdout. NaN and infinity become null, which every JSON reader understands.

    >>> emit({"ess": 812.5, "r_hat": float("nan")})
    {"ess": 812.5, "r_hat": null}
    """
    from quincunx.lab.book.plain import plain

    sys.stdout.write(json.dumps(plain(value), allow_nan=False) + "\n")


def tabulate(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str | None = None) -> None:
    """A table on stdout; columns whose every cell is a number are aligned to the right.

    >>> tabulate(["name", "sd"], [["beta", 0.05]])
    <BLANKLINE>
      name     sd
     ─────────────
      beta   0.05
    <BLANKLINE>
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=True)
    for position, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[position], (int, float)) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(entry)) for entry in row))
    out = Console(file=_Stdout(), highlight=False, width=None if sys.stdout.isatty() else 120)
    out.print(table)


class _Stdout:
    """Whatever ``sys.stdout`` is at the time of writing, so that redirection works as anyone expects."""

    def write(self, text: str) -> int:
        # rich pads lines to the table's width; nobody wants the trailing blanks.
        return sys.stdout.write("\n".join(line.rstrip() for line in text.split("\n")))

    def flush(self) -> None:
        sys.stdout.flush()

    def isatty(self) -> bool:
        return sys.stdout.isatty()

    def fileno(self) -> int:
        return sys.stdout.fileno()


def cell(entry: Any) -> str:
    """How a number is shown to a person.

    >>> cell(0.123456), cell(1234567), cell(None), cell(True)
    ('0.1235', '1,234,567', '', 'yes')
    """
    if entry is None:
        return ""
    if isinstance(entry, bool):
        return "yes" if entry else "no"
    if isinstance(entry, int):
        return f"{entry:,}"
    if isinstance(entry, float):
        return f"{entry:.4g}"
    return str(entry)


def show_warnings() -> None:
    """Send the package's warnings to stderr as one line each, and silence what the libraries below say to their developers."""
    warnings.simplefilter("ignore")
    warnings.simplefilter("always", QuincunxWarning)
    warnings.showwarning = _show


def _show(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    tell(category.__name__, str(message), "yellow")
