"""A Matplotlib figure as markup that stands inside the page: SVG that follows the page's colours, or PNG when that would be large."""

import base64
import html
import io
import re

import matplotlib
from matplotlib.figure import Figure

from quincunx.lab.report.thinning import thin_path
from quincunx.plot.style import THEMES

LARGEST_SVG = 300_000
"""Characters of SVG above which a picture is embedded as PNG, if that is smaller."""


def embed(figure: Figure, *, alt: str, prefix: str, largest_svg: int = LARGEST_SVG) -> str:
    """Markup of a figure drawn in the light theme; `prefix` keeps its identifiers apart from those of other figures on the page.

    >>> from matplotlib.figure import Figure
    >>> markup = embed(Figure(figsize=(1, 1)), alt='a "b"', prefix="p1")
    >>> markup.startswith('<svg role="img" aria-label="a &quot;b&quot;"'), "http" in markup
    (True, False)
    """
    svg = _svg(figure, alt=alt, prefix=prefix)
    if len(svg) <= largest_svg:
        return svg
    return min(_png(figure, alt=alt), svg, key=len)


def _svg(figure: Figure, *, alt: str, prefix: str) -> str:
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": prefix, "svg.image_inline": True}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    # An SVG element inside HTML needs no namespaces, and so the page names no address at all.
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text).replace("xlink:href", "href")
    text = re.sub(r'\sid="([^"]+)"', rf' id="{prefix}-\1"', text)
    text = re.sub(r'\shref="#([^"]+)"', rf' href="#{prefix}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
    text = re.sub(r'\sd="([^"]*)"', lambda found: f' d="{thin_path(found.group(1))}"', text)
    text = _themed(text)
    width = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)
    if width is None:
        raise ValueError("got an SVG without a view box, expected Matplotlib's; use its own SVG canvas")
    inner = text[text.index(">") + 1 :]
    opening = (
        f'<svg role="img" aria-label="{html.escape(alt)}" viewBox="0 0 {width.group(1)} {width.group(2)}" '
        f'style="--natural: {float(width.group(1)) * 4 / 3:.0f}px">'
    )
    return opening + inner.strip()


def _themed(svg: str) -> str:
    """Put a variable of the page in the place of each colour of the light theme."""
    for meaning, colour in THEMES["light"].colours().items():
        svg = re.sub(rf"(fill|stroke): {colour}\b", rf"\1: var(--{meaning})", svg, flags=re.IGNORECASE)
    return svg


def _png(figure: Figure, *, alt: str) -> str:
    buffer = io.BytesIO()
    width = float(figure.get_size_inches()[0])
    figure.savefig(buffer, format="png", dpi=min(200.0, 2000 / width), metadata={"Software": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img class="ground" alt="{html.escape(alt)}" src="data:image/png;base64,{data}" style="--natural: {width * 96:.0f}px">'
