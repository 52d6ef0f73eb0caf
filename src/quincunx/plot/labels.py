"""Names, units and tick labels that stay readable whatever a scientist calls a parameter."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Real
from matplotlib.axis import Axis
from matplotlib.mathtext import MathTextParser
from matplotlib.ticker import FuncFormatter, MaxNLocator


def text(raw: str) -> str:
    """A name as Matplotlib should draw it: mathematics between dollars where it parses, else the characters themselves.

    >>> text("$\\\\beta$") == "$\\\\beta$", text("cost [$]"), text("$\\\\nonsense$")
    (True, 'cost [\\\\$]', '\\\\$\\\\nonsense\\\\$')
    """
    if raw.count("$") >= 2:
        try:
            MathTextParser("agg").parse(raw)
        except ValueError:
            return raw.replace("$", r"\$")
        return raw
    return raw.replace("$", r"\$")


def shortened(raw: str, length: int) -> str:
    """The name with its middle left out when it is longer than `length` characters.

    >>> shortened("transmission_rate_of_adults", 15)
    'transmi…_adults'
    """
    if len(raw) <= length or "$" in raw:
        return raw
    head = (length - 1 + 1) // 2
    return raw[:head] + "…" + raw[len(raw) - (length - 1 - head) :]


def with_unit(name: str, unit: str | None = None, exponent: int = 0, length: int = 40) -> str:
    """Axis label: the name, and in brackets the power of ten taken out of the ticks and the unit.

    >>> with_unit("beta", "1/day"), with_unit("rate", None, -4), with_unit("n")
    ('beta [1/day]', 'rate [10$^{-4}$]', 'n')
    """
    parts = []
    if exponent:
        parts.append(f"10$^{{{exponent}}}$")
    if unit:
        parts.append(text(unit))
    label = text(shortened(name, length))
    return f"{label} [{' '.join(parts)}]" if parts else label


def units_of(names: Sequence[str], units: Mapping[str, str] | None) -> list[str | None]:
    """The unit of each flat name; a vector's components ("v[0]") take the vector's unit.

    >>> units_of(["v[0]", "v[1]", "k"], {"v": "m/s"})
    ['m/s', 'm/s', None]
    """
    table = dict(units or {})
    return [table.get(name) or table.get(name.split("[")[0]) or None for name in names]


def exponent_for(low: float, high: float) -> int:
    """Power of ten to take out of the ticks of an axis from `low` to `high`; 0 where plain numbers are short.

    >>> exponent_for(0.0, 2e-5), exponent_for(0.1, 90.0), exponent_for(0.0, 3.2e6)
    (-5, 0, 6)
    """
    largest = max(abs(low), abs(high))
    if largest == 0 or not np.isfinite(largest):
        return 0
    power = int(np.floor(np.log10(largest)))
    return power if power < -2 or power > 3 else 0


def decimals_for(step: float) -> int:
    """Decimals that tell two ticks `step` apart.

    >>> decimals_for(0.25), decimals_for(5.0), decimals_for(0.1)
    (2, 0, 1)
    """
    for decimals in range(12):
        if abs(step * 10**decimals - round(step * 10**decimals)) < 1e-6 * max(1.0, step * 10**decimals):
            return decimals
    return 12


def plain_ticks(axis: Axis, low: float, high: float, count: int = 3) -> int:
    """Set at most `count` + 1 round ticks without an offset; returns the power of ten left for the label."""
    exponent = exponent_for(low, high)
    scale = 10.0**exponent
    locator = MaxNLocator(nbins=count, steps=[1, 2, 2.5, 5, 10], min_n_ticks=2)
    ticks = np.asarray(locator.tick_values(low / scale, high / scale))
    margin = 0.03 * (high - low) / scale
    inside = ticks[(ticks >= low / scale + margin) & (ticks <= high / scale - margin)]
    if inside.size < 2:
        inside = ticks[(ticks >= low / scale) & (ticks <= high / scale)]
    step = float(np.min(np.diff(ticks))) if ticks.size > 1 else 1.0
    decimals = decimals_for(step)
    axis.set_ticks(list(inside * scale))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / scale:.{decimals}f}".replace("-", "−")))
    return exponent


def interval_text(values: Real[np.ndarray, " n"], mass: float = 0.68) -> str:
    """Median and central interval with as many digits as the interval warrants.

    >>> interval_text(np.linspace(1.0, 2.0, 101))
    '1.50 (1.16–1.84)'
    """
    low, middle, high = np.quantile(values, [0.5 - mass / 2, 0.5, 0.5 + mass / 2])
    width = float(high - low)
    if not np.isfinite(width) or width <= 0:
        return f"{middle:.4g}"
    digits = int(np.clip(1 - np.floor(np.log10(width / 2)), 0, 8))
    if digits > 5 or max(abs(low), abs(high)) >= 1e5:
        return f"{middle:.3g} ({low:.3g} to {high:.3g})".replace("-", "−")
    dash = "–" if low >= 0 else " to "
    # Adding zero turns a rounded "-0.00" into "0.00".
    low, middle, high = (round(float(value), digits) + 0.0 for value in (low, middle, high))
    return f"{middle:.{digits}f} ({low:.{digits}f}{dash}{high:.{digits}f})".replace("-", "−")
