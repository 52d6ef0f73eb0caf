"""Functionals: a loss with a statement of the function that minimises it, one a file."""

from quincunx.learn.functionals.denoising_score import DenoisingScore
from quincunx.learn.functionals.flow_matching import FlowMatching
from quincunx.learn.functionals.joint_cross_entropy import JointCrossEntropy
from quincunx.learn.functionals.joint_ratio_regression import JointRatioRegression
from quincunx.learn.functionals.joint_score_regression import JointScoreRegression
from quincunx.learn.functionals.negative_log_density import NegativeLogDensity
from quincunx.learn.functionals.ratio_balanced import RatioBalanced
from quincunx.learn.functionals.ratio_binary import RatioBinary
from quincunx.learn.functionals.ratio_contrastive import RatioContrastive
from quincunx.learn.functionals.ratio_multiclass import RatioMulticlass
from quincunx.learn.functionals.reference_cross_entropy import ReferenceCrossEntropy
from quincunx.learn.functionals.with_joint_score import WithJointScore

__all__ = [
    "DenoisingScore",
    "FlowMatching",
    "JointCrossEntropy",
    "JointRatioRegression",
    "JointScoreRegression",
    "NegativeLogDensity",
    "RatioBalanced",
    "RatioBinary",
    "RatioContrastive",
    "RatioMulticlass",
    "ReferenceCrossEntropy",
    "WithJointScore",
]
