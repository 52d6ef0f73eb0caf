"""Likelihood ratios from gold: CARL, ROLR, ALICE, and with the score CASCAL, RASCAL and ALICES."""

import abc
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import PRNGKeyArray

from quincunx.errors import UsageError
from quincunx.infer.gold_rows import gold_of, log_ratios, network_points, network_scores
from quincunx.infer.indirect import PotentialEstimator
from quincunx.infer.method import Method
from quincunx.infer.nre import ratio_spec
from quincunx.infer.preparation import Preparation
from quincunx.infer.scoring import fit_potential
from quincunx.learn import FitSettings
from quincunx.learn.build import Spec, skeleton
from quincunx.learn.fit import Progress
from quincunx.learn.functionals import (
    JointCrossEntropy,
    JointRatioRegression,
    ReferenceCrossEntropy,
    WithJointScore,
)
from quincunx.model import Prior, Reference
from quincunx.run import Simulations
from quincunx.values import as_key

SPREAD = 8
"""How many prior draws the default reference mixes."""

_NETWORK = {"width": 100, "depth": 2}


@dataclass(frozen=True)
class GoldRatio(Method):
    """Options of the methods that learn log p(x | theta) / p_ref(x) from simulations with gold.

    `reference` is what the ratio is to (default: a mixture of eight prior draws, so that joint ratios are bounded). With `doubly` the second
    argument is learned too: every row draws its own reference, and the network is antisymmetric. `degree` makes the dependence on theta a
    positive polynomial, the square of amplitudes of that degree, for priors on which the network's coordinates are affine in theta (normal and
    uniform ones). `alpha` weighs the score against the ratio, 1 being the weights of least squares. `members` None trains three networks
    side by side and averages their ratios. The other options are as for `Ratio`.

    Differences of the learned log-ratio between two theta are log-likelihood ratios.
    """

    scored: ClassVar[bool] = False
    told: ClassVar[bool] = True
    curvature: ClassVar[float] = 0.125
    """Half the second derivative of the loss in f, at f = 0: 1/8 for a cross-entropy, 1 for a squared error of the ratio."""

    reference: Reference | None = None
    doubly: bool = False
    degree: int | None = None
    alpha: float = 1.0
    network: Spec | None = None
    members: int | None = None
    embedding: Spec | str | None = None
    x_scale: str = "auto"
    settings: FitSettings | None = None
    sampler: str = "auto"

    @abc.abstractmethod
    def functional(self, odds: float) -> Any:
        """What is minimised, before the score is added."""

    def mines(self, prior: Prior) -> bool | Reference:
        """The joint ratio to the reference."""
        if self.doubly:
            return Reference.each()
        return self.reference or Reference.spread(prior, SPREAD, key=0)

    @property
    def default_settings(self) -> FitSettings:
        """All epochs are run: the losses differ by so little that a patience would end training by chance."""
        return FitSettings(learning_rate=3e-3, weight_decay=0.3, min_steps=2000, patience=1000)

    def members_for(self, n: int) -> int:
        """How many networks are averaged: three unless told otherwise, since a single one strays."""
        return self.members or 3

    def fit(
        self, sims: Simulations, prior: Prior, *, key: PRNGKeyArray | int, progress: Progress | None = None
    ) -> PotentialEstimator:
        """Learn the ratio from simulations with gold. Raises as `NPE.fit`, and `NoGold` for simulations without.

        `UsageError` for options that exclude each other.
        """
        if self.doubly and (self.degree is not None or self.reference is not None):
            raise UsageError("got doubly=True with a degree or a reference; expected it alone; leave one of them out")

        def plan(prepared: Preparation) -> tuple:
            return self._plan(prepared, prior)

        estimator = fit_potential(
            self, sims, prior, plan=plan, term="ratio", key=as_key(key), progress=progress, reference_rows=True
        )
        return estimator if not self.doubly else _against_the_middle(estimator)

    def _balance(self, data: Mapping[str, np.ndarray]) -> float:
        """The weight under which score and ratio count by what each knows: curvature times the ratio's variance over the score's.

        Least squares is best when errors are weighted by their inverse variances; those of the joint quantities stand in for those of their
        noise, and a label's, as a log-ratio, is four.
        """
        score = float(
            np.sum(data["weight"] * data["score"] ** 2) / max(1.0, np.sum(data["weight"]) / data["weight"].shape[1])
        )
        ratio = float(np.mean(np.clip(data["log_ratio"], -3, 3) ** 2)) if self.told else 4.0
        return float(self.curvature * ratio / max(score, 1e-6))

    def _plan(self, prepared: Preparation, prior: Prior) -> tuple:
        needed = (
            ["label"] + ["joint_log_ratio"] * self.told + ["joint_score"] * self.scored + ["reference"] * self.doubly
        )
        gold = gold_of(prepared, *needed, method=self.name)
        label = np.asarray(gold["label"], np.float32)
        form, shape, spec = ratio_spec(prepared, {**_NETWORK, **(self.network or {})}, self.embedding)
        theta, scale = prepared.theta, prepared.scales["theta"]
        data: dict[str, Any] = {"theta": theta, "x": prepared.conditions(form, shape), "label": label}
        if self.told:
            data["log_ratio"] = log_ratios(gold)
        if self.scored:
            score = network_scores(np.asarray(gold["joint_score"]), prior, scale, theta)
            data |= {"score": score, "weight": np.broadcast_to(label[:, None], score.shape)}
        if self.doubly:
            other = network_points(np.asarray(gold["reference"]), prior, scale)
            data["theta"] = np.concatenate([theta, other], axis=1)
            if self.scored:
                theirs = network_scores(np.asarray(gold["reference_joint_score"]), prior, scale, other)
                data["score"] = np.concatenate([data["score"], -theirs], axis=1)
                data["weight"] = np.concatenate(
                    [data["weight"], np.broadcast_to(1 - label[:, None], theirs.shape)], axis=1
                )
            spec = {"kind": "antisymmetric_ratio", "g": {**spec, "theta_size": 2 * theta.shape[1]}}
        if self.degree is not None:
            spec = {**spec, "kind": "gram_ratio", "degree": self.degree}
            _check_affine(prior, theta, prepared)
        functional, name = self.functional(float(label.mean() / max(1e-6, 1 - label.mean()))), self.name
        if self.scored:
            functional = WithJointScore(functional, alpha=float(self.alpha) * self._balance(data))
        return functional, name, spec, data, form, shape


