"""Averaged over data, the posterior must give back the prior."""

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray
from scipy.spatial.distance import cdist

from quincunx.check.result import TestResult
from quincunx.check.tail import tail_probability
from quincunx.check.trials import Trials
from quincunx.values import as_key


def exchange_energy(
    points: Float[np.ndarray, "N k U"], *, permutations: int, key: PRNGKeyArray
) -> tuple[float, Float[np.ndarray, " permutations"]]:
    """The energy distance between points[:, 0] and the rest, and its values with another member of each row for the first.

    E = 2 E|A - B| - E|A - A'| - E|B - B'|. The members of a row are exchangeable if q is the posterior, so that the
    null is exact although they share their x.
    """
    n, k, _ = points.shape
    distances = cdist(points.reshape(n * k, -1), points.reshape(n * k, -1))
    chosen = np.asarray(jax.random.randint(key, (permutations, n), 0, k))
    chosen = np.concatenate([np.zeros((1, n), int), chosen])
    first = chosen[:, :, None] == np.arange(k)
    weight = np.where(first, 1.0 / n, -1.0 / (n * (k - 1))).reshape(permutations + 1, n * k)
    energy = -np.einsum("pi,pi->p", weight @ distances, weight)
    return float(energy[0]), energy[1:]


def averaged_posterior(
    trials: Trials, *, key: int | PRNGKeyArray, permutations: int = 999, each: int = 3
) -> TestResult:
    """Is the data-averaged posterior, integral q(theta | x) p(x) dx, the prior?

    The energy distance between the true parameters and `each` draws of every trial, in unconstrained space scaled by
    the prior's spread; the null exchanges the truth with a draw of the same trial. Catches leakage and bias that does
    not average out; q = p(theta) passes by construction.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> theta = rng.normal(size=(200, 1))
    >>> averaged_posterior(Trials.of(theta, 1.0 + rng.normal(size=(200, 9, 1)), theta), key=0, permutations=99).status
    'fail'
    """
    each = min(each, trials.draws_each)
    centre, spread = trials.position_truth.mean(axis=0), np.maximum(trials.position_truth.std(axis=0), 1e-12)
    points = np.concatenate([trials.position_truth[:, None], trials.position_draws[:, :each]], axis=1)
    # Draws far in the tails would overflow the distances; nothing is learned beyond a hundred spreads.
    points = np.clip(np.nan_to_num((points - centre) / spread, nan=100.0), -100.0, 100.0)
    energy, null = exchange_energy(points, permutations=permutations, key=as_key(key))
    pooled = points[:, 1:].reshape(-1, points.shape[2])
    shift = pooled.mean(axis=0)
    worst = float(shift[np.argmax(np.abs(shift))])
    ratio = pooled.std(axis=0)
    return TestResult(
        name="averaged posterior",
        question="Averaged over data, does the posterior give back the prior?",
        p_value=tail_probability(energy, null),
        statistic=energy,
        n=len(trials),
        effects={
            "largest shift in prior sd": worst,
            "sd over prior sd": float(ratio[np.argmax(np.abs(np.log(np.maximum(ratio, 1e-12))))]),
        },
        detail={"null": null},
    )
