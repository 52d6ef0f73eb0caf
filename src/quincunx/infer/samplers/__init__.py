"""Draws of a log-density on unconstrained space: tempered SMC, NUTS, slice sampling, importance resampling, and their diagnostics."""

from quincunx.infer.samplers.choose import choose_sampler
from quincunx.infer.samplers.draw import draw, draw_many
from quincunx.infer.samplers.draws import Draws
from quincunx.infer.samplers.importance import importance
from quincunx.infer.samplers.pareto import pareto_smooth

__all__ = ["Draws", "choose_sampler", "draw", "draw_many", "importance", "pareto_smooth"]