@dataclass(frozen=True)
class CARL(GoldRatio):
    """Learn the ratio from labels alone: which rows came from theta and which from the reference (1506.02169)."""

    name: ClassVar[str] = "carl"
    told: ClassVar[bool] = False

    def functional(self, odds: float) -> Any:
        """Cross-entropy of the label."""
        return ReferenceCrossEntropy(odds=odds)


@dataclass(frozen=True)
class ROLR(GoldRatio):
    """Regress the joint ratio: its conditional mean under the reference is the ratio (1805.00013)."""

    name: ClassVar[str] = "rolr"

    def functional(self, odds: float) -> Any:
        """Squared error of the ratio and its inverse."""
        return JointRatioRegression()


@dataclass(frozen=True)
class ALICE(GoldRatio):
    """Cross-entropy with the joint ratio in place of the label: the same minimiser with the least variance (1808.00973)."""

    name: ClassVar[str] = "alice"

    def functional(self, odds: float) -> Any:
        """Cross-entropy of the told chance."""
        return JointCrossEntropy(odds=odds)


@dataclass(frozen=True)
class CASCAL(GoldRatio):
    """CARL with the joint score as a target for the ratio's gradient (1805.00013)."""

    name: ClassVar[str] = "cascal"
    scored: ClassVar[bool] = True
    told: ClassVar[bool] = False

    def functional(self, odds: float) -> Any:
        """Cross-entropy of the label."""
        return ReferenceCrossEntropy(odds=odds)


@dataclass(frozen=True)
class RASCAL(GoldRatio):
    """ROLR with the joint score as a target for the ratio's gradient (1805.00013)."""

    name: ClassVar[str] = "rascal"
    scored: ClassVar[bool] = True
    curvature: ClassVar[float] = 1.0

    def functional(self, odds: float) -> Any:
        """Squared error of the ratio and its inverse."""
        return JointRatioRegression()


@dataclass(frozen=True)
class ALICES(GoldRatio):
    """ALICE with the joint score as a target for the ratio's gradient: the default where both are known (1808.00973)."""

    name: ClassVar[str] = "alices"
    scored: ClassVar[bool] = True

    def functional(self, odds: float) -> Any:
        """Cross-entropy of the told chance."""
        return JointCrossEntropy(odds=odds)


def _against_the_middle(estimator: PotentialEstimator) -> PotentialEstimator:
    """A ratio of two points as one to the middle of the prior, which is zero in the network's coordinates."""
    pair = estimator.surrogate
    spec = {"kind": "against", "pair": pair.spec, "reference": [0.0] * (pair.spec["g"]["theta_size"] // 2)}
    model = eqx.tree_at(lambda m: m.pair, skeleton(spec), pair.model)
    surrogate = replace(pair, model=model, spec_json=json.dumps(spec, sort_keys=True))
    return replace(estimator, surrogate=surrogate)


def _check_affine(prior: Prior, z: np.ndarray, prepared: Preparation) -> None:
    theta = np.asarray(prior.to_constrained(prepared.rows.u))
    design = np.concatenate([np.ones((len(z), 1)), theta], axis=1)
    residual = z - design @ np.linalg.lstsq(design, z, rcond=None)[0] if theta.shape[1] == z.shape[1] else z
    if np.abs(residual).max() > 1e-2:
        raise UsageError(
            "got a degree with a prior on which the network's coordinates are not affine in theta; expected normal or uniform "
            "distributions; leave the degree out, or choose such a prior"
        )
