"""Several methods on the same simulations, and the one that says most about held-out parameters."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray
from scipy.special import logsumexp

from quincunx.infer.direct import DirectEstimator
from quincunx.infer.estimator import Estimator
from quincunx.infer.indirect import PotentialEstimator
from quincunx.infer.method import Method
from quincunx.infer.nle import NLE
from quincunx.infer.npe import NPE
from quincunx.infer.scoring import whole_columns
from quincunx.learn.fit import Progress
from quincunx.learn.screen import relevant_columns
from quincunx.model import Prior
from quincunx.run import Simulations
from quincunx.values import as_key

HELD_OUT = 200
PROPOSALS = 1000
LONG = 30


@dataclass(frozen=True)
class Auto(Method):
    """Fit every candidate and keep the one with the largest mean log-posterior of the true theta, E log q(theta | x).

    That mean, over pairs that no candidate was trained on, is the mutual information that the candidate captures, up to a
    constant of the prior; no other posterior than the exact one has a larger one. A posterior density gives it directly;
    a likelihood's evidence is estimated by importance sampling from the best posterior density and the prior, the true theta among
    the draws, which makes the estimate err on the low side. Without `candidates` they are a nearly linear and a mixture NPE, a spline-flow NPE, and,
    for outcomes of at most 30 numbers, a nearly linear and a flexible Gaussian NLE (a mixed one where some are whole);
    of a longer x the columns that say nothing about
    theta are dropped first.

    The scores of all candidates are in the notes of the estimator that is returned.
    """

    name: ClassVar[str] = "auto"

    candidates: tuple[Method, ...] | None = None

    def fit(
        self, sims: Simulations, prior: Prior, *, key: PRNGKeyArray | int, progress: Progress | None = None
    ) -> Estimator:
        """Fit and compare the candidates. Raises as `NPE.fit`."""
        k_fit, k_score = jax.random.split(as_key(key))
        held_out = min(HELD_OUT, len(sims) // 10)
        training, test = sims[held_out:], sims[:held_out].valid()
        candidates = self.candidates or default_candidates(training.valid(), prior)
        fitted = [
            method.fit(training, prior, key=k, progress=progress)
            for method, k in zip(candidates, jax.random.split(k_fit, len(candidates)), strict=True)
        ]
        scores = score(fitted, test, prior, key=k_score)
        best = int(np.argmax(scores))
        told = ", ".join(f"{_label(m, f)} {s:.3f}" for m, f, s in zip(candidates, fitted, scores, strict=True))
        note = f"chosen from {len(candidates)} candidates by mean log q(theta | x) on {len(test)} held-out pairs, in nats: {told}"
        return fitted[best].noting(note)


def default_candidates(sims: Simulations, prior: Prior) -> tuple[Method, ...]:
    """What `Auto` tries when it is not told: posterior densities, and likelihoods where x is short or most of it is noise."""
    x, u = np.asarray(sims.x_flat()), np.asarray(prior.to_unconstrained(sims.theta_flat()))
    short = x.shape[-1]
    screen = short > LONG
    if screen:
        rows = x.reshape(-1, short)
        short = int(relevant_columns(rows, np.repeat(u, len(rows) // len(u), axis=0)).sum())
    posteriors = (
        NPE(density="linear", screen=screen),
        NPE(density="mixture", members=3, screen=screen),
        NPE(members=3, screen=screen),
    )
    likelihoods = (
        NLE(density="linear", screen=screen),
        NLE(density="mixed", members=3, screen=screen)
        if whole_columns(x.reshape(-1, 1, x.shape[-1])).any()
        else NLE(density="gaussian", members=5, screen=screen),
    )
    return posteriors + likelihoods if 0 < short <= LONG else posteriors


def score(
    fitted: list[Estimator], test: Simulations, prior: Prior, *, key: PRNGKeyArray | int
) -> Float[np.ndarray, " candidates"]:
    """Mean log q(theta | x) of every estimator over the pairs of `test`."""
    x, theta, design = test.x, test.theta, _varied(fitted[0], test)
    direct = {i: _mean(f, x, theta, design) for i, f in enumerate(fitted) if isinstance(f, DirectEstimator)}
    scores = np.array([direct.get(i, -np.inf) for i in range(len(fitted))])
    indirect = [i for i, f in enumerate(fitted) if isinstance(f, PotentialEstimator)]
    if indirect:
        proposal = fitted[max(direct, key=direct.get)] if direct else None
        points, log_density = _proposals(proposal, prior, x, theta, design, key=as_key(key))
        for i in indirect:
            scores[i] = _evidence_corrected(fitted[i], prior, x, points, log_density, design)
    return scores


def _proposals(proposal, prior, x, theta, design, *, key):
    """The true theta and draws from half proposal, half prior, for each pair, with the log-density they have there."""
    k_proposal, k_prior = jax.random.split(key)
    pairs = len(next(iter(theta.values())))
    flat = prior.sample_flat(pairs * PROPOSALS, key=k_prior).reshape(pairs, PROPOSALS, -1)
    truth = np.asarray(prior.flatten({name: np.asarray(v) for name, v in theta.items()}))[:, None]
    parts = [truth, np.asarray(flat)]
    if proposal is not None:
        one = proposal.posterior(_first(x), design=_first_design(design))
        draws = one.sample_many(PROPOSALS, x, key=k_proposal, design=design)
        parts = [truth, np.asarray(prior.flatten(draws)), np.asarray(flat)[:, : PROPOSALS // 4]]
    points = np.concatenate(parts, axis=1)
    log_prior = np.asarray(prior.log_prob_flat(points))
    if proposal is None:
        return points, log_prior
    log_q = np.asarray(one.log_prob_many(prior.unflatten(points), x, design=design))
    share = PROPOSALS / (PROPOSALS + PROPOSALS // 4)
    return points, np.logaddexp(np.log(share) + log_q, np.log1p(-share) + log_prior)


def _evidence_corrected(estimator, prior, x, points, log_density, design) -> float:
    log_joint = np.asarray(estimator.log_likelihood(prior.unflatten(points), x, design=design))
    log_joint = log_joint + np.asarray(prior.log_prob_flat(points))
    log_evidence = logsumexp(log_joint - log_density, axis=1) - np.log(points.shape[1])
    return float(np.mean(log_joint[:, 0] - log_evidence))


def _mean(estimator, x, theta, design) -> float:
    posterior = estimator.posterior(_first(x), design=_first_design(design))
    return float(np.mean(np.asarray(posterior.log_prob_many(theta, x, design=design))))


def _first(x: Any) -> Any:
    return {name: values[0] for name, values in x.items()} if isinstance(x, dict) else x[0]


def _varied(estimator: Estimator, test: Simulations) -> dict[str, Any] | None:
    designs = test.design or {}
    return {name: np.asarray(designs[name]) for name in estimator.reader.varied} or None


def _first_design(design: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if design is None else {name: values[0] for name, values in design.items()}


def _label(method: Method, fitted: Estimator) -> str:
    density = getattr(method, "density", None)
    kind = density if isinstance(density, str) else (density or {}).get("kind", "")
    return f"{method.name} {kind} x{fitted.surrogate.members}".replace("  ", " ")
