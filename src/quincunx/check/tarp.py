"""Coverage of random balls around references that look at the data: needs draws only, no density."""

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray
from scipy.linalg import solve
from scipy.spatial.distance import cdist
from scipy.stats import kstest

from quincunx.check.features import Features
from quincunx.check.ranks import jittered, random_ranks
from quincunx.check.result import WARN_BELOW, TestResult
from quincunx.check.trials import Trials
from quincunx.values import as_key

BLOCKS = 6


def data_references(
    theta: Float[np.ndarray, "N U"], features: Float[np.ndarray, "N G"], *, key: PRNGKeyArray
) -> Float[np.ndarray, "N U"]:
    """A reference for each x_i that depends on x_i and on earlier pairs only, so that ranks stay exactly independent.

    Kernel ridge regression of theta on x in blocks, each fitted to the blocks before it, plus noise of the size of the
    prior's spread over two; the first block takes a random linear function of x.
    """
    n = len(theta)
    k_linear, k_noise = jax.random.split(key)
    noise = 0.5 * np.asarray(jax.random.normal(k_noise, theta.shape), float)
    mix = np.asarray(jax.random.normal(k_linear, (features.shape[1], theta.shape[1])), float)
    references = features @ mix / np.sqrt(max(1, features.shape[1]))
    squared = cdist(features, features, "sqeuclidean")
    edges = np.linspace(0, n, BLOCKS + 1).astype(int)
    for start, stop in zip(edges[1:-1], edges[2:], strict=True):
        past = squared[:start, :start]
        width = np.median(past[np.triu_indices(start, 1)]) if start > 1 else 1.0
        kernel = np.exp(-past / max(width, 1e-12))
        weights = solve(kernel + 0.1 * np.eye(start), theta[:start], assume_a="pos")
        references[start:stop] = np.exp(-squared[start:stop, :start] / max(width, 1e-12)) @ weights
    return references + noise


def tarp(trials: Trials, *, key: int | PRNGKeyArray) -> TestResult:
    """Test of accuracy with random points (2302.03026), with references that depend on the data.

    f_i = fraction of draws of q(theta | x_i) closer to the reference than the truth is; U(0, 1) for an exact posterior
    whatever the reference. Distances are Euclidean in unconstrained space after scaling each coordinate by the prior's
    spread. The p-value is Kolmogorov-Smirnov's for the N jittered ranks. With references that ignore x the answer q =
    p(theta) would pass.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> theta = rng.normal(size=(300, 1)); x = theta + 0.3 * rng.normal(size=(300, 1))
    >>> tarp(Trials.of(theta, rng.normal(size=(300, 99, 1)), x), key=0).status
    'fail'
    """
    k_reference, k_ties, k_jitter = jax.random.split(as_key(key), 3)
    centre, spread = trials.position_truth.mean(axis=0), np.maximum(trials.position_truth.std(axis=0), 1e-12)
    truth, draws = (trials.position_truth - centre) / spread, (trials.position_draws - centre) / spread
    references = data_references(truth, Features.fit(trials.x)(trials.x), key=k_reference)
    to_truth = np.linalg.norm(truth - references, axis=1)
    to_draws = np.linalg.norm(draws - references[:, None], axis=2)
    ranks = random_ranks(to_truth, to_draws, key=k_ties)
    fractions = jittered(ranks, trials.draws_each, key=k_jitter)
    outcome = kstest(fractions, "uniform")
    offset = float(0.5 - fractions.mean())
    return TestResult(
        name="tarp",
        question="Do balls around points that look at the data hold the truth as often as they hold draws?",
        p_value=float(outcome.pvalue),
        statistic=float(outcome.statistic),
        n=len(trials),
        effects={"largest deviation": float(outcome.statistic), "area": offset},
        note="the truth lies nearer to what the data suggest than the draws do"
        if outcome.pvalue < WARN_BELOW and offset > 0
        else "",
        detail={"fractions": fractions, "ranks": ranks, "draws": np.array(trials.draws_each)},
    )
