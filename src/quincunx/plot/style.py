"""The scope in which every picture is drawn, in the light or the dark theme."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from quincunx.palette import THEMES, Theme

# Matplotlib's settings are global to the process: two threads must not open the scope at once.
_SETTINGS_LOCK = threading.RLock()


def settings(theme: Theme) -> dict[str, Any]:
    """Matplotlib settings of a theme, for `matplotlib.rc_context`.

    >>> settings(THEMES["dark"])["axes.spines.top"]
    False
    """
    return {
        "text.usetex": False,
        "text.color": theme.ink,
        "font.family": ["sans-serif"],
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 9.0,
        "mathtext.fontset": "dejavusans",
        "axes.facecolor": theme.surface,
        "axes.edgecolor": theme.muted,
        "axes.labelcolor": theme.ink,
        "axes.labelsize": 9.5,
        "axes.titlesize": 9.5,
        "axes.titleweight": "normal",
        "axes.titlecolor": theme.ink,
        "axes.titlelocation": "left",
        "axes.linewidth": 0.8,
        "axes.grid": False,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.unicode_minus": True,
        "axes.formatter.useoffset": False,
        "xtick.color": theme.muted,
        "ytick.color": theme.muted,
        "xtick.labelcolor": theme.ink,
        "ytick.labelcolor": theme.ink,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
        "xtick.direction": "out",
        "ytick.direction": "out",
        "xtick.major.size": 3.0,
        "ytick.major.size": 3.0,
        "grid.color": theme.grid,
        "grid.linewidth": 0.7,
        "lines.linewidth": 1.6,
        "lines.markersize": 5.0,
        "hatch.linewidth": 0.6,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "legend.labelcolor": theme.ink,
        "figure.facecolor": theme.surface,
        "figure.edgecolor": theme.surface,
        "savefig.facecolor": "auto",
        "savefig.edgecolor": "auto",
        "savefig.bbox": None,
        "path.simplify": True,
    }


@contextmanager
def drawing(theme: str = "light") -> Iterator[Theme]:
    """A scope in which artists take the theme's colours; the caller's own settings stand again afterwards.

    >>> import matplotlib
    >>> before = dict(matplotlib.rcParams)
    >>> with drawing("dark") as theme:
    ...     theme.name
    'dark'
    >>> dict(matplotlib.rcParams) == before
    True
    """
    if theme not in THEMES:
        raise ValueError(f"got theme {theme!r}, expected one of {', '.join(THEMES)}; pass one of these names")
    chosen = THEMES[theme]
    with _SETTINGS_LOCK, matplotlib.rc_context(settings(chosen)):  # type: ignore[arg-type]
        yield chosen


def new_figure(width: float, height: float) -> Figure:
    """An empty figure (inches) that belongs to no window and to no global list of figures.

    >>> new_figure(4.0, 3.0).get_size_inches().tolist()
    [4.0, 3.0]
    """
    figure = Figure(figsize=(width, height), dpi=110)
    FigureCanvasAgg(figure)
    return figure


def rule_lines(axes: Axes, axis: str = "y") -> None:
    """Faint rules behind the data, for reading values off one axis.

    >>> figure = new_figure(2.0, 2.0); axes = figure.add_subplot(); rule_lines(axes)
    >>> axes.get_axisbelow()
    True
    """
    axes.set_axisbelow(True)
    axes.grid(True, axis=axis)  # type: ignore[arg-type]
