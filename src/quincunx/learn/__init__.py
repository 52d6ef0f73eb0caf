"""Learning: functionals, networks, flows, and the one loop that fits them. Knows arrays, never simulators."""

from quincunx.learn.build import build, kinds, register, skeleton
from quincunx.learn.fit import Fit, FitSettings, FitState, fit
from quincunx.learn.scale import Scale
from quincunx.learn.surrogate import Surrogate

__all__ = [
    "Fit",
    "FitSettings",
    "FitState",
    "Scale",
    "Surrogate",
    "build",
    "fit",
    "kinds",
    "register",
    "skeleton",
]
