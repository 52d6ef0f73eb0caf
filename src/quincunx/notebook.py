"""How a value shows itself in a notebook: static HTML that needs no script and no network, and follows dark screens.

Every `_repr_html_` of the package is made here. Whatever the caller hands over is escaped; what would make a page longer than `LIMIT` is left out, and said.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from quincunx.palette import colour_rules

__all__ = ["LIMIT", "card", "fields_text", "from_fields", "from_repr", "short"]

LIMIT = 49_000
"""Bytes that one value may take on a page."""

_CELL = 400
_ROWS = 200

_STYLE = (
    colour_rules(".qx-card")
    + ".qx-card{background:var(--surface);color:var(--ink);border:1px solid var(--grid);border-radius:6px;padding:.6rem .9rem;"
    "max-width:60rem;overflow-x:auto;font:14px/1.5 system-ui,sans-serif}"
    ".qx-card .qx-title{margin:0 0 .35rem;font-weight:600;overflow-wrap:anywhere}"
    ".qx-card p{margin:.3rem 0}"
    ".qx-card .qx-warn{border-left:3px solid var(--reference);padding-left:.6rem}"
    ".qx-card table{border-collapse:collapse;margin:.4rem 0;color:inherit;background:none;font-variant-numeric:tabular-nums}"
    ".qx-card caption{text-align:left;color:var(--muted);font-size:.9em}"
    ".qx-card tr,.qx-card tr:nth-child(even),.qx-card tr:hover{background:none}"
    ".qx-card th,.qx-card td{border:0;border-bottom:1px solid var(--grid);padding:.2rem .9rem .2rem 0;text-align:right;vertical-align:top;"
    "color:inherit}"
    ".qx-card th:first-child,.qx-card td.qx-text,.qx-card th.qx-text{text-align:left}"
    ".qx-card thead th,.qx-card th.qx-fact{color:var(--muted);font-weight:400}"
    ".qx-card td.qx-text{overflow-wrap:anywhere}"
    ".qx-card pre{margin:.3rem 0;color:inherit;background:none;font:12.5px/1.45 ui-monospace,monospace;white-space:pre}"
    ".qx-card svg{display:block;width:min(100%,var(--natural));height:auto;margin-top:.4rem}"
)


def card(
    title: str,
    *,
    facts: Iterable[tuple[str, Any]] = (),
    head: Sequence[str] = (),
    body: Sequence[Sequence[Any]] = (),
    caption: str = "",
    lines: Sequence[str] = (),
    warnings: Iterable[str] = (),
    picture: str | Callable[[], str] = "",
) -> str:
    """One value as HTML of at most `LIMIT` bytes: a title, what to be warned of, facts by name, a table, lines as they are, and a picture.

    `head` and `body` are the table, whose first column names its rows; `picture` is inline SVG (see `plot.inline_svg`), or a function that
    draws it. A picture that does not fit is left out, then rows and lines are.

    >>> page = card("a <b>", facts=[("n", 3)], head=["", "mean"], body=[["mu", "0.5"]])
    >>> "a &lt;b&gt;" in page, '<th scope="row">mu</th>' in page, "<script" in page
    (True, True, False)
    """
    facts, warnings = list(facts), list(warnings)
    drawn = picture() if callable(picture) else picture
    keep = _ROWS
    while True:
        page = _page(title, facts[:keep], head, body, caption, lines, warnings[:keep], drawn, keep)
        if len(page.encode()) <= LIMIT:
            return page
        drawn, keep = ("", keep) if drawn else ("", keep // 2)


def from_repr(value: Any) -> str:
    """A value whose `__repr__` says all there is to say: its first line as the title, the rest as it stands.

    >>> class Box:
    ...     def __repr__(self): return "Box of <two>\\n  a  1\\n  b  2"
    >>> "Box of &lt;two&gt;" in from_repr(Box())
    True
    """
    title, *rest = repr(value).splitlines()
    warned = [line.strip() for line in rest if line.strip().startswith(_WARNED)]
    return card(title, lines=[line for line in rest if not line.strip().startswith(_WARNED)], warnings=warned)


def from_fields(value: Any) -> str:
    """A dataclass or module by its fields: one row for each, arrays by their type and shape.

    >>> @dataclasses.dataclass
    ... class Box:
    ...     side: float
    ...     rows: np.ndarray
    >>> ">float64 (3, 4)<" in from_fields(Box(2.0, np.zeros((3, 4))))
    True
    """
    return card(type(value).__name__, facts=_fields(value))


def fields_text(value: Any) -> str:
    """The same as text, for a `__repr__` that names fields and shows no long array.

    >>> @dataclasses.dataclass
    ... class Box:
    ...     side: float
    ...     rows: np.ndarray
    >>> fields_text(Box(2.0, np.zeros((3, 4))))
    'Box(side=2, rows=float64 (3, 4))'
    """
    said = ", ".join(f"{name}={text}" for name, text in _fields(value))
    return f"{type(value).__name__}({said})"


def short(value: Any) -> str:
    """Any value in at most some hundred characters: small arrays by their numbers, others by type and shape, functions by name.

    >>> short(np.array([1.0, 2.5])), short(np.zeros((9, 2))), short({"a": 1}), short(len)
    ('[1, 2.5]', 'float64 (9, 2)', 'a: 1', 'len')
    """
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return _array(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return _clip(", ".join(f"{name}: {short(part)}" for name, part in value.items()) or "none")
    if isinstance(value, (tuple, list)):
        return _clip(", ".join(part if isinstance(part, str) else short(part) for part in value[:12]) or "none")
    if callable(value) and not isinstance(value, type) and hasattr(value, "__name__"):
        return str(value.__name__)
    return _clip((repr(value).splitlines() or [""])[0])


_WARNED = ("warning:", "!", "note:")


def _fields(value: Any) -> list[tuple[str, str]]:
    return [(one.name, short(getattr(value, one.name))) for one in dataclasses.fields(value) if one.repr]


def _array(value: Any) -> str:
    try:
        if np.size(value) > 6 or not np.issubdtype(value.dtype, np.number):
            return f"{value.dtype} {tuple(value.shape)}"
        return _numbers(np.asarray(value).tolist())
    except (TypeError, ValueError, RuntimeError):
        # A traced or abstract array has a type and a shape but no numbers.
        return f"{value.dtype} {tuple(value.shape)}"


def _numbers(value: Any) -> str:
    return f"[{', '.join(map(_numbers, value))}]" if isinstance(value, list) else f"{value:.4g}"


def _clip(text: str, most: int = 160) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _page(
    title: str,
    facts: Sequence[tuple[str, Any]],
    head: Sequence[str],
    body: Sequence[Sequence[Any]],
    caption: str,
    lines: Sequence[str],
    warnings: Sequence[str],
    picture: str,
    keep: int,
) -> str:
    warned = "".join(f'<p class="qx-warn">{_cell(said)}</p>' for said in warnings)
    known = "".join(
        f'<tr><th scope="row" class="qx-fact">{_cell(name)}</th><td class="qx-text">{_cell(said)}</td></tr>'
        for name, said in facts
    )
    table = _table(head, body[:keep], caption) if body else ""
    left = max(len(body), len(lines)) - keep
    more = f"<p>and {left} more</p>" if left > 0 else ""
    text = "\n".join(_cell(line) for line in lines[:keep])
    return (
        f'<div class="qx-card"><style>{_STYLE}</style><p class="qx-title">{_cell(title)}</p>{warned}'
        f"{f'<table><tbody>{known}</tbody></table>' if known else ''}{table}{f'<pre>{text}</pre>' if text else ''}{more}{picture}</div>"
    )


def _table(head: Sequence[str], body: Sequence[Sequence[Any]], caption: str) -> str:
    # A column of words is read from the left, a column of numbers from the right.
    words = [any(isinstance(row[i], str) and not _is_number(row[i]) for row in body) for i in range(len(head))]
    classes = [' class="qx-text"' if word and i else "" for i, word in enumerate(words)]
    top = "".join(f'<th scope="col"{style}>{_cell(name)}</th>' for name, style in zip(head, classes, strict=True))
    rows = "".join(
        f'<tr><th scope="row">{_cell(row[0])}</th>'
        + "".join(f"<td{style}>{_cell(cell)}</td>" for cell, style in zip(row[1:], classes[1:], strict=True))
        + "</tr>"
        for row in body
    )
    said = f"<caption>{_cell(caption)}</caption>" if caption else ""
    return f"<table>{said}<thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table>"


def _is_number(text: str) -> bool:
    try:
        float(text.replace("%", "").strip() or "0")
    except ValueError:
        return text.strip() == "-"
    return True


def _cell(text: Any) -> str:
    return escape(_clip(str(text), _CELL))
