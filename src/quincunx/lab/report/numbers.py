"""Numbers as people read them."""

from typing import Any

import numpy as np


def rounded(value: float, spread: float) -> str:
    """A value with as many decimals as give its spread two significant digits.

    >>> rounded(1.73456, 0.0512), rounded(12345.6, 230.0), rounded(1.5e-7, 2e-9), rounded(float("nan"), 1.0)
    ('1.735', '12350', '1.500e−07', '–')
    """
    if not np.isfinite(value):
        return "–"
    if not np.isfinite(spread) or spread <= 0:
        return plain(value)
    decimals = int(1 - np.floor(np.log10(spread)))
    if decimals > 6 or abs(value) >= 1e7:
        digits = int(np.clip(np.floor(np.log10(max(abs(value), spread))) + decimals, 1, 8))
        return f"{value:.{digits}e}".replace("-", "−")
    return f"{round(value, decimals) + 0.0:.{max(decimals, 0)}f}".replace("-", "−")


def plain(value: Any, digits: int = 4) -> str:
    """Any scalar as text: integers in full with thin spaces, other numbers to `digits` significant digits.

    >>> plain(10000), plain(0.123456), plain(float("nan")), plain("x"), plain(True), plain(-2.5)
    ('10\u202f000', '0.1235', '–', 'x', 'yes', '−2.5')
    """
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return f"{int(value):,}".replace(",", "\u202f").replace("-", "−")
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.{digits}g}".replace("-", "−") if np.isfinite(value) else "–"
    return str(value)


def p_value(value: float) -> str:
    """A p-value: two digits, or an upper bound.

    >>> p_value(0.1234), p_value(3e-9), p_value(float("nan"))
    ('0.12', '< 0.0001', '–')
    """
    if not np.isfinite(value):
        return "–"
    return "< 0.0001" if value < 1e-4 else f"{value:.2g}"
