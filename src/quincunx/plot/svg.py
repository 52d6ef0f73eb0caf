"""A figure drawn in the light theme as SVG whose colours follow the reader's screen, light or dark."""

import hashlib
import html
import io
import os
import re
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from quincunx.palette import THEMES, colour_rules
from quincunx.plot.thinning import thin_path


def inline_svg(figure: Figure, *, alt: str, prefix: str | None = None) -> str:
    """SVG to stand inside an HTML page that defines the `colour_rules`; `prefix` keeps its identifiers its own (by default one made of `alt`).

    Each colour of the light theme becomes a variable named by its meaning. It names no address and needs no font.

    >>> markup = inline_svg(Figure(figsize=(1.0, 1.0)), alt='a "b"', prefix="p1")
    >>> markup.startswith('<svg role="img" aria-label="a &quot;b&quot;"'), "http" in markup
    (True, False)
    """
    width, height, body = _body(figure, prefix or "q" + hashlib.sha256(alt.encode()).hexdigest()[:5])
    return (
        f'<svg role="img" aria-label="{html.escape(alt)}" viewBox="0 0 {width:g} {height:g}" '
        f'style="--natural: {width * 4 / 3:.0f}px; stroke-linejoin: round; stroke-linecap: butt">{body}'
    )


def save_svg(figure: Figure, path: str | os.PathLike[str], *, alt: str) -> Path:
    """Write a figure drawn in the light theme to an SVG file that turns dark on dark screens.

    >>> import tempfile
    >>> path = save_svg(Figure(figsize=(1.0, 1.0)), Path(tempfile.mkdtemp()) / "figure.svg", alt="Nothing.")
    >>> "prefers-color-scheme: dark" in path.read_text()
    True
    """
    target = Path(path)
    target.write_text(svg_text(figure, alt=alt), encoding="utf-8")
    return target


def svg_text(figure: Figure, *, alt: str) -> str:
    """A figure drawn in the light theme as a whole SVG document that turns dark on dark screens.

    >>> svg_text(Figure(figsize=(1.0, 1.0)), alt="a < b").count("<title>a &lt; b</title>")
    1
    """
    width, height, body = _body(figure, "figure")
    title = html.escape(alt)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width * 4 / 3:.0f}" height="{height * 4 / 3:.0f}" style="stroke-linejoin: round; stroke-linecap: butt"><title>{title}</title>'
        f"<style>{colour_rules()}</style>{body}\n"
    )


def _body(figure: Figure, prefix: str) -> tuple[float, float, str]:
    """Width and height in points, and everything after the opening tag."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": prefix, "svg.image_inline": True}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None})
    text = buffer.getvalue()
    opening = re.search(r'<svg[^>]*viewBox="0 0 ([\d.]+) ([\d.]+)"[^>]*>', text)
    if opening is None:
        raise ValueError("got an SVG without a view box; expected Matplotlib's; use its own SVG canvas")
    text = text[opening.end() :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    # Links inside one document need no second namespace.
    text = text.replace("xlink:href", "href")
    text = re.sub(r'\sid="([^"]+)"', rf' id="{prefix}-\1"', text)
    text = re.sub(r'\shref="#([^"]+)"', rf' href="#{prefix}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
    text = re.sub(r'\sd="([^"]*)"', lambda found: f' d="{thin_path(found.group(1))}"', text)
    # The rule of Matplotlib's own style sheet would hold for the whole page; unused names and blanks are only bytes.
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, count=1, flags=re.DOTALL)
    used = set(re.findall(r"#([\w.-]+)", text))
    text = re.sub(r'\sid="([^"]+)"', lambda found: found.group(0) if found.group(1) in used else "", text)
    text = re.sub(r'\s(x|y)="(-?\d+\.\d{3,})"', lambda found: f' {found.group(1)}="{float(found.group(2)):.2f}"', text)
    text = re.sub(r"translate\((-?[\d.]+) (-?[\d.]+)\)", _moved, text)
    text = text.replace(f"{prefix}-DejaVuSans-", f"{prefix}-")
    text = re.sub(r">\s+<", "><", text)
    for meaning, colour in THEMES["light"].colours().items():
        text = re.sub(rf"(fill|stroke): {colour}\b", rf"\1: var(--{meaning})", text, flags=re.IGNORECASE)
    return float(opening.group(1)), float(opening.group(2)), text.strip()


def _moved(found: re.Match[str]) -> str:
    x, y = (f"{float(part):.1f}".removesuffix(".0") for part in found.groups())
    return f"translate({x} {y})"
