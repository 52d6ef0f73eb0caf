"""Pictures from plain arrays and names; each function returns a Matplotlib Figure that belongs to no window."""

from quincunx.plot.corner import corner
from quincunx.plot.coverage import coverage
from quincunx.plot.failures import failures
from quincunx.plot.loop import loop
from quincunx.plot.losses import losses
from quincunx.plot.predictive import central_band, predictive_series, predictive_summaries
from quincunx.plot.ranks import sbc_ranks
from quincunx.plot.svg import colour_rules, inline_svg, save_svg

__all__ = [
    "central_band",
    "colour_rules",
    "corner",
    "coverage",
    "failures",
    "inline_svg",
    "loop",
    "losses",
    "predictive_series",
    "predictive_summaries",
    "save_svg",
    "sbc_ranks",
]
