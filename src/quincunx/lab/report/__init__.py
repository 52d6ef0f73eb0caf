"""The report: what was asked, found and checked, on one page."""

from quincunx.lab.report.compose import from_run
from quincunx.lab.report.content import CheckRow, ComparisonRow, ParameterRow, Picture, ReportContent
from quincunx.lab.report.page import render_report, write_report

__all__ = [
    "CheckRow",
    "ComparisonRow",
    "ParameterRow",
    "Picture",
    "ReportContent",
    "from_run",
    "render_report",
    "write_report",
]
