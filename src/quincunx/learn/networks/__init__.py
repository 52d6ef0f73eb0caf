"""Networks, one family a file, each built by name from a JSON specification; all take one example, callers vmap."""

from quincunx.learn.networks.adaln import AdaLN
from quincunx.learn.networks.antisymmetric import Against, AntisymmetricRatio
from quincunx.learn.networks.attention import Attention
from quincunx.learn.networks.conv1d import Conv1d
from quincunx.learn.networks.conv2d import Conv2d
from quincunx.learn.networks.critic import CriticisedPolicy, HistoryCritic
from quincunx.learn.networks.deepset import DeepSet
from quincunx.learn.networks.denoiser import Denoiser
from quincunx.learn.networks.gram import GramRatio
from quincunx.learn.networks.gru import GRU
from quincunx.learn.networks.mlp import MLP
from quincunx.learn.networks.policy import FixedDesigns, HistoryPolicy, PolicyNetwork, UniformDesigns
from quincunx.learn.networks.projected import ProjectedRatio
from quincunx.learn.networks.ratio import Ratio
from quincunx.learn.networks.resmlp import ResidualMLP
from quincunx.learn.networks.velocity import VelocityField

__all__ = [
    "AdaLN",
    "Against",
    "AntisymmetricRatio",
    "Attention",
    "Conv1d",
    "Conv2d",
    "CriticisedPolicy",
    "DeepSet",
    "Denoiser",
    "FixedDesigns",
    "GRU",
    "GramRatio",
    "HistoryCritic",
    "HistoryPolicy",
    "MLP",
    "PolicyNetwork",
    "ProjectedRatio",
    "Ratio",
    "ResidualMLP",
    "UniformDesigns",
    "VelocityField",
]
