"""SCANDAL: a likelihood whose gradient in theta is told by the joint score."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import PRNGKeyArray

from quincunx.infer.densities import settings_for
from quincunx.infer.gold_rows import gold_of, network_scores
from quincunx.infer.indirect import PotentialEstimator
from quincunx.infer.method import Method
from quincunx.infer.nle import counts_cells, likelihood_data
from quincunx.infer.scoring import fit_potential
from quincunx.learn import FitSettings
from quincunx.learn.build import Spec
from quincunx.learn.fit import Progress
from quincunx.learn.functionals import NegativeLogDensity, WithJointScore
from quincunx.model import Prior
from quincunx.run import Simulations
from quincunx.values import as_key


@dataclass(frozen=True)
class SCANDAL(Method):
    """Minimise -E log q(x | theta) + alpha E |t(x, z | theta) - grad_theta log q(x | theta)|^2: NLE with gold (1805.12244).

    It needs the joint score alone, no reference, and gives a density and not only ratios. `alpha` 1 gives the score the size of one nat before
    training; the other options are as for `NLE`.
    """

    name: ClassVar[str] = "scandal"

    density: Spec | str = "affine"
    alpha: float = 1.0
    members: int = 1
    x_scale: str = "auto"
    settings: FitSettings | None = None
    sampler: str = "auto"

    @property
    def density_of_cells(self) -> bool:
        """Whether whole numbers get probabilities."""
        return counts_cells(self.density)

    @property
    def default_settings(self) -> FitSettings:
        """How its density is trained when `settings` is None."""
        return settings_for(self.density)

    def mines(self, prior: Prior) -> bool:
        """The joint score."""
        return True

    def fit(
        self, sims: Simulations, prior: Prior, *, key: PRNGKeyArray | int, progress: Progress | None = None
    ) -> PotentialEstimator:
        """Learn q(x | theta) from simulations with joint scores. Raises as `NLE.fit`, and `NoGold`."""

        def plan(prepared):
            gold = gold_of(prepared, "joint_score", method=self.name)
            theta = prepared.theta
            score = network_scores(np.asarray(gold["joint_score"]), prior, prepared.scales["theta"], theta)
            spec, data = likelihood_data(prepared, self.density)
            size = float(np.mean(np.sum(score**2, axis=1)))
            functional = WithJointScore(NegativeLogDensity(), alpha=float(self.alpha) / max(size, 1e-6), density=True)
            data |= {"score": score, "weight": np.ones_like(score)}
            return functional, "scandal", spec, data, "vector", ()

        return fit_potential(self, sims, prior, plan=plan, term="likelihood", key=as_key(key), progress=progress)
