"""Error ellipses of Fisher informations."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Real
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from quincunx.errors import ShapeMismatch
from quincunx.plot.labels import shortened, text
from quincunx.plot.scan import legend, mark_best, square
from quincunx.plot.style import drawing

_DASHES = ((None, None), (5, 2), (1.5, 1.5), (7, 2, 1.5, 2))


def information_ellipses(
    curves: Mapping[str, Real[np.ndarray, "n 2"]],
    names: Sequence[str],
    *,
    centre: Real[np.ndarray, "2"] | None = None,
    level: float = 0.6827,
    units: Mapping[str, str] | None = None,
    theme: str = "light",
) -> Figure:
    """Ellipses expected at one level around one point, each the closed curve (n, 2) of one information, by name.

    Raises ShapeMismatch when there is no curve.

    >>> angle = np.linspace(0.0, 2 * np.pi, 100)
    >>> circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    >>> figure = information_ellipses({"full": circle, "histogram": 2 * circle}, ["a", "b"])
    >>> [line.get_label() for line in figure.legends[0].get_lines()]
    ['full', 'histogram']
    """
    if not curves:
        raise ShapeMismatch("got no curves, expected at least one ellipse (n, 2); pass them by name")
    points = np.concatenate([np.asarray(curve, float) for curve in curves.values()])
    low, high = points.min(0), points.max(0)
    margin = 0.08 * (high - low)
    spans = [np.array([a, b]) for a, b in zip(low - margin, high + margin, strict=True)]
    with drawing(theme) as colours:
        figure, axes = square(spans, names, units)
        palette = (colours.posterior, colours.reference, colours.good, colours.prior)
        entries: list = []
        for i, (name, curve) in enumerate(curves.items()):
            style = {} if _DASHES[i % 4][0] is None else {"dashes": _DASHES[i % 4]}
            axes.plot(curve[:, 0], curve[:, 1], color=palette[i % 4], **style)
            entries.append(Line2D([], [], color=palette[i % 4], label=text(shortened(name, 32)), **style))
        axes.fill(*np.asarray(next(iter(curves.values()))).T, color=palette[0], alpha=0.15, linewidth=0)
        mark_best(axes, centre, colours.truth, [])
        axes.set_title(f"expected at {100 * level:.4g} %")
        legend(figure, entries)
    return figure
