"""SALLY and SALLINO: the learned score as a summary, and then any method (1805.00020)."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from quincunx.errors import NoGold
from quincunx.infer.estimator import Estimator
from quincunx.infer.gold_rows import network_points
from quincunx.infer.local_score import LocalScore, learn_score
from quincunx.infer.method import Method, method_named
from quincunx.infer.preparation import Preparation, prepare
from quincunx.infer.scoring import fit_potential
from quincunx.infer.summarised import SummarisedEstimator, summarise
from quincunx.learn import FitSettings
from quincunx.learn.build import Spec
from quincunx.learn.fit import Progress
from quincunx.learn.functionals import RatioContrastive
from quincunx.model import Prior, Simulator
from quincunx.run import Simulations, simulate
from quincunx.values import as_key


@dataclass(frozen=True)
class SALLY(Method):
    """Learn the score at one theta, and let another method learn from the scores of simulations at all theta.

    `at` is the reference theta (default: the prior's mean, by name), where `infer` spends half of its budget; or `mined` are simulations there, with gold.
    `then` is the second method: "nre" (default), "nle", "npe" or any other, with its options. Near the reference the score loses
    nothing; far from it, it does, however many simulations there are. `network`, `embedding`, `members` and `settings` are those of the score.
    """

    name: ClassVar[str] = "sally"

    at: dict[str, Any] | None = None
    mined: Simulations | None = None
    then: str | Method = "nre"
    network: Spec | None = None
    members: int = 1
    embedding: Spec | str | None = None
    x_scale: str = "auto"
    settings: FitSettings | None = None

    @property
    def takes_sets(self) -> bool:
        """Whether the second method reads whole sets of events."""
        return method_named(self.then).takes_sets

    def before(self, simulator: Simulator, budget: int, *, key: PRNGKeyArray, **settings: Any) -> tuple[Method, int]:
        """Mine scores at the reference with half of the budget."""
        return _mine(self, simulator, budget, key, settings)

    def fit(
        self, sims: Simulations, prior: Prior, *, key: PRNGKeyArray | int, progress: Progress | None = None
    ) -> SummarisedEstimator:
        """Learn the score, then the second method. Raises as `NPE.fit`, and `NoGold` without simulations at a reference."""
        k_score, k_then = jax.random.split(as_key(key))
        summary = _score(self, prior, k_score, progress)
        inner = method_named(self.then).fit(summarise(sims, summary), prior, key=k_then, progress=progress)
        return _joined(self, sims, prior, summary, inner, k_score)


@dataclass(frozen=True)
class SALLINO(Method):
    """SALLY with one number: the score along the way from the reference to theta, h = t(x) . (theta - theta_ref).

    The ratio is learned from (theta, h) alone, so that its cost does not grow with the number of parameters; more is lost than by SALLY. Options
    are as there, without a second method.
    """

    name: ClassVar[str] = "sallino"

    at: dict[str, Any] | None = None
    mined: Simulations | None = None
    network: Spec | None = None
    members: int = 1
    embedding: Spec | str | None = None
    x_scale: str = "auto"
    settings: FitSettings | None = None
    sampler: str = "auto"

    def before(self, simulator: Simulator, budget: int, *, key: PRNGKeyArray, **settings: Any) -> tuple[Method, int]:
        """Mine scores at the reference with half of the budget."""
        return _mine(self, simulator, budget, key, settings)

    def fit(
        self, sims: Simulations, prior: Prior, *, key: PRNGKeyArray | int, progress: Progress | None = None
    ) -> SummarisedEstimator:
        """Learn the score, then the ratio from its projection. Raises as `SALLY.fit`."""
        k_score, k_then = jax.random.split(as_key(key))
        summary = _score(self, prior, k_score, progress)

        def plan(prepared: Preparation) -> tuple:
            theta = prepared.theta
            reference = network_points(summary.reference[None], prior, prepared.scales["theta"])[0]
            ratio = {"kind": "ratio", "theta_size": theta.shape[1], "x_size": 1 + prepared.rows.design.shape[1]}
            spec = {"kind": "projected_ratio", "ratio": ratio, "reference": reference.tolist()}
            return (
                RatioContrastive(),
                "ratio_contrastive",
                spec,
                {"theta": theta, "x": prepared.conditions("vector", ())},
                "vector",
                (),
            )

        scores = summarise(sims, summary)
        # The scores must stay in proportion: h is a sum over them.
        unscaled = replace(self, x_scale="none", settings=None)
        inner = fit_potential(unscaled, scores, prior, plan=plan, term="ratio", key=k_then, progress=progress)
        return _joined(self, sims, prior, summary, inner, k_score)


def _mine(
    method: Any, simulator: Simulator, budget: int, key: PRNGKeyArray, settings: dict[str, Any]
) -> tuple[Method, int]:
    if method.mined is not None:
        return method, budget
    half = budget // 2
    theta = {
        name: np.broadcast_to(np.asarray(v, np.float32), (half, *np.shape(v)))
        for name, v in reference_of(method.at, simulator.prior).items()
    }
    return replace(method, mined=simulate(simulator, half, theta=theta, gold=True, key=key, **settings)), budget - half


def reference_of(at: dict[str, Any] | None, prior: Prior) -> dict[str, np.ndarray]:
    """The reference theta: the one given, or the mean of the prior.

    >>> import numpyro.distributions as dist
    >>> round(float(reference_of(None, Prior(mu=dist.Uniform(0.0, 2.0)))["mu"]), 1)
    1.0
    """
    if at is not None:
        prior.check(at)
        return {name: np.asarray(at[name], np.float32) for name in prior.names}
    draws = prior.sample(4096, key=0)
    return {name: np.asarray(np.mean(np.asarray(value), axis=0)) for name, value in draws.items()}


def _score(method: Any, prior: Prior, key: PRNGKeyArray, progress: Progress | None) -> LocalScore:
    if method.mined is None:
        raise NoGold(
            f"got {method.name} without simulations at its reference; expected them with gold; simulate with theta= one point and "
            f"gold=True and give them as mined=, or let qx.infer do it"
        )
    return learn_score(
        method.mined,
        prior,
        key=key,
        members=method.members,
        network=method.network,
        embedding=method.embedding,
        x_scale=method.x_scale,
        settings=method.settings,
        progress=progress,
    )


def _joined(
    method: Method, sims: Simulations, prior: Prior, summary: LocalScore, inner: Estimator, key: PRNGKeyArray
) -> SummarisedEstimator:
    seen = prepare(sims, prior, x_scale=method.x_scale, failures_kept_out="as the second method says", key=key)
    at = ", ".join(f"{c} = {v:.4g}" for c, v in zip(prior.columns, summary.reference.tolist(), strict=True))
    note = f"outcomes were reduced to their score at {at}, which loses information away from there"
    return SummarisedEstimator(
        prior,
        inner.surrogate,
        seen.reader,
        seen.familiarity,
        method.describe(),
        (*inner.notes, note),
        summary,
        inner,
    )
