"""From diagnostics to sentences: what a scientist must be told before using the draws."""

from collections.abc import Mapping
from typing import Any

import numpy as np

RHAT_LIMIT = 1.01
ESS_LIMIT = 400
DIVERGENCE_LIMIT = 0.01
PARETO_LIMIT = 0.7


def judge_chains(diagnostics: Mapping[str, Any], draws: int) -> tuple[str, ...]:
    """Warnings about Markov chains: unfinished, disagreeing, too few effective draws, divergent.

    >>> good = {"reason": "finished", "rhat": [1.0], "ess_bulk": [900.0], "ess_tail": [800.0], "divergences": 0}
    >>> judge_chains(good, 1000)
    ()
    >>> len(judge_chains({**good, "rhat": [1.3]}, 1000))
    1
    """
    said = _unfinished(diagnostics, f"{draws} draws are returned")
    if diagnostics["reason"] != "finished" and np.isnan(_worst(diagnostics["rhat"], np.nanmax)):
        return (*said, "they are the chains' positions during warm-up, not draws of the posterior; give more time")
    worst = _worst(diagnostics["rhat"], np.nanmax)
    if not worst <= RHAT_LIMIT:
        said.append(
            f"the chains disagree (R-hat {worst:.3f}, should be below {RHAT_LIMIT}): the posterior may have several modes that chains do not "
            'cross, or they are too short; use sampler="smc" or ask for more draws'
        )
    said += _few(diagnostics, draws)
    said += _diverged(int(diagnostics["divergences"]), draws)
    return tuple(said)


def judge_particles(diagnostics: Mapping[str, Any], draws: int) -> tuple[str, ...]:
    """Warnings about a particle population: unfinished, short of the target, copies that never moved apart, families that disagree.

    >>> good = {"reason": "finished", "temperature": 1.0, "correlation": 0.05, "ess_bulk": [900.0], "ess_tail": [800.0], "rhat": [1.0],
    ...         "divergences": 0, "unique": 1.0}
    >>> judge_particles(good, 1000)
    ()
    """
    said = _unfinished(diagnostics, f"{draws} draws are returned")
    temperature = float(diagnostics["temperature"])
    if temperature < 1:
        said.append(
            f"sampling stopped on the way from the prior to the posterior (at power {temperature:.3g} of the density): the draws are broader than the "
            "posterior; give more time"
        )
        return tuple(said)
    if diagnostics["unique"] < 0.95:
        said.append(
            f"only {diagnostics['unique']:.0%} of the draws are distinct: the density is so rough that moves are rejected; "
            "look at the surrogate, or use more particles"
        )
    said += _few(diagnostics, draws)
    return tuple(said)


def judge_weights(diagnostics: Mapping[str, Any], draws: int) -> tuple[str, ...]:
    """Warnings about importance weights: a heavy tail, or a proposal that hardly overlaps the target.

    >>> judge_weights({"pareto_k": 0.2, "ess": 800.0}, 1000), len(judge_weights({"pareto_k": 0.9, "ess": 3.0}, 1000))
    ((), 2)
    """
    said = []
    k, ess = float(diagnostics["pareto_k"]), float(diagnostics["ess"])
    if k > PARETO_LIMIT:
        said.append(
            f"importance weights have a heavy tail (Pareto k {k:.2f}, should be below {PARETO_LIMIT}): a few draws decide the answer, "
            "because the proposal misses part of the target; use MCMC or SMC, or improve the proposal"
        )
    if ess < min(100.0, 0.1 * draws):
        said.append(
            f"{draws} weighted draws are worth only {ess:.1f} independent ones: the proposal and the target hardly overlap"
        )
    return tuple(said)


def _unfinished(diagnostics: Mapping[str, Any], what: str) -> list[str]:
    reason = diagnostics["reason"]
    if reason == "finished":
        return []
    cause = {"budget": "the budget was used up", "interrupted": "sampling was interrupted"}[reason]
    return [f"{cause} before all draws were made: {what}"]


def _few(diagnostics: Mapping[str, Any], draws: int) -> list[str]:
    ess = min(_worst(diagnostics["ess_bulk"], np.nanmin), _worst(diagnostics["ess_tail"], np.nanmin))
    limit = min(ESS_LIMIT, 0.2 * draws)
    if ess >= limit:
        return []
    return [
        f"the {draws} draws are worth only {ess:.0f} independent ones (should be {limit:.0f} or more): quantiles and probabilities are noisy"
    ]


def _diverged(divergences: int, draws: int) -> list[str]:
    if divergences <= DIVERGENCE_LIMIT * draws:
        return []
    return [
        f"{divergences} trajectories diverged in {draws} draws: the density has a narrow neck or a wall that the sampler cannot follow, "
        'and draws near it are missing; use sampler="smc" or reparametrise'
    ]


def _worst(values: Any, reduce: Any) -> float:
    values = np.asarray(values, float)
    return float(reduce(values)) if values.size and not np.isnan(values).all() else float("nan")
