"""The law of gold, put to every worked problem that has it: what it tells obeys the identities, given x too where x is discrete."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from quincunx import gallery
from quincunx.check import check_gold
from quincunx.check.averages import LEAST_TERMS, effective_terms
from quincunx.check.gold_identities import weights_of
from quincunx.check.mined import mine
from quincunx.gallery.catalogue import entry

# theta and reference, close enough for r and 1 / r to have a fourth moment or nearly so.
PAIRS = {
    "galton_uniform": ({"theta": 0.5}, {"theta": 0.55}),
    "galton_tilted": ({"theta": 0.75}, {"theta": 0.7}),
    "galton_generalised": ({"theta": -0.7}, {"theta": -0.6}),
    "gaussian_in_gaussian": ({"theta": 1.0}, {"theta": 2.0}),
    "interference": ({"theta_1": 0.3, "theta_2": -0.2}, {"theta_1": 0.1, "theta_2": 0.1}),
    "final_size": ({"beta": 2.0, "gamma": 1.0}, {"beta": 1.9, "gamma": 1.1}),
    "sir_paths": ({"beta": 2.0, "gamma": 1.0}, {"beta": 1.8, "gamma": 1.1}),
    "ewens": ({"theta": 2.0}, {"theta": 2.5}),
    "coalescent": ({"theta": 5.0}, {"theta": 5.5}),
}
DISCRETE = [name for name in PAIRS if name not in ("gaussian_in_gaussian", "interference")]
N = 40_000
THREE_SD = 2 * stats.norm.sf(3.0)


def test_every_problem_with_gold_is_in_the_table():
    inside = [name for name in gallery.names() if entry(name).module != "weinberg_external"]
    assert set(PAIRS) == {name for name in inside if gallery.load(name).gold is not None}


@pytest.mark.parametrize("name", PAIRS)
def test_the_identities_hold(name):
    """Within three standard errors, corrected for the number of averages."""
    theta, reference = PAIRS[name]
    report = check_gold(gallery.load(name).simulator, key=18, theta=theta, reference=reference, n=N)
    assert report.simulated == 4 * N * (1 + len(theta)) and report.failed == 0 and not report.warnings
    assert min(report.adjusted.values()) > THREE_SD, report
    assert np.isfinite([result.p_value for result in report.results]).all(), report


@pytest.mark.parametrize("name", DISCRETE)
def test_given_x_gold_averages_to_the_truth(name):
    """E[t | x, theta] = t(x | theta) and E[r | x, reference] = r(x | theta, reference), for every x that is seen often."""
    problem = gallery.load(name)
    theta, reference = PAIRS[name]
    flat = [np.asarray(problem.prior.flatten(point), float) for point in (theta, reference)]
    at_theta, at_reference = (
        mine(problem.simulator, np.tile(at, (N, 1)), flat[0], flat[1][None], key=jax.random.key(5 + i))
        for i, at in enumerate(flat)
    )
    weight = weights_of(at_reference.log_ratio)[0]
    score = jax.jit(jax.vmap(problem.truth.score, in_axes=(None, 0)))
    log_ratio = jax.jit(jax.vmap(problem.truth.log_ratio, in_axes=(None, None, 0)))
    points = [{k: jnp.asarray(v, jnp.float32) for k, v in point.items()} for point in (theta, reference)]

    def exact_score(x):
        return np.stack([np.asarray(score(points[0], x)[k], float) for k in problem.prior.names], axis=1)

    def exact_ratio(x):
        return np.exp(np.asarray(log_ratio(*points, x), float))[:, None]

    z = []
    for mined, told, exact in ((at_theta, at_theta.score, exact_score), (at_reference, weight[:, None], exact_ratio)):
        seen, which, counts = np.unique(mined.x, axis=0, return_inverse=True, return_counts=True)
        often = np.argsort(-counts)[:20]
        expected = exact(jnp.asarray(seen[often], jnp.float32))
        for row, value in zip(often, expected):
            terms = told[which.ravel() == row]
            # Where x fixes the path's probability there is no spread, and what is left is single precision.
            error = np.sqrt(terms.var(axis=0) / len(terms) + (2e-5 * (1 + np.abs(value))) ** 2)
            z += list(((terms.mean(axis=0) - value) / error)[effective_terms(terms) >= LEAST_TERMS])
    assert len(z) >= 10
    assert np.max(np.abs(z)) < stats.norm.isf(THREE_SD / 2 / len(z)), z
