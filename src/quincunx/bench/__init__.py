"""Measuring the package against answers that are known."""

from quincunx.bench.gold import METHODS, PROBLEMS, GoldMeasurement, measure_gold
from quincunx.bench.measurement import Measurement
from quincunx.bench.sbibm import TASKS, measure

__all__ = ["METHODS", "PROBLEMS", "TASKS", "GoldMeasurement", "Measurement", "measure", "measure_gold"]
