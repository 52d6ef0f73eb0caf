"""The variational bound from above: an exact likelihood against a fitted density of the outcomes, on outcomes that it was not fitted to."""

import jax
import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from quincunx.design.density import Density
from quincunx.design.experiment import Question, Slots
from quincunx.design.found import Found
from quincunx.design.nested import own_log_likelihoods
from quincunx.errors import NoDensity, UsageError

__all__ = ["marginal", "mixture_log_density"]

COMPONENTS = (1, 2, 4, 8)
"""How many Gaussians are tried; what the held-out quarter of a half likes best is taken."""
STEPS = 60


def marginal(question: Question, slots: Slots) -> Found:
    """E[log p(x | theta, design) - log m(x)] >= I(theta; x | design), for any density m of the outcomes (1903.05480).

    m is a mixture of Gaussians over all events of a row, fitted to one half of the outcomes and evaluated on the other, and the other way round: on those that it
    was fitted to it would be no bound. The gap is KL(p(x | design) || m): none where outcomes are Gaussian, as in a linear-Gaussian experiment.
    It takes no inner draws, so that it costs no more where much is learned; n must be many times the number of outcomes' entries.

    Raises:
        NoDensity: without an exact and normalised density. UsageError: for outcomes that are whole numbers, whose probabilities are no density.
    """
    density: Density | None = question.density
    truth = question.simulator.tractable
    if density is None or density.learned or bool(getattr(truth, "up_to_constant", False)):
        raise NoDensity(
            "got no exact and normalised density; expected one: nothing else bounds from above; use method='contrastive' for a lower bound"
        )
    x, ok = question.outcomes(slots)
    flat = np.concatenate(
        [np.asarray(leaf, np.float64)[:, : slots.count].reshape(len(ok), -1) for leaf in jax.tree.leaves(x)], axis=1
    )
    if np.all(flat[ok] == np.round(flat[ok])):
        raise UsageError(
            "got outcomes that are whole numbers; expected continuous ones, to fit a density to; use method='enumerated' or 'nested'"
        )
    log_m = np.full(len(ok), np.nan)
    good = np.flatnonzero(ok)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(question.key)))
    halves = np.array_split(rng.permutation(good), 2)
    for fitted, held in (halves, halves[::-1]):
        log_m[held] = mixture_log_density(flat[fitted], flat[held], rng)
    rows = own_log_likelihoods(question, slots, x) - log_m
    return Found("marginal", None, rows, value=rows)


def mixture_log_density(
    fitted: Float[np.ndarray, "n d"], held: Float[np.ndarray, "m d"], rng: np.random.Generator
) -> Float[np.ndarray, " m"]:
    """log m at `held` rows of a mixture of Gaussians fitted to other rows by expectation and maximisation; their number is chosen by a quarter of those.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(4000, 1))
    >>> bool(abs(np.mean(mixture_log_density(x[:2000], x[2000:], rng)) + 0.5 * np.log(2 * np.pi * np.e)) < 0.05)
    True
    """
    centre, scale = fitted.mean(axis=0), np.maximum(fitted.std(axis=0), 1e-300)
    z, at = (fitted - centre) / scale, (held - centre) / scale
    quarter = len(z) // 4
    parts = [k for k in COMPONENTS if len(z) - quarter >= 10 * k * (z.shape[1] + 1)] or [1]
    scores = [np.mean(_log_density(at=z[:quarter], mixture=_fit(z[quarter:], k, rng))) for k in parts]
    return _log_density(at=at, mixture=_fit(z, parts[int(np.argmax(scores))], rng)) - np.log(scale).sum()


Mixture = tuple[np.ndarray, np.ndarray, np.ndarray]


def _fit(z: np.ndarray, k: int, rng: np.random.Generator) -> Mixture:
    n, d = z.shape
    # a little of the whole covariance keeps a Gaussian from closing in on a single outcome
    whole = np.atleast_2d(np.cov(z, rowvar=False))
    floor = 1e-3 * whole + 1e-9 * np.eye(d)
    weights, means = np.full(k, 1.0 / k), z[rng.choice(n, k, replace=False)] if k > 1 else z.mean(axis=0)[None]
    covariances = np.repeat(whole[None], k, axis=0) + 1e-9 * np.eye(d)
    for _ in range(STEPS if k > 1 else 0):
        each = _each(z, (weights, means, covariances))
        share = np.exp(each - logsumexp(each, axis=1, keepdims=True))
        total = share.sum(axis=0) + 1e-9
        weights, means = total / total.sum(), (share.T @ z) / total[:, None]
        for j in range(k):
            away = z - means[j]
            covariances[j] = (away * share[:, j : j + 1]).T @ away / total[j] + floor
    return weights, means, covariances


def _log_density(*, at: np.ndarray, mixture: Mixture) -> np.ndarray:
    return logsumexp(_each(at, mixture), axis=1)


def _each(z: np.ndarray, mixture: Mixture) -> np.ndarray:
    weights, means, covariances = mixture
    d = z.shape[1]
    columns = []
    for weight, mean, covariance in zip(weights, means, covariances, strict=True):
        root = np.linalg.cholesky(covariance)
        away = np.linalg.solve(root, (z - mean).T)
        logs = -0.5 * np.sum(away**2, axis=0) - np.log(np.diag(root)).sum() - 0.5 * d * np.log(2 * np.pi)
        columns.append(np.log(weight) + logs)
    return np.stack(columns, axis=1)
