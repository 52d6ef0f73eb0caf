"""A Matplotlib figure as markup inside the page: SVG that follows the page's colours, or PNG when that is smaller."""

import base64
import html
import io

from matplotlib.figure import Figure

from quincunx.plot import inline_svg

LARGEST_SVG = 300_000
"""Characters of SVG above which a picture is embedded as PNG, if that is smaller."""


def embed(figure: Figure, *, alt: str, prefix: str, largest_svg: int = LARGEST_SVG) -> str:
    """Markup of a figure drawn in the light theme; `prefix` keeps its identifiers apart from other figures'.

    >>> from matplotlib.figure import Figure
    >>> embed(Figure(figsize=(1.0, 1.0)), alt="Nothing.", prefix="p1")[:38]
    '<svg role="img" aria-label="Nothing." '
    """
    svg = inline_svg(figure, alt=alt, prefix=prefix)
    if len(svg) <= largest_svg:
        return svg
    return min(_png(figure, alt=alt), svg, key=len)


def _png(figure: Figure, *, alt: str) -> str:
    buffer = io.BytesIO()
    width = float(figure.get_size_inches()[0])
    figure.savefig(buffer, format="png", dpi=min(200.0, 2000 / width), metadata={"Software": None})
    source = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return f'<img class="ground" alt="{html.escape(alt)}" src="{source}" style="--natural: {width * 96:.0f}px">'
