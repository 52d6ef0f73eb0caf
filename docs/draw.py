"""Draw the README's picture: python docs/draw.py [FILE]."""

import sys
from pathlib import Path

import matplotlib

from quincunx.plot import loop


def draw(path: Path) -> None:
    """Write the loop as SVG, the same bytes every time."""
    with matplotlib.rc_context({"svg.hashsalt": "quincunx", "svg.fonttype": "path"}):
        loop().savefig(path, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "loop.svg")
