"""What to measure next? Expected information gain, decision theory, and choosing designs by them."""

from quincunx.design.bayesopt import Maximum, maximise, propose
from quincunx.design.belief import Belief
from quincunx.design.choice import Choice
from quincunx.design.choosing import choose
from quincunx.design.curve import Curve, Eigs
from quincunx.design.decision import (
    Expected,
    Loss,
    bayes_risk,
    evsi,
    expected_loss,
    expected_max_probability,
    expected_variance,
    risk,
)
from quincunx.design.estimate import EIG
from quincunx.design.gaussian_process import GaussianProcess, fit_process
from quincunx.design.gradients import ascend
from quincunx.design.information import eig, eig_curve
from quincunx.design.optuna import Optuna
from quincunx.design.policy import Policy, PolicyComparison, RandomDesigns, compare_policies, total_eig, train_policy
from quincunx.design.ranking import indistinguishable, ranked
from quincunx.design.space import Space

__all__ = [
    "EIG",
    "Belief",
    "Choice",
    "Curve",
    "Eigs",
    "Expected",
    "GaussianProcess",
    "Loss",
    "Maximum",
    "Optuna",
    "Policy",
    "PolicyComparison",
    "RandomDesigns",
    "Space",
    "ascend",
    "bayes_risk",
    "choose",
    "compare_policies",
    "eig",
    "eig_curve",
    "evsi",
    "expected_loss",
    "expected_max_probability",
    "expected_variance",
    "fit_process",
    "indistinguishable",
    "maximise",
    "propose",
    "ranked",
    "risk",
    "total_eig",
    "train_policy",
]
