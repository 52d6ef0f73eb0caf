"""Measuring the package against answers that are known."""

from quincunx.bench.measurement import Measurement
from quincunx.bench.sbibm import TASKS, measure

__all__ = ["TASKS", "Measurement", "measure"]
