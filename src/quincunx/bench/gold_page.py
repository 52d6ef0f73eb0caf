"""The page of a gold benchmark: learning curves and the table behind them, in one file without a network."""

import html
from collections.abc import Sequence
from pathlib import Path

from quincunx.bench.gold import GoldMeasurement, ordering
from quincunx.lab.report.pictures import embed
from quincunx.lab.report.stylesheet import stylesheet
from quincunx.plot import learning_curves

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def gold_page(found: Sequence[GoldMeasurement], command: str, floor: float | None = None) -> str:
    """HTML with the learning curves, the order of the methods at every budget, and every number; `floor` is drawn as a level.

    >>> one = GoldMeasurement("galton", "alices", 1000, 0, 0.1, 0.1, 1.0)
    >>> "ALICES" in gold_page([one], "quincunx bench gold")
    True
    """
    budgets = sorted({one.budget for one in found})
    methods = list(dict.fromkeys(one.method for one in found))
    spent = {m: sorted({float(one.budget) for one in found if one.method == m}) for m in methods}
    errors = {m: [[o.error for o in found if (o.method, o.budget) == (m, b)] for b in spent[m]] for m in methods}
    figure = learning_curves(
        spent,
        errors,
        emphasis=[m for m in ("alices", "sally", "alice", "carl") if m in methods],
        y_label="mean squared error of log r",
        levels={} if floor is None else {"exact score": floor},
    )
    below = (
        ""
        if floor is None
        else f" Dashed: {floor:.3g}, the error of the exact ratio of the exact score at the reference."
    )
    picture = embed(figure, alt="Error of the log-likelihood ratio against the number of simulations.", prefix="curves")
    orders = "".join(
        f"<li>{budget:,}: {', '.join(f'{m.upper()} {value:.2g}' for m, value in ordering(found, budget))}</li>"
        for budget in budgets
    )
    rows = "".join(
        f"<tr><td>{html.escape(o.method.upper())}</td><td class='number'>{o.budget:,}</td><td class='number'>{o.seed}</td>"
        f"<td class='number'>{o.error:.3g}</td><td class='number'>{o.trimmed:.3g}</td><td class='number'>{o.cpu_seconds:.1f}</td></tr>"
        for o in found
    )
    head = "".join(f"<th>{name}</th>" for name in ("method", "simulations", "seed", "error", "trimmed", "CPU s"))
    title = f"Gold on {found[0].problem}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<title>{html.escape(title)}</title><style>{stylesheet()}</style></head><body><header><h1>{html.escape(title)}</h1>"
        '<p class="question">How many simulations does each method need for an exact log-likelihood ratio?</p></header><main>'
        "<h2>Learning curves</h2><figure>"
        f"{picture}<figcaption>Mean squared error of log r against the exact one, over outcomes of the reference and parameters of the "
        f"prior; lines through the geometric mean over seeds.{below}</figcaption></figure>"
        f"<h2>Order</h2><p>From the smallest error up, at each number of simulations:</p><ul>{orders}</ul>"
        f'<h2>Numbers</h2><div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        f"<h2>Reproduce</h2><pre>{html.escape(command)}</pre></main></body></html>\n"
    )


def write_gold_page(path: Path, found: Sequence[GoldMeasurement], command: str, floor: float | None = None) -> Path:
    """Write the page to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(gold_page(found, command, floor), encoding="utf-8")
    return path
