"""Lengths of time as people and batch systems write them."""

import re

from quincunx.errors import UsageError

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_PARTS = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")


def seconds_of(text: str) -> int:
    """Seconds in a length of time.

    Raises:
        UsageError: for another form.

    >>> seconds_of("3h50m"), seconds_of("90"), seconds_of("1d2h")
    (13800, 90, 93600)
    """
    match = _PARTS.fullmatch(text)
    if match is None or not any(match.groups()):
        raise UsageError(f"got the time '{text}'; expected one as 3h50m, 1d, or a number of seconds; write it so")
    return sum(int(part) * unit for part, unit in zip(match.groups("0"), _UNITS.values()))
