"""How narrow posteriors have become: their standard deviations against what was spent."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Real
from matplotlib.figure import Figure

from quincunx.errors import ShapeMismatch
from quincunx.plot.labels import text
from quincunx.plot.style import drawing, new_figure, rule_lines


def widths(
    cost: Real[np.ndarray, " k"],
    sd: Real[np.ndarray, "k d"],
    names: Sequence[str],
    *,
    what: str = "cost of all experiments so far",
    theme: str = "light",
) -> Figure:
    """Standard deviations as shares of the first ones, which are the prior's, on a logarithmic scale, a line for each parameter.

    Raises ShapeMismatch where lengths differ.

    >>> figure = widths(np.array([0.0, 1.0]), np.array([[1.0, 2.0], [0.5, 0.5]]), ["a", "b"])
    >>> figure.axes[0].get_yscale()
    'log'
    """
    cost, sd = np.asarray(cost, float), np.asarray(sd, float)
    if sd.shape != (len(cost), len(names)) or not len(cost):
        raise ShapeMismatch(
            f"got {len(cost)} costs and widths of shape {sd.shape}, expected a row for each cost and a column for each of {list(names)}"
        )
    with drawing(theme) as colours:
        figure = new_figure(6.4, 3.0)
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        rule_lines(axes)
        for i, name in enumerate(names):
            style = ("-", "--", ":", "-.")[i % 4]
            colour = (colours.posterior, colours.reference, colours.truth, colours.ink)[i % 4]
            axes.plot(cost, sd[:, i] / sd[0, i], style, marker="o", markersize=4, color=colour, label=text(name))
        axes.set_yscale("log")
        axes.set_xlabel(text(what))
        axes.set_ylabel("posterior sd / prior sd")
        figure.legend(loc="outside upper left", ncols=4, columnspacing=1.2, borderaxespad=0.2)
    return figure
