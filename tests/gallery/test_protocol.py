"""The law of a worked problem, put to every one of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from quincunx import gallery
from quincunx.errors import NameMismatch, NoTruth, UsageError
from quincunx.gallery.catalogue import entry

# Programs outside are slow to start: they have tests of their own.
NAMES = tuple(name for name in gallery.names() if entry(name).module != "weinberg_external")
N = 1000
SOLVED = ("sir", "lotka_volterra")


@pytest.fixture(scope="module", params=NAMES)
def problem(request):
    return gallery.load(request.param)


@pytest.fixture(scope="module")
def simulated(problem):
    """Parameters from the prior, their outcomes (sets of outcomes where the problem has events), and the keys of all."""
    events = problem.events or 1
    sets = max(N // events, 200)
    theta = problem.prior.sample(sets, key=1)
    keys = jax.random.split(jax.random.key(2), sets * events)
    repeated = {name: jnp.repeat(value, events, axis=0) for name, value in theta.items()}
    x = problem.simulator.batch(repeated, keys=keys)
    if problem.events:
        x = x.reshape(-1, events, *x.shape[1:])
    return theta, x, keys


@pytest.fixture(scope="module")
def at_default(problem):
    """One parameter, its outcomes, and their keys; as many as above, so that nothing is compiled anew."""
    theta = {name: jnp.asarray(value, jnp.float32) for name, value in problem.default_theta.items()}
    keys = jax.random.split(jax.random.key(3), N)
    repeated = {name: jnp.broadcast_to(value, (N, *value.shape)) for name, value in theta.items()}
    return theta, problem.simulator.batch(repeated, keys=keys), keys


def at(theta, i):
    return {name: value[i] for name, value in theta.items()}


def test_the_catalogue_describes_the_problem(problem):
    row = next(row for row in gallery.table() if row["name"] == problem.name)
    assert row["dim_theta"] == problem.prior.dim
    assert row["dim_x"] == len(problem.simulator.observables)
    assert row["truth"] == problem.truth.kind
    assert problem.simulator.name == problem.name
    assert all(row[column] for column in ("title", "cost", "source"))


def test_the_same_key_gives_the_same_outcome_and_a_batch_equals_single_calls(problem, simulated):
    theta, x, keys = simulated
    flat = x.reshape(-1, *x.shape[2:]) if problem.events else x
    row = 7 * (problem.events or 1)
    once = problem.simulator(at(theta, 7), key=keys[row])
    np.testing.assert_array_equal(once, problem.simulator(at(theta, 7), key=keys[row]))
    np.testing.assert_allclose(once, flat[row], rtol=2e-4, atol=1e-5)


def test_wrong_names_are_refused(problem):
    with pytest.raises(NameMismatch):
        problem.simulator({"nonsense": 1.0}, key=0)


def test_observations_look_like_outcomes(problem, simulated):
    _, x, _ = simulated
    for i in {1, problem.observations}:
        x_o = problem.observation(i)
        assert x_o.shape == x.shape[1:]
        assert bool(jnp.isfinite(x_o).all())
    for i in (0, problem.observations + 1):
        with pytest.raises(UsageError):
            problem.observation(i)


def test_simulations_are_finite(simulated):
    assert bool(jnp.isfinite(simulated[1]).all())


def test_true_parameters_have_the_priors_names(problem):
    try:
        theta = problem.true_theta(1)
    except NoTruth:
        assert problem.recorded is not None
        return
    assert set(theta) == set(problem.prior.names)
    assert bool(jnp.isfinite(problem.prior.log_prob(theta)))


def test_what_is_not_known_is_refused(problem):
    if problem.truth.log_likelihood is None:
        with pytest.raises(NoTruth):
            problem.truth.log_ratio({}, {}, 0.0)
        with pytest.raises(NoTruth):
            problem.reference(1, n=10)


def test_single_precision_agrees_with_double(problem, simulated):
    truth = problem.truth
    if truth.log_likelihood is None:
        return
    theta, x, _ = simulated
    single = jax.jit(jax.vmap(truth.log_likelihood))(at(theta, slice(5)), x[:5])
    exact = truth.in_float64()
    double = [exact.log_likelihood(at(theta, i), x[i]) for i in range(5)]
    np.testing.assert_allclose(single, np.array(double), rtol=1e-3, atol=2e-2)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SOLVED else ()) for name in NAMES]
)
def test_the_score_is_the_slope_of_the_likelihood(name):
    """Against a central difference along all coordinates of each parameter, in float64."""
    problem = gallery.load(name)
    if problem.truth.log_likelihood is None:
        return
    exact = problem.truth.in_float64()
    # where the observation can have come from: a likelihood of zero has no slope
    known = problem.recorded is not None and problem.recorded[1] is not None
    theta = problem.true_theta(1) if known else problem.default_theta
    point = {name: np.asarray(value, np.float64) for name, value in theta.items()}
    x = problem.observation(1)
    score = exact.score(point, x)
    for name, value in point.items():
        step = 1e-5 * np.maximum(np.abs(value), 1e-2)
        up = exact.log_likelihood({**point, name: value + step}, x)
        down = exact.log_likelihood({**point, name: value - step}, x)
        np.testing.assert_allclose(np.sum(score[name] * step), (up - down) / 2, rtol=2e-3, atol=1e-7)


def test_scores_have_mean_zero_and_the_fisher_information_as_covariance(problem, at_default):
    truth = problem.truth
    if truth.fisher is None:
        return
    theta, x, _ = at_default
    by_name = jax.jit(jax.vmap(truth.score, in_axes=(None, 0)))(theta, x)
    scores = np.concatenate([np.asarray(by_name[name], float).reshape(N, -1) for name in problem.prior.names], axis=1)
    fisher = np.asarray(truth.fisher(theta), float)
    z = scores.mean(axis=0) / (scores.std(axis=0) / np.sqrt(N))
    # Two-sided normal bounds with the chance of a false alarm at 1e-4 over all coordinates.
    assert np.abs(z).max() < stats.norm.isf(0.5e-4 / z.size)
    products = scores[:, :, None] * scores[:, None, :]
    error = (products.mean(axis=0) - fisher) / (products.std(axis=0) / np.sqrt(N) + 1e-12)
    assert np.abs(error).max() < stats.norm.isf(0.5e-4 / error.size)


def test_bayes_theorem_holds(problem, simulated):
    truth = problem.truth
    if truth.log_posterior is None or truth.log_evidence is None:
        return
    theta, x, _ = simulated
    theta, x = at(theta, slice(3)), x[:3]
    joint = jax.jit(jax.vmap(lambda theta, x: truth.log_posterior(theta, x) + truth.log_evidence(x)))(theta, x)
    likelihood = jax.jit(jax.vmap(truth.log_likelihood))(theta, x)
    np.testing.assert_allclose(joint, likelihood + problem.prior.log_prob(theta), rtol=1e-3, atol=2e-3)


def test_exact_posterior_draws_are_calibrated(problem, simulated):
    """The rank of the true parameter among 9 exact draws is uniform on 0..9 (1804.06788), for 200 simulations."""
    truth = problem.truth
    assert (truth.posterior_sample is not None) == (truth.kind == "posterior")
    if truth.posterior_sample is None:
        return
    theta, x, _ = simulated
    draws = 9
    flat = np.asarray(problem.prior.flatten(theta))
    ranks = []
    for i in range(200):
        found = truth.posterior_sample(draws, x[i], key=jax.random.key(100 + i))
        ranks.append((np.asarray(problem.prior.flatten(found)) < flat[i]).sum(axis=0))
    ranks = np.array(ranks)
    p_values = [stats.chisquare(np.bincount(column, minlength=draws + 1)).pvalue for column in ranks.T]
    assert min(p_values) > 1e-4 / len(p_values)


def test_derived_quantities_are_finite(problem):
    if problem.derived is not None:
        theta = problem.prior.sample(5, key=0)
        assert all(bool(jnp.isfinite(value).all()) for value in problem.derived(theta).values())


def test_gold_traces_are_the_simulator_and_their_scores_average_to_the_score(problem, at_default):
    """E[t(x, z)] = 0 and E[t(x, z) - t(x)] = 0 over simulations at one parameter (1805.12244, eq. 13)."""
    if problem.gold is None:
        return
    theta, x, keys = at_default
    traced, z = jax.jit(jax.vmap(lambda key: problem.gold.trace(theta, key=key)))(keys)
    np.testing.assert_array_equal(traced, x)
    joint = jax.jit(jax.vmap(problem.gold.joint_score, in_axes=(None, 0, 0)))(theta, x, z)
    exact = jax.jit(jax.vmap(problem.truth.score, in_axes=(None, 0)))(theta, x)
    limit = stats.norm.isf(0.5e-4 / (2 * len(theta)))
    for name in theta:
        joint_score, score = np.asarray(joint[name], float), np.asarray(exact[name], float)
        for value in (joint_score, joint_score - score):
            assert np.abs(value.mean()) <= limit * value.std() / np.sqrt(N) + 1e-5
