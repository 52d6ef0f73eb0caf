"""Simulators whose every draw is known: NumPyro models, their traces, and what can be summed exactly."""

from quincunx.model.program.decorator import program as program
from quincunx.model.program.enumeration import LatentPosterior as LatentPosterior
from quincunx.model.program.program import Program as Program
from quincunx.model.program.trace import Trace as Trace

__all__ = ["LatentPosterior", "Program", "Trace", "program"]
