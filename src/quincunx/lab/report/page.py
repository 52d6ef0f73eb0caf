"""The page: one HTML file that needs no network, no JavaScript and no other file."""

import os
import tempfile
from html import escape
from pathlib import Path

from quincunx.lab.report import sections
from quincunx.lab.report.content import ReportContent
from quincunx.lab.report.stylesheet import stylesheet

# A page may load nothing at all from anywhere, whatever a name or a note may hold.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"

_BODY = (
    ("data", "Data", sections.data),
    ("posterior", "Posterior", sections.posterior),
    ("comparison", "Comparison", sections.comparison),
    ("predictive", "Predictive check", sections.predictive),
    ("checks", "Checks", sections.checks),
    ("simulations", "Simulations", sections.simulations),
    ("training", "Training", sections.training),
    ("provenance", "Provenance", sections.provenance),
    ("reproduce", "Reproduce", sections.reproduce),
)


def render_report(content: ReportContent) -> str:
    """The report as one HTML document: warnings first, provenance and the command that reproduces it last.

    >>> page = render_report(ReportContent(title="a <b>", command="quincunx demo decay"))
    >>> "a &lt;b&gt;" in page, page.index("Warnings") < page.index("quincunx demo decay")
    (True, True)
    """
    drawn = [(name, short, draw(content)) for name, short, draw in _BODY]
    links = " ".join(f'<a href="#{name}">{short}</a>' for name, short, markup in drawn if markup)
    question = f'<p class="question">{escape(content.question)}</p>' if content.question else ""
    summary = f"<p>{escape(content.summary)}</p>" if content.summary else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(content.title)}</title>\n<style>\n{stylesheet()}</style>\n</head>\n<body>\n"
        f"<header><h1>{escape(content.title)}</h1>{question}{sections.verdict(content)}"
        f"{sections.warnings(content)}{summary}"
        f'<nav aria-label="Sections">{links}</nav></header>\n'
        f"<main>\n{''.join(markup for _, _, markup in drawn)}\n</main>\n</body>\n</html>\n"
    )


def write_report(path: str | os.PathLike[str], content: ReportContent) -> Path:
    """Write the report to one file, whole or not at all; returns its path.

    >>> folder = tempfile.mkdtemp()
    >>> write_report(Path(folder) / "report.html", ReportContent(title="Decay")).name
    'report.html'
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    page = render_report(content)
    descriptor, unfinished = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(page)
        # A temporary file is private to its owner; a report is to be read.
        os.chmod(unfinished, 0o644)
        os.replace(unfinished, target)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise
    return target
