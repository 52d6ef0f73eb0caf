"""Draw the README's picture: python docs/draw.py [FILE]."""

import sys
from pathlib import Path

from quincunx.plot import loop
from quincunx.plot.svg import save_svg

ALT = "The loop: simulate, learn, infer, check, and back to the experiment"

if __name__ == "__main__":
    save_svg(loop(), Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "loop.svg", alt=ALT)
