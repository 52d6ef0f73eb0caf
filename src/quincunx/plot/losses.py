"""Training: loss on training and validation data, epoch by epoch."""

import numpy as np
from jaxtyping import Integer, Real
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from quincunx.errors import ShapeMismatch
from quincunx.plot.labels import text
from quincunx.plot.style import drawing, new_figure, rule_lines


def losses(
    train: Real[np.ndarray, "epochs members"],
    validation: Real[np.ndarray, "_ _"],
    best_epoch: Integer[np.ndarray, " _"] | None = None,
    *,
    stopped: str | None = None,
    name: str = "loss",
    theme: str = "light",
) -> Figure:
    """Training and validation loss of every member of an ensemble, with a mark at the epoch whose parameters were kept.

    The axis follows the later epochs, so that a high start does not flatten what matters. Raises ShapeMismatch when
    shapes differ.

    >>> curve = np.exp(-np.arange(30) / 5.0)[:, None]
    >>> figure = losses(curve, curve + 0.1, np.array([29]))
    >>> [line.get_label() for line in figure.axes[0].lines[:2]]
    ['training', 'validation']
    """
    train, validation = np.asarray(train, dtype=float), np.asarray(validation, dtype=float)
    if train.shape != validation.shape or train.shape[0] == 0:
        raise ShapeMismatch(
            f"got losses of shapes {train.shape} and {validation.shape}, expected the same (epochs, members), not empty"
        )
    epochs = np.arange(1, len(train) + 1)
    with drawing(theme) as colours:
        figure = new_figure(6.4, 3.3)
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        rule_lines(axes)
        faint = 1.0 if train.shape[1] == 1 else 0.65
        for member in range(train.shape[1]):
            first = member == 0
            axes.plot(
                epochs,
                train[:, member],
                color=colours.muted,
                linewidth=1.1,
                alpha=faint,
                label="training" if first else None,
            )
            axes.plot(
                epochs,
                validation[:, member],
                color=colours.posterior,
                alpha=faint,
                label="validation" if first else None,
            )
            if best_epoch is not None:
                best = int(np.clip(best_epoch[member], 0, len(train) - 1))
                axes.plot(
                    epochs[best], validation[best, member], "o", color=colours.reference, markersize=6, zorder=4,
                    label="best epoch" if first else None,
                )  # fmt: skip
        axes.set_ylim(*_range(train, validation))
        axes.set_xlim(1, max(2, len(train)))
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.set_xlabel("epoch" if stopped is None else f"epoch (stopped: {text(stopped)})")
        axes.set_ylabel(text(name))
        figure.legend(loc="outside upper left", ncols=3, columnspacing=1.2, borderaxespad=0.2)
    return figure


def _range(train: np.ndarray, validation: np.ndarray) -> tuple[float, float]:
    both = np.concatenate([train, validation], axis=1)
    finite = both[np.isfinite(both)]
    if finite.size == 0:
        return 0.0, 1.0
    late = both[len(both) // 10 :]
    late = late[np.isfinite(late)]
    low = float(finite.min())
    high = float(late.max()) if late.size else float(finite.max())
    margin = 0.08 * (high - low) or 0.1 * max(abs(low), 1.0)
    return low - margin, high + margin
