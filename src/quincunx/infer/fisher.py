"""Fisher information from scores: of the full data, of the complete data with its latents, of histograms, and of the rate."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from quincunx.errors import ShapeMismatch, UsageError
from quincunx.infer.information import Information


def full_information(
    scores: Float[Array | np.ndarray, "n d"],
    columns: Sequence[str],
    *,
    weights: Float[Array | np.ndarray, " n"] | None = None,
) -> Information:
    """E[t t^T] per event, from the score t(x | theta) = grad log p(x | theta) of events drawn at theta (their weights, where they have some).

    The scores come from `Likelihood.score`, or any function of events that estimates them. The standard errors are those of a mean.

    Raises:
        ShapeMismatch: if scores, columns and weights do not fit. UsageError: for fewer than two events, or scores or weights that are not finite.

    >>> x = np.random.default_rng(0).normal(0.0, 5**0.5, 100_000)           # x ~ N(theta, 5): I = 1/5
    >>> information = full_information(x[:, None] / 5, ["theta"])
    >>> bool(abs(information["theta"] - 0.2) < 3 * information.error[0, 0])
    True
    """
    return _second_moment(scores, columns, weights, "full")


def complete_information(
    joint_scores: Float[Array | np.ndarray, "n d"],
    columns: Sequence[str],
    *,
    weights: Float[Array | np.ndarray, " n"] | None = None,
) -> Information:
    """E[t t^T] per event of the joint score t(x, z | theta) = grad log p(x, z | theta): what the events would tell if their latents were seen.

    No observable has more information, because E[t(x, z) | x] = t(x). Raises: as `full_information`.

    >>> z = np.random.default_rng(0).normal(0.0, 2.0, 1000)                 # z ~ N(theta, 4), x ~ N(z, 1)
    >>> complete_information(z[:, None] / 4, ["theta"])
    Information(complete, theta: 0.2... +- 0.01...)
    """
    return _second_moment(joint_scores, columns, weights, "complete")


def histogram_information(
    scores: Float[Array | np.ndarray, "n d"],
    observables: Float[Array | np.ndarray, "n *k"],
    columns: Sequence[str],
    *,
    bins: int | Sequence[int] | Sequence[Any] = 10,
    weights: Float[Array | np.ndarray, " n"] | None = None,
) -> Information:
    """sum_b p_b tbar_b tbar_b^T per event: what the counts in the bins of one or two observables tell, tbar_b the mean score in bin b.

    `scores` may be joint scores, whose mean in a bin is the same. `bins` is a number, which divides each observable into parts with as many
    events, a number for each, or edges for each (one list of edges for one observable); what lies beyond the outermost edges is counted too, in
    bins of its own. The upward bias of squared means, cov_b / n_b in each bin, is taken off. The errors are to first order in 1 / n.

    Raises:
        ShapeMismatch, UsageError: as `full_information`, and for more than two observables.

    >>> x = np.random.default_rng(0).normal(0.0, 1.0, 100_000)
    >>> histogram_information(x[:, None], x, ["theta"], bins=[[-9.0, 0.0, 9.0]])           # two halves: 2 / pi of the information
    Information(histogram, theta: 0.636... +- 0.003)
    """
    t, w = _checked(scores, columns, weights)
    x = np.asarray(observables, np.float64)
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or len(x) != len(t) or not 1 <= x.shape[1] <= 2:
        raise ShapeMismatch(
            f"got observables of shape {x.shape} for {len(t)} events; expected ({len(t)},) or ({len(t)}, 2): one or two of each event"
        )
    index = np.zeros(len(t), int)
    for column, rule in zip(x.T, _rules(bins, x.shape[1]), strict=True):
        edges = (
            np.quantile(column, np.linspace(0, 1, rule + 1)[1:-1])
            if isinstance(rule, int)
            else np.asarray(rule, np.float64)
        )
        index = index * (len(edges) + 1) + np.searchsorted(edges, column, side="right")
    _, index = np.unique(index, return_inverse=True)
    p = np.bincount(index, w)
    mean = np.stack([np.bincount(index, w * column) for column in t.T], axis=1) / p[:, None]
    away = t - mean[index]
    # the squared weights say how many events a bin is worth; a bin of one event has no spread to correct for
    heavy = np.bincount(index, w**2)
    left = np.maximum(1.0 - heavy / p**2, 1e-12)
    noise = np.zeros((t.shape[1], t.shape[1]))
    factor = np.where(heavy / p**2 < 1.0 - 1e-9, heavy / (p**2 * left), 0.0)
    noise += np.einsum("n,ni,nj->ij", (w * factor[index]), away, away)
    matrix = np.einsum("b,bi,bj->ij", p, mean, mean) - noise
    influence = np.einsum("ni,nj->nij", t, mean[index])
    influence = influence + np.swapaxes(influence, 1, 2) - np.einsum("ni,nj->nij", mean[index], mean[index])
    return Information(matrix, tuple(columns), _covariance_of_mean(influence, w), "histogram")


def rate_information(
    rate: float | int,
    gradient: Float[Array | np.ndarray, " d"],
    columns: Sequence[str],
    *,
    luminosity: float | int = 1.0,
    covariance: Float[Array | np.ndarray, "e e"] | None = None,
) -> Information:
    """L d_i sigma d_j sigma / sigma: what the number of events tells, Poisson with mean L sigma(theta) for `rate` sigma and luminosity L.

    `covariance` (1 + d, 1 + d) is that of the estimates (sigma, grad sigma), for example from `rate_of_events`; without it they are exact.

    Raises:
        ShapeMismatch: if shapes do not fit. UsageError: for a rate that is not positive.

    >>> rate_information(4.0, np.array([2.0]), ["mu"], luminosity=10.0)
    Information(rate, mu: 10)
    """
    g = np.asarray(gradient, np.float64)
    d = len(columns)
    if g.shape != (d,):
        raise ShapeMismatch(f"got a gradient of shape {g.shape} for {list(columns)}; expected ({d},)")
    if not (rate > 0 and np.all(np.isfinite(g))):
        raise UsageError(f"got rate {rate} and gradient {g.tolist()}; expected a positive rate and finite numbers")
    c = np.zeros((d + 1, d + 1)) if covariance is None else np.asarray(covariance, np.float64)
    if c.shape != (d + 1, d + 1):
        raise ShapeMismatch(
            f"got a covariance of shape {c.shape}; expected ({d + 1}, {d + 1}), of the rate and its gradient"
        )
    jacobian = np.zeros((d, d, d + 1))
    jacobian[:, :, 0] = -np.outer(g, g) / rate**2
    for i in range(d):
        jacobian[i, :, 1 + i] += g / rate
        jacobian[:, i, 1 + i] += g / rate
    entries = luminosity**2 * np.einsum("ije,ef,klf->ijkl", jacobian, c, jacobian)
    return Information(luminosity * np.outer(g, g) / rate, tuple(columns), entries, "rate")


def rate_of_events(
    weights: Float[Array | np.ndarray, " n"], joint_scores: Float[Array | np.ndarray, "n d"]
) -> tuple[float, Float[np.ndarray, " d"], Float[np.ndarray, "e e"]]:
    """sigma = sum w_i and grad sigma = sum w_i t_i of weighted events, and the covariance (1 + d, 1 + d) of both.

    Raises:
        ShapeMismatch: if lengths differ.

    >>> rate_of_events(np.full(4, 0.5), np.array([[1.0], [1.0], [3.0], [3.0]]))[:2]
    (2.0, array([4.]))
    """
    w, t = np.asarray(weights, np.float64), np.asarray(joint_scores, np.float64)
    if w.ndim != 1 or t.ndim != 2 or len(w) != len(t):
        raise ShapeMismatch(f"got weights of shape {w.shape} and scores of shape {t.shape}; expected (n,) and (n, d)")
    rows = w[:, None] * np.concatenate([np.ones((len(w), 1)), t], axis=1)
    away = rows - rows.mean(0)
    total = rows.sum(0)
    return float(total[0]), total[1:], away.T @ away * (len(w) / max(len(w) - 1, 1))


def _second_moment(scores: Any, columns: Sequence[str], weights: Any, what: str) -> Information:
    t, w = _checked(scores, columns, weights)
    each = np.einsum("ni,nj->nij", t, t)
    return Information(np.einsum("n,nij->ij", w, each), tuple(columns), _covariance_of_mean(each, w), what)


def _covariance_of_mean(each: Float[np.ndarray, "n d d"], w: Float[np.ndarray, " n"]) -> Float[np.ndarray, "d d d d"]:
    d = each.shape[1]
    rows = (each - np.einsum("n,nij->ij", w, each)).reshape(len(each), d * d)
    return ((w[:, None] ** 2 * rows).T @ rows).reshape(d, d, d, d)


def _checked(scores: Any, columns: Sequence[str], weights: Any) -> tuple[np.ndarray, np.ndarray]:
    t = np.asarray(scores, np.float64)
    if t.ndim != 2 or t.shape[1] != len(columns):
        raise ShapeMismatch(
            f"got scores of shape {t.shape} for {list(columns)}; expected (n, {len(columns)}), one row an event"
        )
    w = np.ones(len(t)) if weights is None else np.asarray(weights, np.float64)
    if w.shape != (len(t),):
        raise ShapeMismatch(f"got weights of shape {w.shape} for {len(t)} events; expected ({len(t)},)")
    if len(t) < 2 or not (np.all(np.isfinite(t)) and np.all(np.isfinite(w)) and w.sum() > 0):
        raise UsageError(
            f"got {len(t)} events, {int(np.sum(~np.isfinite(t)))} scores that are not finite and a sum of weights {w.sum():.3g}; expected two or more "
            "events, finite scores and a positive sum; look at the events whose score is not finite"
        )
    return t, w / w.sum()


def _rules(bins: Any, k: int) -> list[Any]:
    if isinstance(bins, int | np.integer):
        return [int(bins)] * k
    rules = list(bins)
    if rules and all(np.ndim(rule) == 0 for rule in rules) and (k == 1 and len(rules) > 1):
        return [rules]
    if len(rules) != k:
        raise ShapeMismatch(
            f"got bins for {len(rules)} observables; expected {k}; pass a number, or a number or edges for each"
        )
    return [int(rule) if np.ndim(rule) == 0 else rule for rule in rules]
