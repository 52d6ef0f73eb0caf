"""Templates with placeholders in braces: strict, and with numbers written so that nothing of them is lost."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from quincunx.errors import ShapeMismatch, UnknownPlaceholder
from quincunx.model.prior import columns_of

__all__ = ["check_placeholders", "columns", "placeholders", "plain", "render", "say"]

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def render(template: str, values: Mapping[str, str], where: str) -> str:
    """The template with every `{name}` replaced; doubled braces stand for single ones.

    Raises:
        UnknownPlaceholder: for a name that is not among `values`, or a lone brace, naming `where` it stands.

    >>> render("beta={beta} {{kept}}", {"beta": "0.1"}, "argv")
    'beta=0.1 {kept}'
    """

    def replace(match: re.Match[str]) -> str:
        whole, name = match[0], match[1]
        if name is None:
            return whole[0]
        return values[name]

    check_placeholders(template, values, where)
    return _PART.sub(replace, template)


def placeholders(template: str, where: str) -> tuple[str, ...]:
    """The names of all placeholders of a template, in order.

    Raises:
        UnknownPlaceholder: for a brace without its partner.

    >>> placeholders("{beta} {{x}} {seed}", "argv")
    ('beta', 'seed')
    """
    found = []
    for match in _PART.finditer(template):
        if match[0] in "{}":
            line = template.count("\n", 0, match.start()) + 1
            raise UnknownPlaceholder(
                f"got a lone '{match[0]}' in {where}, line {line}; expected placeholders such as {{beta}}; double the "
                "braces that are meant as they are: {{ and }}"
            )
        if match[1] is not None:
            found.append(match[1])
    return tuple(found)


def check_placeholders(template: str, known: Iterable[str], where: str, *, free: str | None = None) -> None:
    """Refuse a template that asks for what there is not; names that start with `free` are not known yet, and pass.

    Raises:
        UnknownPlaceholder: listing what there is.

    >>> check_placeholders("{beta}", ["beta"], "argv")
    """
    have = list(known)
    for name in placeholders(template, where):
        if name not in have and not (free is not None and name.startswith(free)):
            listed = ", ".join(f"{{{known_name}}}" for known_name in have)
            raise UnknownPlaceholder(
                f"got the placeholder {{{name}}} in {where}; expected one of {listed}; use one of these, or double "
                "the braces if they are meant as they are"
            )


def say(value: Any, name: str) -> str:
    """One number as text that reads back as the same number: `repr` of the double, whatever the locale.

    Raises:
        ShapeMismatch: for NaN and infinity, which few programs read, and for what is not a number.

    >>> say(np.float32(0.1), "beta"), say(3, "n"), say(1e-30, "p")
    ('0.10000000149011612', '3', '1e-30')
    """
    return repr(plain(value, name))


def plain(value: Any, name: str) -> Any:
    """A number or an array of numbers as plain Python numbers, in lists where it has axes.

    Raises:
        ShapeMismatch: for NaN and infinity, and for what is not a number.

    >>> plain(np.array([1.5, 2.0]), "v"), plain(np.int32(3), "n")
    ([1.5, 2.0], 3)
    """
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise ShapeMismatch(
            f"got {name} of dtype {array.dtype}; expected numbers; encode choices as numbers before they are rendered"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = next(number for number in array.ravel().tolist() if not math.isfinite(number))
        raise ShapeMismatch(
            f"got {name} = {bad}; expected finite numbers; a program is never handed NaN or infinity: look at the prior"
        )
    return (array.astype(int) if array.dtype.kind == "b" else array).tolist()


def columns(named: Mapping[str, Any]) -> dict[str, str]:
    """Every number of some named arrays as text, by column: `a`, `v[0]`, `m[0,1]`.

    >>> columns({"a": 1.5, "v": np.array([1, 2])})
    {'a': '1.5', 'v[0]': '1', 'v[1]': '2'}
    """
    table = {}
    for name, value in named.items():
        array = np.asarray(value)
        table.update({c: say(v, c) for c, v in zip(columns_of(name, array.shape), array.ravel())})
    return table
