"""What designs are expected to teach: a curve along one setting, or a map over two."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Real
from matplotlib.figure import Figure

from quincunx.errors import ShapeMismatch
from quincunx.plot.labels import text, with_unit
from quincunx.plot.style import drawing, new_figure, rule_lines


def design_curve(
    settings: Real[np.ndarray, " d"],
    value: Real[np.ndarray, " d"],
    name: str,
    *,
    lower: Real[np.ndarray, " d"] | None = None,
    upper: Real[np.ndarray, " d"] | None = None,
    se: Real[np.ndarray, " d"] | None = None,
    chosen: float | None = None,
    past: Real[np.ndarray, " p"] | None = None,
    adjusted: Real[np.ndarray, " d"] | None = None,
    units: Mapping[str, str] | None = None,
    what: str = "expected information [nats]",
    theme: str = "light",
) -> Figure:
    """Expected information along one setting, with its bracket or two standard errors, the chosen design and those run before.

    `adjusted` is drawn beside it, scaled to the same height: the utility after cost. Raises ShapeMismatch where lengths differ.

    >>> x = np.linspace(0.0, 1.0, 11)
    >>> figure = design_curve(x, x * (1 - x), "dose", se=0.01 + 0 * x, chosen=0.5, past=np.array([0.1]))
    >>> figure.axes[0].get_ylabel()
    'expected information [nats]'
    """
    settings, value = np.asarray(settings, float), np.asarray(value, float)
    if settings.shape != value.shape or not settings.size:
        raise ShapeMismatch(
            f"got {settings.size} settings and {value.size} values, expected as many of both, at least one"
        )
    order = np.argsort(settings, kind="stable")
    settings, value = settings[order], value[order]

    def band(values):
        return np.full(settings.shape, np.nan) if values is None else np.asarray(values, float)[order]

    low, high, error = band(lower), band(upper), np.nan_to_num(band(se))
    bracketed = np.isfinite(low).all() and np.isfinite(high).all()
    low = np.where(np.isfinite(low), low, value - 2 * error)
    high = np.where(np.isfinite(high), high, value + 2 * error)
    with drawing(theme) as colours:
        figure = new_figure(6.4, 3.4)
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        rule_lines(axes)
        axes.axhline(0.0, color=colours.muted, linewidth=0.8)
        # an open bracket must not flatten the curve
        top = float(max(value.max(), np.quantile(high, 0.5), 1e-12))
        label = "lower and upper bound" if bracketed else "two standard errors"
        axes.fill_between(
            settings, low, np.minimum(high, 4 * top), color=colours.posterior, alpha=0.18, linewidth=0, label=label
        )
        axes.plot(settings, value, color=colours.posterior, marker="o", markersize=3, label="expected information")
        if adjusted is not None:
            told = np.asarray(adjusted, float)[order]
            scale = value.max() / max(float(np.abs(told).max()), 1e-300)
            axes.plot(settings, told * scale, color=colours.prior, dashes=(5, 2), label="after cost, rescaled")
        if past is not None and np.size(past):
            axes.plot(
                np.asarray(past, float),
                np.zeros(np.size(past)),
                "|",
                color=colours.ink,
                markersize=12,
                clip_on=False,
                label="run before",
            )
        if chosen is not None:
            axes.axvline(float(chosen), color=colours.reference, linewidth=1.2, label="chosen")
        axes.set_ylim(min(0.0, 1.1 * float(value.min())), max(1.25 * top, 1e-9))
        axes.set_xlabel(with_unit(name, (units or {}).get(name)))
        axes.set_ylabel(text(what))
        figure.legend(loc="outside upper left", ncols=4, columnspacing=1.2, borderaxespad=0.2)
    return figure


def design_map(
    settings: Real[np.ndarray, "d 2"],
    value: Real[np.ndarray, " d"],
    names: Sequence[str],
    *,
    chosen: Sequence[float] | None = None,
    past: Real[np.ndarray, "p 2"] | None = None,
    units: Mapping[str, str] | None = None,
    what: str = "expected information [nats]",
    theme: str = "light",
) -> Figure:
    """Expected information over two settings, a disc for each design that was compared, whatever the pattern they make.

    Raises ShapeMismatch where lengths differ.

    >>> grid = np.stack(np.meshgrid(np.arange(3.0), np.arange(3.0)), axis=-1).reshape(-1, 2)
    >>> figure = design_map(grid, grid.sum(axis=1), ["a", "b"], chosen=[2.0, 2.0])
    >>> figure.axes[0].get_xlabel()
    'a'
    """
    settings, value = np.asarray(settings, float), np.asarray(value, float)
    if len(settings) != len(value) or not len(value):
        raise ShapeMismatch(
            f"got {len(settings)} settings and {len(value)} values, expected as many of both, at least one"
        )
    with drawing(theme) as colours:
        figure = new_figure(5.2, 4.2)
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        drawn = axes.scatter(settings[:, 0], settings[:, 1], c=value, s=46, cmap="cividis", linewidths=0)
        bar = figure.colorbar(drawn, ax=axes)
        bar.set_label(text(what))
        if past is not None and np.size(past):
            before = np.asarray(past, float)
            axes.plot(before[:, 0], before[:, 1], "x", color=colours.truth, markersize=6, label="run before")
        if chosen is not None:
            axes.plot(
                [chosen[0]],
                [chosen[1]],
                "o",
                markersize=11,
                markerfacecolor="none",
                markeredgewidth=1.8,
                color=colours.reference,
                label="chosen",
            )
        axes.set_xlabel(with_unit(names[0], (units or {}).get(names[0])))
        axes.set_ylabel(with_unit(names[1], (units or {}).get(names[1])))
        if axes.get_legend_handles_labels()[0]:
            figure.legend(loc="outside upper left", ncols=2, borderaxespad=0.2)
    return figure


def design_slices(
    settings: Real[np.ndarray, "d k"],
    value: Real[np.ndarray, " d"],
    names: Sequence[str],
    *,
    se: Real[np.ndarray, " d"] | None = None,
    chosen: Sequence[float] | None = None,
    what: str = "expected information [nats]",
    theme: str = "light",
) -> Figure:
    """Expected information against each of several settings, a panel for each, a disc for each design that was compared, two standard errors.

    Raises ShapeMismatch where lengths differ.

    >>> some = np.random.default_rng(0).uniform(size=(20, 3))
    >>> len(design_slices(some, some.sum(axis=1), ["t[0]", "t[1]", "t[2]"], chosen=[1.0, 1.0, 1.0]).axes)
    3
    """
    settings, value = np.asarray(settings, float), np.asarray(value, float)
    if settings.shape != (len(value), len(names)) or not len(value):
        raise ShapeMismatch(
            f"got settings of shape {settings.shape} and {len(value)} values, expected a row for each value and a column for each of {list(names)}"
        )
    across = min(3, len(names))
    down = -(-len(names) // across)
    with drawing(theme) as colours:
        figure = new_figure(2.5 * across, 2.1 * down + 0.4)
        figure.set_layout_engine("constrained")
        for i, name in enumerate(names):
            axes = figure.add_subplot(down, across, i + 1)
            rule_lines(axes)
            errors = None if se is None else 2 * np.asarray(se, float)
            axes.errorbar(
                settings[:, i], value, yerr=errors, fmt="o", markersize=3, linewidth=0.7, color=colours.posterior
            )
            if chosen is not None:
                axes.axvline(float(chosen[i]), color=colours.reference, linewidth=1.2)
            axes.set_xlabel(text(name))
        figure.supylabel(text(what), fontsize="medium")
    return figure


def setting_columns(designs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Every number of many designs by name, a column each: `times[0]` of a setting that is a vector.

    >>> sorted(setting_columns({"dose": [1.0, 2.0], "times": [[0.0, 1.0], [0.5, 3.0]]}))
    ['dose', 'times[0]', 'times[1]']
    """
    found: dict[str, np.ndarray] = {}
    for name, values in designs.items():
        array = np.atleast_1d(np.asarray(values, float))
        found |= {name: array} if array.ndim == 1 else {f"{name}[{i}]": part for i, part in enumerate(array.T)}
    return found


