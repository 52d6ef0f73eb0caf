"""Pictures from plain arrays and names; each function returns a Matplotlib Figure that belongs to no window."""

from quincunx.palette import colour_rules
from quincunx.plot.checks import checked_coverage, checked_ranks
from quincunx.plot.confidence import confidence_curve, confidence_regions
from quincunx.plot.corner import corner
from quincunx.plot.coverage import coverage
from quincunx.plot.design import design_curve, design_map, design_slices, designs_compared, setting_columns
from quincunx.plot.failures import failures
from quincunx.plot.information import information_ellipses
from quincunx.plot.learning import learning_curves
from quincunx.plot.loop import loop
from quincunx.plot.losses import losses
from quincunx.plot.predictive import central_band, predictive_series, predictive_summaries
from quincunx.plot.ranks import sbc_ranks
from quincunx.plot.scan import scan_curve, scan_map
from quincunx.plot.svg import inline_svg, save_svg, svg_text
from quincunx.plot.widths import compared_intervals, widths

__all__ = [
    "central_band",
    "checked_coverage",
    "checked_ranks",
    "colour_rules",
    "confidence_curve",
    "confidence_regions",
    "corner",
    "coverage",
    "design_curve",
    "design_map",
    "design_slices",
    "designs_compared",
    "failures",
    "information_ellipses",
    "inline_svg",
    "learning_curves",
    "loop",
    "losses",
    "predictive_series",
    "predictive_summaries",
    "save_svg",
    "sbc_ranks",
    "scan_curve",
    "scan_map",
    "setting_columns",
    "svg_text",
    "compared_intervals",
    "widths",
]
