"""Rows of small panels, one a parameter, with room for names whatever their number."""

from collections.abc import Sequence
from math import ceil

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from quincunx.errors import ShapeMismatch
from quincunx.plot.style import new_figure


def columns_for(count: int, most: int = 4) -> int:
    """Panels a row: as few rows as `most` allows, filled as evenly as they can be.

    >>> [columns_for(count) for count in (1, 4, 5, 8, 9)]
    [1, 4, 3, 4, 3]
    """
    return ceil(count / ceil(count / most))


def panels(
    count: int, *, rows_each: int = 1, width: float = 2.3, height: float = 1.9, legend: float = 0.4
) -> tuple[Figure, list[list[Axes]]]:
    """A figure with `count` panels, each a stack of `rows_each` axes, under a strip of `legend` inches for a legend.

    >>> figure, grid = panels(3)
    >>> len(grid), len(grid[0])
    (3, 1)
    """
    columns = columns_for(count)
    blocks = ceil(count / columns)
    # A figure of one or two panels still needs the width of its legend.
    panel = max(width, 4.6 / columns)
    figure = new_figure(panel * columns + 0.5, height * rows_each * blocks + legend + 0.35)
    figure.set_layout_engine("constrained", w_pad=0.07, h_pad=0.06, wspace=0.03, hspace=0.05)
    total = float(figure.get_size_inches()[1])
    figure.get_layout_engine().set(rect=(0.0, 0.0, 1.0, 1.0 - legend / total))  # type: ignore[union-attr,call-arg]
    cells = figure.add_gridspec(blocks * rows_each, columns)
    grid = []
    for index in range(count):
        block, column = divmod(index, columns)
        grid.append([figure.add_subplot(cells[block * rows_each + row, column]) for row in range(rows_each)])
    return figure, grid


def check_names(names: Sequence[str], count: int, what: str) -> None:
    """Refuse names that do not fit the columns they name.

    Raises ShapeMismatch.

    >>> check_names(["a", "b"], 2, "ranks")
    """
    if len(names) != count:
        raise ShapeMismatch(
            f"got {len(names)} names for {count} columns of {what}, expected one name a column; pass {count} names"
        )