def designs_compared(
    designs: Mapping[str, Any],
    value: Real[np.ndarray, " d"],
    *,
    lower: Real[np.ndarray, " d"] | None = None,
    upper: Real[np.ndarray, " d"] | None = None,
    se: Real[np.ndarray, " d"] | None = None,
    chosen: Mapping[str, Any] | None = None,
    past: Mapping[str, Any] | None = None,
    **options: Any,
) -> Figure:
    """Expected information at designs, a dict of arrays: the curve along the one number that varies, a map of two, a panel for each of more.

    `chosen` is one design, the best if None, `past` a dict of arrays of those run before, which panels leave out; `options` are those of the
    picture that it becomes. Raises ShapeMismatch where lengths differ.

    >>> figure = designs_compared({"d": np.arange(3.0), "held": np.ones(3)}, np.array([0.1, 0.3, 0.2]))
    >>> figure.axes[0].get_xlabel()
    'd'
    """
    columns, value = setting_columns(designs), np.asarray(value, float)
    best = {name: values[int(np.argmax(value))] for name, values in columns.items()}
    point = (
        best
        if chosen is None
        else {name: one[0] for name, one in setting_columns({k: [v] for k, v in chosen.items()}).items()}
    )
    before = None if past is None else setting_columns(past)
    varying = [name for name, values in columns.items() if np.ptp(values) > 0] or list(columns)[:1]
    at, grid = [float(point[name]) for name in varying], np.stack([columns[name] for name in varying], axis=1)
    if len(varying) > 2:
        return design_slices(grid, value, varying, se=se, chosen=at, **options)
    earlier = None if before is None else np.stack([before[name] for name in varying], axis=1)
    if len(varying) == 2:
        return design_map(grid, value, varying, chosen=at, past=earlier, **options)
    past_at = None if earlier is None else earlier[:, 0]
    return design_curve(
        grid[:, 0], value, varying[0], lower=lower, upper=upper, se=se, chosen=at[0], past=past_at, **options
    )
