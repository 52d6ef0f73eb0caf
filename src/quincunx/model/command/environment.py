"""What a program sees of the environment: a short list of names, and what its declaration sets."""

import os
from collections.abc import Mapping, Sequence

__all__ = ["ALWAYS", "seen"]

ALWAYS = ("PATH", "HOME", "LANG")
"""Names that every program sees."""


def seen(inherit: Sequence[str], own: Mapping[str, str]) -> dict[str, str]:
    """PATH, HOME, LANG and the names in `inherit`, as far as they are set, and then the program's own variables.

    >>> sorted(seen([], {"SIR_beta": "0.5"}).keys() - {"PATH", "HOME", "LANG"})
    ['SIR_beta']
    """
    return {name: os.environ[name] for name in (*ALWAYS, *inherit) if name in os.environ} | dict(own)
