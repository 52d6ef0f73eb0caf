"""Is the answer right? Calibration, coverage, two-sample tests, predictive checks, misspecification, and repair.

The room is a verb too: `quincunx.check(posterior, simulator, key=0)` runs the default set.
"""

from quincunx._verb import make_callable
from quincunx.check.averaged import averaged_posterior
from quincunx.check.c2st import c2st
from quincunx.check.check import check
from quincunx.check.check_gold import check_gold
from quincunx.check.check_ratio import check_ratio
from quincunx.check.conformal import Region, Repair, conformal
from quincunx.check.coverage import hpd_coverage, hpd_levels, wilson_interval
from quincunx.check.ecdf import EcdfBand, ecdf_p_value, simultaneous_band
from quincunx.check.label_shuffle import label_shuffle
from quincunx.check.lc2st import lc2st, lc2st_base
from quincunx.check.partition import balance, partition, ratio_checks
from quincunx.check.predictive import predictive_check, tail_areas
from quincunx.check.report import Report
from quincunx.check.result import TestResult, holm
from quincunx.check.sbc import sbc
from quincunx.check.set_coverage import coverage_of_sets
from quincunx.check.tarp import tarp
from quincunx.check.trials import Estimator, Trials, run_trials

__all__ = [
    "EcdfBand",
    "Estimator",
    "Region",
    "Repair",
    "Report",
    "TestResult",
    "Trials",
    "averaged_posterior",
    "balance",
    "c2st",
    "check",
    "check_gold",
    "check_ratio",
    "conformal",
    "coverage_of_sets",
    "ecdf_p_value",
    "holm",
    "hpd_coverage",
    "hpd_levels",
    "label_shuffle",
    "lc2st",
    "lc2st_base",
    "partition",
    "predictive_check",
    "ratio_checks",
    "run_trials",
    "sbc",
    "simultaneous_band",
    "tail_areas",
    "tarp",
    "wilson_interval",
]

make_callable(__name__, check)
