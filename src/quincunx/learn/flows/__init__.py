"""Conditional densities q(y | condition): autoregressive and coupling flows, Gaussian and mixture heads, whole and continuous numbers together."""

from quincunx.learn.flows.autoregressive import AutoregressiveFlow
from quincunx.learn.flows.conditional import Conditional
from quincunx.learn.flows.coupling import CouplingFlow
from quincunx.learn.flows.gaussian import ConditionalGaussian
from quincunx.learn.flows.mixed import MixedDensity, describe_columns
from quincunx.learn.flows.mixture import ConditionalMixture

__all__ = [
    "AutoregressiveFlow",
    "Conditional",
    "ConditionalGaussian",
    "ConditionalMixture",
    "CouplingFlow",
    "MixedDensity",
    "describe_columns",
]
