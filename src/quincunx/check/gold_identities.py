"""What must hold, on average, of everything a simulator tells of its own execution: no network is trained for it."""

import numpy as np
from jaxtyping import Float

from quincunx.check.averages import LEAST_TERMS, effective_terms, judge, variance_of_mean
from quincunx.check.mined import Mined
from quincunx.check.result import TestResult
from quincunx.check.witnesses import Witnesses

__all__ = ["inverse_ratio_mean", "ratio_closure", "ratio_mean", "score_closure", "score_mean", "weights_of"]


def weights_of(log_ratio: Float[np.ndarray, " n"]) -> tuple[Float[np.ndarray, " n"], float]:
    """r, and the effective number of simulations (sum r)^2 / sum r^2 that stand behind an average weighted with it.

    >>> round(weights_of(np.log(np.array([1.0, 1.0, 2.0])))[1], 3)
    2.667
    """
    weight = np.exp(np.clip(log_ratio, -700.0, 300.0))
    relative = np.exp(log_ratio - log_ratio.max()) if np.isfinite(log_ratio.max()) else np.zeros_like(weight)
    square = np.sum(relative**2)
    return weight, float(np.sum(relative) ** 2 / square) if square > 0 else 0.0


def ratio_mean(at_reference: Mined) -> TestResult:
    """E_reference[r] = 1: with a reference that covers theta, whatever the simulator does with its draws (1805.00020).

    >>> log_r = 0.3 * np.random.default_rng(0).normal(size=2000) - 0.045
    >>> zero = np.zeros(2000)
    >>> ratio_mean(Mined(zero[:, None], log_r, zero, zero[:, None])).status
    'pass'
    """
    return _mean_one("ratio", "Does r average to one over the reference?", at_reference.log_ratio)


def inverse_ratio_mean(at_theta: Mined) -> TestResult:
    """E_theta[1 / r] = 1."""
    return _mean_one("inverse ratio", "Does 1 / r average to one over theta?", -at_theta.log_ratio)


def score_mean(at_theta: Mined, names: tuple[str, ...]) -> TestResult:
    """E_theta[t] = 0, in every parameter: the score at the parameters with which it was drawn.

    >>> t = np.random.default_rng(0).normal(size=(2000, 1))
    >>> score_mean(Mined(t, t[:, 0], t[:, 0], t), ("mu",)).status, score_mean(Mined(t, t[:, 0], t[:, 0], t + 1), ("mu",)).status
    ('pass', 'fail')
    """
    t = at_theta.score
    spread = np.maximum(t.std(axis=0), 1e-300)
    return judge(
        "score",
        "Does the joint score average to zero?",
        t.mean(axis=0),
        variance_of_mean(t),
        effective_terms(t),
        names,
        n=len(t),
        effects={"largest mean in sd": float(np.max(np.abs(t.mean(axis=0)) / spread))},
    )


def ratio_closure(at_reference: Mined, fresh: Float[np.ndarray, "m F"], witnesses: Witnesses) -> TestResult:
    """E_reference[phi_j(x) r(x, z)] = E_theta[phi_j(x)]: simulations at the reference, weighted, look like simulations at theta.

    `fresh` are outcomes of the simulator itself at theta. What reaches x past the draws that the gold accounts for breaks it.

    >>> rng = np.random.default_rng(0)
    >>> x, fresh = rng.normal(size=(4000, 1)), 0.3 + rng.normal(size=(4000, 1))
    >>> told = Mined(x, 0.3 * x[:, 0] - 0.045, np.zeros(4000), x)
    >>> ratio_closure(told, fresh, Witnesses.fit(x, seed=0)).status, ratio_closure(told, x, Witnesses.fit(x, seed=0)).status
    ('pass', 'fail')
    """
    weight, ess = weights_of(at_reference.log_ratio)
    weighted, plain = weight[:, None] * witnesses(at_reference.x), witnesses(fresh)
    gap = weighted.mean(axis=0) - plain.mean(axis=0)
    return judge(
        "ratio closure",
        "Do simulations at the reference, weighted with r, look like simulations at theta?",
        gap,
        variance_of_mean(weighted) + variance_of_mean(plain),
        np.minimum(effective_terms(weighted), effective_terms(plain)),
        witnesses.names,
        n=len(weight),
        effects={
            "largest gap in sd of x": float(np.max(np.abs(gap) / np.maximum(plain.std(axis=0), 1e-2), initial=0.0)),
            "effective simulations": ess,
        },
        trusted=ess >= LEAST_TERMS,
    )


