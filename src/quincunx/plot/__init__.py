"""Pictures from plain arrays and names; each function returns a Matplotlib Figure that belongs to no window."""

from quincunx.plot.corner import corner
from quincunx.plot.coverage import coverage
from quincunx.plot.failures import failures
from quincunx.plot.loop import loop
from quincunx.plot.losses import losses
from quincunx.plot.predictive import central_band, predictive_series, predictive_summaries
from quincunx.plot.ranks import sbc_ranks

__all__ = [
    "central_band",
    "corner",
    "coverage",
    "failures",
    "loop",
    "losses",
    "predictive_series",
    "predictive_summaries",
    "sbc_ranks",
]
