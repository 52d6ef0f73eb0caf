"""What must hold of a learned ratio in particular: it agrees with histograms in bins of itself, and its gradient with the joint score."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import chi2

from quincunx.check.averages import LEAST_TERMS, effective_terms, judge, variance_of_mean
from quincunx.check.gold_identities import weights_of
from quincunx.check.result import TestResult
from quincunx.check.witnesses import Witnesses

__all__ = ["calibration_curve", "joint_closure", "quantile_edges", "with_bias"]

BINS = 10
_LEAST_EACH = 60


def quantile_edges(
    at_theta: Float[np.ndarray, " n"], at_reference: Float[np.ndarray, " m"], *, most: int = BINS
) -> Float[np.ndarray, " e"]:
    """Edges between bins of log r^ of about equal occupancy, each with at least 60 outcomes of either end; of a sample of their own.

    >>> rng = np.random.default_rng(0)
    >>> len(quantile_edges(rng.normal(0.5, 1, 2000), rng.normal(-0.5, 1, 2000)))
    8
    """
    both = np.concatenate([at_theta, at_reference])
    tried = np.unique(np.quantile(both, np.arange(1, most) / most, method="closest_observation"))
    above, below = np.sort(at_theta), np.sort(at_reference)
    kept, last = [], np.zeros(2)
    total = np.array([len(above), len(below)])
    for edge in tried[tried > both.min()]:
        upto = np.array([np.searchsorted(above, edge), np.searchsorted(below, edge)])
        if min(upto - last) >= _LEAST_EACH and min(total - upto) >= _LEAST_EACH:
            kept.append(float(edge))
            last = upto
    return np.array(kept)


def calibration_curve(
    at_theta: Float[np.ndarray, " n"], at_reference: Float[np.ndarray, " m"], edges: Float[np.ndarray, " e"]
) -> TestResult:
    """In bins b of log r^, E_reference[r^ 1_b] = P_theta(b): the ratio of two histograms is what r^ says, by one chi-square.

    chi^2 = d' C^-1 d with d_b the difference and C its covariance, on as many degrees of freedom as C has rank. "slope of log r" is that of the
    histograms' log-ratio over log r^, "bias of log r per event" the mean of log r^ - log r over theta or the
    reference, whichever is larger, as far as the bins show it. Bins that too few
    effective terms carry are left out; p is NaN where none is left.

    >>> rng = np.random.default_rng(0)
    >>> x, x_ref = rng.normal(0.5, 1, 4000), rng.normal(-0.5, 1, 4000)         # log r = x
    >>> edges = quantile_edges(x[:1000], x_ref[:1000])
    >>> right, wrong = calibration_curve(x, x_ref, edges), calibration_curve(1.5 * x, 1.5 * x_ref, 1.5 * edges)
    >>> right.status, wrong.status, round(wrong.effects["slope of log r"], 1)
    ('pass', 'fail', 0.7)
    """
    weight, ess = weights_of(at_reference)
    bins = np.arange(len(edges) + 1)
    theirs = np.searchsorted(edges, at_theta, side="right")[:, None] == bins
    inside = np.searchsorted(edges, at_reference, side="right")[:, None] == bins
    ours = weight[:, None] * inside
    found, told = theirs.mean(axis=0), ours.mean(axis=0)
    sure = (np.minimum(effective_terms(ours), theirs.sum(axis=0)) >= LEAST_TERMS) & (ess >= LEAST_TERMS)
    gap = (told - found)[sure]
    covariance = _covariance(ours[:, sure]) + _covariance(theirs[:, sure])
    p, statistic, rank = _chi_square(gap, covariance)
    size = np.maximum(inside.mean(axis=0), 1e-300)
    shown = sure & (found > 0) & (told > 0)
    log_found, log_told = np.log(found[shown] / size[shown]), np.log(told[shown] / size[shown])
    error = np.sqrt(np.maximum(np.diag(covariance), 1e-300))[shown[sure]] / np.maximum(found[shown], 1e-300)
    excess = log_told - log_found
    biases = [(float("nan"), float("nan"))]
    if shown.any():
        # told - found = found * excess to first order, so that the errors are those of a linear form in the gaps.
        shares = [share[shown] / share[shown].sum() for share in (found, size)]
        forms = [share / found[shown] for share in shares]
        within = covariance[np.ix_(shown[sure], shown[sure])]
        biases = [
            (float(s @ excess), float(np.sqrt(max(f @ within @ f, 0.0)))) for s, f in zip(shares, forms, strict=True)
        ]
    bias, doubt = max(biases, key=lambda pair: abs(pair[0]))
    said = []
    if shown.any():
        at = int(np.argmax(np.abs(excess) / error))
        said += [f"worst where log r^ is {log_told[at]:.2f} and histograms say {log_found[at]:.2f} +- {error[at]:.2f}"]
    if not sure.all():
        said += [f"{(~sure).sum()} of {len(sure)} bins left out: too few effective terms"]
    result = TestResult(
        name="calibration",
        question="In bins of r^, is it the ratio of the histograms at theta and at the reference?",
        p_value=p,
        statistic=statistic,
        n=len(at_theta),
        effects={
            "chi-square": statistic,
            "degrees of freedom": rank,
            "slope of log r": _slope(log_told, log_found, error),
        },
        note="; ".join(said),
        detail={"told": log_told, "found": log_found, "error": error},
    )
    return with_bias(result, bias, doubt)


def joint_closure(
    joint: Float[np.ndarray, "n dim"],
    learned: Float[np.ndarray, "n dim"],
    x: Float[np.ndarray, "n F"],
    witnesses: Witnesses,
    names: tuple[str, ...],
) -> TestResult:
    """E_theta[phi_j(x) (t(x, z) - grad_theta log r^(x))] = 0: given x, the joint score averages to the learned one, everywhere.

    The joint score's mean given x is the score, so that a gradient of r^ that was learned from another label, or badly, leaves something for some
    test function phi of x (or for phi = 1). "learned score over joint score" is least squares over all of them: 5 / 4 where
    (x - theta) / 4 was taken for a score that is (x - theta) / 5.

    >>> rng = np.random.default_rng(0)
    >>> z = 2 * rng.normal(size=(4000, 1))
    >>> x = z + rng.normal(size=(4000, 1))
    >>> witnesses = Witnesses.fit(x[:1000], seed=0)
    >>> [joint_closure(z / 4, x / wrong, x, witnesses, ("mu",)).status for wrong in (5, 4)]
    ['pass', 'fail']
    """
    phi = np.concatenate([np.ones((len(x), 1)), witnesses(x)], axis=1)
    gaps, variances, carried, labels, wanted, told = [], [], [], [], [], []
    for i, name in enumerate(names):
        terms = phi * (joint[:, i] - learned[:, i])[:, None]
        gaps.append(-terms.mean(axis=0))
        variances.append(variance_of_mean(terms))
        carried.append(effective_terms(terms))
        labels += [f"{witness} in {name}" for witness in ("the mean", *witnesses.names)]
        wanted.append((phi * joint[:, i : i + 1]).mean(axis=0))
        told.append((phi * learned[:, i : i + 1]).mean(axis=0))
    right, left = np.concatenate(wanted), np.concatenate(told)
    precision = 1 / np.maximum(np.concatenate(variances), 1e-300)
    size = float(np.sum(precision * right * left) / max(float(np.sum(precision * right**2)), 1e-300))
    residual = np.sqrt(np.mean((joint - learned) ** 2, axis=0)) / np.maximum(joint.std(axis=0), 1e-300)
    return judge(
        "joint score closure",
        "Given x, does the joint score average to the gradient of log r^?",
        np.concatenate(gaps),
        np.concatenate(variances),
        np.concatenate(carried),
        labels,
        n=len(x),
        effects={"learned score over joint score": size, "residual in sd of the joint score": float(residual.max())},
    )


def with_bias(result: TestResult, bias: float, doubt: float) -> TestResult:
    """The result with a bias of log r^ per event among its effects, and the number of events for which it matters.

    A sum over N events is off by N times the bias, which is one nat at N = 1 / bias; a bias below its standard error counts as that error.

    >>> with_bias(TestResult("a", "Right?", 0.5, 0.0, 300), 0.02, 0.001).effects["events for which it matters"]
    50.0
    """
    events = 1.0 / max(abs(bias), doubt, 1e-12)
    effects = {
        **result.effects,
        "bias of log r per event": bias,
        "its error": doubt,
        "events for which it matters": events,
    }
    return replace(result, effects=effects)


def _covariance(terms: Float[np.ndarray, "n J"] | Bool[np.ndarray, "n J"]) -> Float[np.ndarray, "J J"]:
    """Of the columns' means."""
    centred = terms - terms.mean(axis=0)
    return centred.T @ centred / (len(terms) * (len(terms) - 1.0))


def _chi_square(gap: Float[np.ndarray, " J"], covariance: Float[np.ndarray, "J J"]) -> tuple[float, float, int]:
    if not len(gap):
        return float("nan"), float("nan"), 0
    values, vectors = np.linalg.eigh(covariance)
    kept = values > 1e-9 * max(float(values.max()), 1e-300)
    along = vectors.T @ gap
    # Where nothing can vary (r^ the same for all), nothing may differ.
    if np.any(np.abs(along[~kept]) > 1e-4):
        return 0.0, float("inf"), int(kept.sum())
    statistic = float(np.sum(along[kept] ** 2 / values[kept]))
    return float(chi2.sf(statistic, kept.sum())) if kept.any() else 1.0, statistic, int(kept.sum())


def _slope(told: np.ndarray, found: np.ndarray, error: np.ndarray) -> float:
    if len(told) < 2 or np.ptp(told) < 1e-3:
        return float("nan")
    weight = 1 / error**2
    centred = told - np.average(told, weights=weight)
    return float(np.sum(weight * centred * found) / np.sum(weight * centred**2))
