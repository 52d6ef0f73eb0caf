"""The sections of a report: each a pure function from content to markup, empty where there is nothing to say."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from quincunx.lab.report.content import CheckRow, ParameterRow, ReportContent
from quincunx.lab.report.numbers import p_value, plain, rounded
from quincunx.lab.report.pictures import embed

_LONGEST_TABLE = 31
_WORDS = {"pass": "pass", "warn": "warn", "fail": "fail", "not checked": "not checked"}


def warnings(content: ReportContent) -> str:
    """What to know before believing anything below; said even when there is nothing."""
    failed = [row for row in content.checks if row.status == "fail"]
    said = [f"<li>{escape(warning)}</li>" for warning in content.warnings]
    said += [
        f"<li>Check failed: {escape(row.name)}{escape(': ' + row.effect if row.effect else '')}</li>" for row in failed
    ]
    if said:
        tone = "fail" if failed else "warn"
        return f'<section class="warnings {tone}" id="warnings"><h2>Warnings</h2><ul>{"".join(said)}</ul></section>'
    if content.checks:
        return '<section class="warnings clear" id="warnings"><h2>Warnings</h2><p>None.</p></section>'
    sentence = "None was raised, but nothing has been checked either: the posterior below may be wrong."
    return f'<section class="warnings warn" id="warnings"><h2>Warnings</h2><p>{sentence}</p></section>'


def verdict(content: ReportContent) -> str:
    """The one line that says whether the checks went well."""
    status = content.status
    chip = f'<span class="chip {"unchecked" if status == "not checked" else status}">{_WORDS[status]}</span>'
    count = len(content.checks)
    if not count:
        return f'<p class="verdict">{chip}<span>No checks were run.</span></p>'
    parts = [(sum(row.status == name for row in content.checks), word) for name, word in _STATUS_WORDS]
    said = ", ".join(f"{number} {word}" for number, word in parts if number)
    word = "check" if count == 1 else "checks"
    return f'<p class="verdict">{chip}<span>{count} {word}: {said}.</span></p>'


_STATUS_WORDS = (("fail", "failed"), ("warn", "warned"), ("pass", "passed"))


def data(content: ReportContent) -> str:
    """What was observed, under which settings."""
    parts = []
    if content.data_note:
        parts.append(f"<p>{escape(content.data_note)}</p>")
    columns = {name: np.atleast_1d(np.asarray(values)) for name, values in content.data.items()}
    if columns:
        parts.append(_columns(columns))
    if content.design:
        parts.append("<h3>Settings of the experiment</h3>" + facts(content.design))
    return _section("data", "Data", [*parts, pictures(content, "data")])


def _columns(columns: Mapping[str, np.ndarray]) -> str:
    lengths = {values.size for values in columns.values()}
    flat = all(values.ndim == 1 for values in columns.values())
    if flat and len(lengths) == 1 and max(lengths) <= _LONGEST_TABLE:
        rows = [
            f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(_entry(v))}</td>" for v in values)}</tr>'
            for name, values in columns.items()
        ]
        return _table("", rows, "Observed data")
    head = _head("observed", "shape", "smallest", "median", "largest")
    rows = []
    for name, values in columns.items():
        shape = " × ".join(map(str, values.shape))
        middle = [escape(plain(float(f(values)))) for f in (np.min, np.median, np.max)]
        rows.append(
            f'<tr><th scope="row">{escape(name)}</th><td>{shape}</td>{"".join(f"<td>{m}</td>" for m in middle)}</tr>'
        )
    return _table(head, rows, "Observed data in brief")


def _entry(value: Any) -> str:
    number = np.asarray(value)
    if np.issubdtype(number.dtype, np.floating) and float(number).is_integer() and abs(float(number)) < 1e6:
        return plain(int(number))
    return plain(number.item())


def posterior(content: ReportContent) -> str:
    """The table of parameters, what is derived from them, and the corner plot."""
    parts = []
    if content.posterior_note:
        parts.append(f"<p>{escape(content.posterior_note)}</p>")
    if content.posterior:
        parts.append(_parameters(content.posterior, "Posterior"))
    if content.derived:
        parts.append("<h3>Derived quantities</h3>" + _parameters(content.derived, "Derived quantities"))
    if content.posterior or content.derived:
        parts.append('<p class="note">Intervals are the shortest that hold the stated mass.</p>')
    return _section("posterior", "Posterior", [*parts, pictures(content, "posterior")])


def _parameters(rows: Sequence[ParameterRow], label: str) -> str:
    units = any(row.unit for row in rows)
    ess = any(np.isfinite(row.ess) for row in rows)
    r_hat = any(np.isfinite(row.r_hat) for row in rows)
    head = _head(
        "", *(["unit"] if units else []), "mean", "sd", "68 % interval", "95 % interval",
        *(["ESS"] if ess else []), *(["R-hat"] if r_hat else []),
    )  # fmt: skip
    body = []
    for row in rows:
        cells = [
            rounded(row.mean, row.resolution),
            rounded(row.sd, row.resolution),
            _interval(row.hdi68, row.resolution),
            _interval(row.hdi95, row.resolution),
        ]
        if ess:
            cells.append(plain(round(row.ess)) if np.isfinite(row.ess) else "–")
        if r_hat:
            cells.append(f"{row.r_hat:.3f}" if np.isfinite(row.r_hat) else "–")
        unit = f'<td class="text">{escape(row.unit)}</td>' if units else ""
        body.append(
            f'<tr><th scope="row">{escape(row.name)}</th>{unit}{"".join(f"<td>{escape(c)}</td>" for c in cells)}</tr>'
        )
    return _table(head, body, label)


def _interval(pair: tuple[float, float], spread: float) -> str:
    return f"{rounded(pair[0], spread)} to {rounded(pair[1], spread)}"


def comparison(content: ReportContent) -> str:
    """The posterior beside one computed in another way."""
    parts = []
    if content.comparison_note:
        parts.append(f"<p>{escape(content.comparison_note)}</p>")
    if content.comparison:
        head = _head("", "posterior", content.comparison_name, "shift [reference sd]", "sd / reference sd")
        rows = [
            f'<tr><th scope="row">{escape(row.name)}</th>'
            f"<td>{rounded(row.mean, row.sd)} ± {rounded(row.sd, row.sd)}</td>"
            f"<td>{rounded(row.reference_mean, row.reference_sd)} ± {rounded(row.reference_sd, row.reference_sd)}</td>"
            f"<td>{_signed(row.shift)}</td><td>{row.ratio:.2f}</td></tr>"
            for row in content.comparison
        ]
        parts.append(_table(head, rows, "Comparison with a reference posterior"))
    title = f"Compared with {content.comparison_name}"
    return _section("comparison", title, [*parts, pictures(content, "comparison")])


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", "−") if np.isfinite(value) else "–"


def predictive(content: ReportContent) -> str:
    """Does the fitted model give data like those observed?"""
    return _section("predictive", "Does it reproduce the data?", [pictures(content, "predictive")])


def checks(content: ReportContent) -> str:
    """Every check with its verdict, the worst first."""
    parts = []
    if content.checks:
        order = {"fail": 0, "warn": 1, "pass": 2}
        ordered = sorted(content.checks, key=lambda row: order[row.status])
        corrected = any(np.isfinite(row.adjusted) for row in ordered)
        head = _head(
            "check", "verdict", "statistic", "p", *(["p corrected"] if corrected else []), "size of the effect"
        )
        parts.append(_table(head, [_check(row, corrected) for row in ordered], "Checks", kind="checks"))
    if content.checks_note:
        parts.append(f'<p class="note">{escape(content.checks_note)}</p>')
    return _section("checks", "Is the answer right?", [*parts, pictures(content, "checks")])


def _check(row: CheckRow, corrected: bool) -> str:
    question = f'<br><span class="note">{escape(row.question)}</span>' if row.question else ""
    adjusted = f'<td data-label="p corrected">{escape(p_value(row.adjusted))}</td>' if corrected else ""
    return (
        f'<tr><th scope="row" class="asked">{escape(row.name)}{question}</th>'
        f'<td class="text"><span class="chip {row.status}">{_WORDS[row.status]}</span></td>'
        f'<td data-label="statistic">{escape(plain(row.statistic, 3))}</td>'
        f'<td data-label="p">{escape(p_value(row.p_value))}</td>{adjusted}'
        f'<td class="text wrap" data-label="effect">{escape(row.effect)}</td></tr>'
    )


def simulations(content: ReportContent) -> str:
    """How many simulations there were, and where they failed."""
    parts = [facts(content.simulations)] if content.simulations else []
    return _section("simulations", "Simulations", [*parts, pictures(content, "simulations")])


def training(content: ReportContent) -> str:
    """What was fitted, and how the loss went."""
    parts = [facts(content.training)] if content.training else []
    return _section("training", "Training", [*parts, pictures(content, "training")])


def provenance(content: ReportContent) -> str:
    """Where the report comes from: versions, seed, hashes, times."""
    return _section("provenance", "Provenance", [facts(content.provenance)] if content.provenance else [])


def reproduce(content: ReportContent) -> str:
    """The command that makes the report again."""
    parts = [f'<pre tabindex="0"><code>{escape(content.command)}</code></pre>'] if content.command else []
    return _section("reproduce", "To reproduce this report", parts)


def pictures(content: ReportContent, section: str) -> str:
    """The pictures of one section, each with its caption."""
    markup = []
    for number, (title, picture) in enumerate(content.pictures.items(), start=1):
        if picture.section == section:
            drawn = embed(picture.figure, alt=picture.alt, prefix=f"f{number}")
            markup.append(
                f'<figure><div class="scroll" tabindex="0" role="group" aria-label="{escape(title)}">{drawn}</div>'
                f"<figcaption><strong>{escape(title)}.</strong> {escape(picture.caption)}</figcaption></figure>"
            )
    return "".join(markup)


def facts(values: Mapping[str, Any]) -> str:
    """Names with values, one a row; a value that has names itself becomes one line of them.

    >>> facts({"seed": 3, "versions": {"jax": "0.10"}}).count("<tr>")
    2
    """
    rows = [f'<tr><th scope="row">{escape(name)}</th><td>{_value(value)}</td></tr>' for name, value in values.items()]
    return f'<div class="scroll" tabindex="0"><table class="facts"><tbody>{"".join(rows)}</tbody></table></div>'


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = [
            f'<span class="pair"><span class="note">{escape(str(name))}</span> {_value(inner)}</span>'
            for name, inner in value.items()
        ]
        return " ".join(pairs)
    if isinstance(value, (list, tuple)):
        return ", ".join(_value(inner) for inner in value)
    if isinstance(value, np.ndarray):
        return _value(value.tolist())
    return escape(plain(value))


def _head(*names: str) -> str:
    cells = "".join(f'<th scope="col"{_text_class(name)}>{escape(name)}</th>' for name in names)
    return f"<thead><tr>{cells}</tr></thead>"


def _text_class(name: str) -> str:
    return ' class="text"' if name in ("unit", "verdict", "size of the effect") else ""


def _table(head: str, rows: Iterable[str], label: str, kind: str = "numbers") -> str:
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="{escape(label)}">'
        f'<table class="{kind}">{head}<tbody>{"".join(rows)}</tbody></table></div>'
    )


def _section(name: str, title: str, parts: Sequence[str]) -> str:
    body = "".join(parts)
    return f'<section id="{name}"><h2>{escape(title)}</h2>{body}</section>' if body else ""