def score_closure(
    at_theta: Mined,
    steps: Float[np.ndarray, "dim 4 m F"],
    lengths: Float[np.ndarray, " dim"],
    witnesses: Witnesses,
    names: tuple[str, ...],
) -> TestResult:
    """E_theta[phi_j(x) t_i(x, z)] = d/dtheta_i E_theta[phi_j(x)], the right side by finite differences of the simulator itself.

    `steps[i]` are outcomes at theta_i + h, - h, + 2h and - 2h, h = `lengths[i]`, each row with the same key in all four. Richardson's
    combination (4 D(h) - D(2h)) / 3 of the two central differences has an error of fourth order in h; a tenth of their
    disagreement is added to its standard error. A joint score that is wrong, a support that moves and parameters that
    reach x past the draws are all seen, though E[t] = 0 may hold.

    >>> rng = np.random.default_rng(0)
    >>> x, z = rng.normal(size=(20_000, 1)), rng.normal(size=20_000)
    >>> steps = (rng.normal(size=(20_000, 1)) + np.array([0.3, -0.3, 0.6, -0.6])[:, None, None])[None]
    >>> right, wrong = (Mined(x, z, z, factor * x) for factor in (1.0, 1.25))
    >>> witnesses = Witnesses.fit(x, seed=0)
    >>> [score_closure(told, steps, np.array([0.3]), witnesses, ("mu",)).status for told in (right, wrong)]
    ['pass', 'fail']
    """
    phi = witnesses(at_theta.x)
    gaps, variances, carried, labels, wanted, told = [], [], [], [], [], []
    for i, name in enumerate(names):
        up, down, far_up, far_down = (witnesses(x) for x in steps[i])
        near, far = (up - down) / (2 * lengths[i]), (far_up - far_down) / (4 * lengths[i])
        slope, product = (4 * near - far) / 3, phi * at_theta.score[:, i : i + 1]
        doubt = 0.1 * (near.mean(axis=0) - far.mean(axis=0)) / 3
        gaps.append(product.mean(axis=0) - slope.mean(axis=0))
        variances.append(variance_of_mean(product) + variance_of_mean(slope) + doubt**2)
        carried.append(np.minimum(effective_terms(product), effective_terms(slope)))
        labels += [f"{witness} in {name}" for witness in witnesses.names]
        wanted.append(slope.mean(axis=0))
        told.append(product.mean(axis=0))
    right, left = np.concatenate(wanted), np.concatenate(told)
    # Least squares through the origin: 1 for a right score, 5 / 4 for one that is a quarter too large.
    precision = 1 / np.maximum(np.concatenate(variances), 1e-300)
    size = float(np.sum(precision * right * left) / max(float(np.sum(precision * right**2)), 1e-300))
    return judge(
        "score closure",
        "Is E[phi(x) t] the slope of E[phi(x)]?",
        np.concatenate(gaps),
        np.concatenate(variances),
        np.concatenate(carried),
        labels,
        n=len(phi),
        effects={"slope told over slope found": size},
    )


def _mean_one(name: str, question: str, log_ratio: Float[np.ndarray, " n"]) -> TestResult:
    weight, ess = weights_of(log_ratio)
    terms = weight[:, None]
    gap = terms.mean(axis=0) - 1.0
    return judge(
        name,
        question,
        gap,
        variance_of_mean(terms),
        effective_terms(terms),
        ("mean",),
        n=len(terms),
        effects={"mean": float(gap[0] + 1.0), "effective simulations": ess},
        trusted=ess >= LEAST_TERMS,
    )
