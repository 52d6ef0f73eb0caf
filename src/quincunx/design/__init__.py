"""What to measure next? Expected information gain, decision theory, and choosing designs by them."""

from quincunx.design.belief import Belief
from quincunx.design.choice import Choice
from quincunx.design.choosing import choose
from quincunx.design.curve import Curve, Eigs
from quincunx.design.estimate import EIG
from quincunx.design.information import eig, eig_curve
from quincunx.design.space import Space

__all__ = ["Belief", "Choice", "Curve", "EIG", "Eigs", "Space", "choose", "eig", "eig_curve"]
