"""Fisher information against the gallery's closed forms, its matrix order, and the algebra of profiling and constraining."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

import quincunx as qx
from quincunx import gallery
from quincunx.gallery.interference import complete_fisher, couplings
from quincunx.infer import (
    Information,
    Likelihood,
    complete_information,
    full_information,
    histogram_information,
    rate_information,
    rate_of_events,
)

N = 20_000
AT = {
    "gaussian_in_gaussian": {"theta": 1.0},
    "galton_generalised": {"theta": -0.7},
    "interference": {"theta_1": 0.4, "theta_2": -0.3},
}


@pytest.fixture(scope="module")
def drawn():
    """Events of each problem with their scores and joint scores, by name of the problem."""
    return {name: _drawn(name, theta) for name, theta in AT.items()}


def _drawn(name, theta):
    problem = gallery.load(name)
    single = {key: jnp.float32(value) for key, value in theta.items()}

    def one(key):
        x, z = problem.gold.run(single, key)
        told = problem.gold.joint_score(single, x, z)
        return x, jnp.stack([told[n] for n in theta])

    x, joint = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), N))
    exact = Likelihood.of(problem.truth.log_likelihood, problem.prior)
    return np.asarray(x), exact.score(theta, np.asarray(x)), np.asarray(joint)


@pytest.mark.parametrize(
    "name, full, complete",
    [("gaussian_in_gaussian", 0.20, 0.25), ("galton_generalised", 1.695387, 2.686991)],
)
def test_information_on_one_parameter_is_the_closed_form(drawn, name, full, complete):
    """1805.00020, 1805.12244: per event, of what is seen and of what is seen and hidden."""
    _, scores, joint = drawn[name]
    seen, told = full_information(scores, ["theta"]), complete_information(joint, ["theta"])
    for found, truth in ((seen, full), (told, complete)):
        assert abs(found["theta"] - truth) < 3 * found.error[0, 0]
        assert found.error[0, 0] < 0.02 * truth


def test_errors_are_those_of_repetition(drawn):
    _, scores, _ = drawn["gaussian_in_gaussian"]
    parts = [full_information(part, ["theta"]) for part in np.split(scores, 200)]
    spread = np.std([part["theta"] for part in parts], ddof=1)
    stated = np.mean([part.error[0, 0] for part in parts])
    assert abs(spread / stated - 1) < 4 * (2 * 199) ** -0.5


def test_a_coarse_histogram_tells_less_than_the_event_and_a_fine_one_as_much(drawn):
    x, scores, joint = drawn["galton_generalised"]
    edges = np.arange(-0.5, 32.0)
    fine = histogram_information(scores, x, ["theta"], bins=[edges])
    assert fine["theta"] == pytest.approx(full_information(scores, ["theta"])["theta"], rel=1e-9)
    # joint scores have the same mean in a bin, but not the same spread
    mined = histogram_information(joint, x, ["theta"], bins=[edges])
    assert abs(mined["theta"] - 1.695387) < 3 * mined.error[0, 0]
    coarse = histogram_information(joint, x, ["theta"], bins=[[12.5, 18.5]])
    assert coarse["theta"] + 3 * coarse.error[0, 0] < 1.695387


def test_a_histogram_of_halves_keeps_two_parts_in_pi_of_a_gaussian(drawn):
    x, scores, _ = drawn["gaussian_in_gaussian"]
    halves = histogram_information(scores, x, ["theta"], bins=[[1.0]])
    assert abs(halves["theta"] - 0.4 / np.pi) < 3 * halves.error[0, 0]


def test_two_couplings_are_ordered_as_matrices(drawn):
    """Complete >= full >= histogram: no difference has an eigenvalue below zero by more than its error."""
    x, scores, joint = drawn["interference"]
    columns, theta = list(AT["interference"]), AT["interference"]
    single = {name: jnp.float32(value) for name, value in theta.items()}
    told, seen = complete_information(joint, columns), full_information(scores, columns)
    truth = gallery.load("interference").truth.fisher(single)
    for found, exact in ((told, complete_fisher(couplings(single))), (seen, truth)):
        assert np.all(np.abs(found.matrix - np.asarray(exact)) < 4 * found.error)
    coarse = histogram_information(joint, x, columns, bins=4)
    one = histogram_information(joint, x[:, :1], columns, bins=4)
    for more, less in ((told, seen), (seen, coarse), (coarse, one)):
        value, error = more.excess_over(less)
        assert value > -3 * error
    # and strictly, where the histogram is of one observable only
    exact = Information.exact(np.asarray(truth, float), columns)
    value, error = exact.excess_over(one)
    assert value > 3 * error


def test_weighted_events_are_events_drawn_elsewhere(drawn):
    """x ~ N(1, 5), weighted to N(0, 5): the score at 0 is x / 5."""
    x, _, _ = drawn["gaussian_in_gaussian"]
    log_weight = -(x[:, 0] ** 2 - (x[:, 0] - 1.0) ** 2) / 10
    found = full_information(x / 5, ["theta"], weights=np.exp(log_weight))
    assert abs(found["theta"] - 0.2) < 3 * found.error[0, 0]


def test_a_counting_experiment_has_the_information_of_its_rate():
    """Poisson(L (mu s + b)): I_mumu = L s^2 / (mu s + b); its maximum has the inverse as variance at the expected count."""
    s, b, mu, luminosity = 3.0, 2.0, 1.0, 10.0
    found = rate_information(mu * s + b, np.array([s]), ["mu"], luminosity=luminosity)
    assert found["mu"] == pytest.approx(luminosity * s**2 / (mu * s + b))
    assert found.error[0, 0] == 0.0 and found.standard_errors["mu"] == pytest.approx(50**0.5 / 30)
    both = rate_information(5.0, np.array([3.0, 1.0]), ["mu", "b"])
    np.testing.assert_allclose(both.matrix, np.array([[9.0, 3.0], [3.0, 1.0]]) / 5.0)
    with pytest.raises(qx.errors.UsageError, match="singular"):
        _ = both.standard_errors
    with pytest.raises(qx.errors.UsageError, match="positive rate"):
        rate_information(0.0, np.array([1.0]), ["mu"])


def test_the_error_of_a_rate_from_events_is_carried_along():
    """Of repeated weighted samples, the spread of L (d sigma)^2 / sigma is what one sample states."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        weights = rng.exponential(size=400) / 400
        scores = 1.0 + rng.normal(size=(400, 1))
        rate, gradient, covariance = rate_of_events(weights, scores)
        found.append(rate_information(rate, gradient, ["mu"], luminosity=50.0, covariance=covariance))
    spread = np.std([one["mu"] for one in found], ddof=1)
    stated = np.mean([one.error[0, 0] for one in found])
    assert abs(spread / stated - 1) < 4 * (2 * 299) ** -0.5
    assert abs(np.mean([one["mu"] for one in found]) / 50.0 - 1) < 0.02


def test_profiling_is_the_inverse_of_a_block_of_the_inverse():
    rng = np.random.default_rng(0)
    half = rng.normal(size=(6, 4))
    four = Information.exact(half.T @ half, "abcd")
    kept = four.profiled("c", "a")
    np.testing.assert_allclose(np.linalg.inv(kept.matrix), four.covariance[np.ix_([2, 0], [2, 0])], rtol=1e-9)
    np.testing.assert_allclose(four.profiled("a", "c", "d").profiled("a").matrix, four.profiled("a").matrix)
    assert four.projected("a")["a"] == four["a"] > four.profiled("a")["a"]
    assert four.expected_interval("a", 0.6827) == pytest.approx(four.standard_errors["a"], rel=1e-4)
    np.testing.assert_allclose((3 * four).covariance, four.covariance / 3)


def test_constraints_lead_from_profiling_to_projecting():
    both = Information.exact([[4.0, 2.0], [2.0, 2.0]], ("mu", "nu"))
    assert both.constrained(nu=1e6).profiled("mu")["mu"] == pytest.approx(2.0)
    assert both.constrained(nu=1e-6).profiled("mu")["mu"] == pytest.approx(4.0)
    assert both.constrained(nu=1).profiled("mu")["mu"] == pytest.approx(4.0 - 4.0 / 3.0)
    alone = Information.exact([[1.0, 0.0], [0.0, 0.0]], ("mu", "nu"))
    with pytest.raises(qx.errors.UsageError, match="singular"):
        alone.profiled("mu")
    assert alone.constrained(nu=2.0).profiled("mu")["mu"] == 1.0
    with pytest.raises(qx.errors.UsageError, match="positive standard deviation"):
        both.constrained(nu=0.0)
    with pytest.raises(qx.errors.NameMismatch, match="rho"):
        both.constrained(rho=1.0)


def test_profiling_carries_errors(drawn):
    """The spread over parts of the sample is what each part states."""
    _, _, joint = drawn["interference"]
    parts = [complete_information(part, ["a", "b"]).profiled("a") for part in np.split(joint, 200)]
    spread, stated = np.std([p["a"] for p in parts], ddof=1), np.mean([p.error[0, 0] for p in parts])
    # a first-order error of 100 events: a tenth of it is of second order
    assert abs(spread / stated - 1) < 4 * (2 * 199) ** -0.5 + 0.1


def test_ellipses_are_lines_of_expected_q(tmp_path):
    three = Information.exact([[4.0, 2.0, 1.0], [2.0, 3.0, 0.5], [1.0, 0.5, 2.0]], ("a", "b", "c"))
    curve = three.ellipse("a", "b", 0.95)
    q = three.profiled("a", "b").expected_q({"a": curve[:, 0], "b": curve[:, 1]}, {"a": 0.0, "b": 0.0})
    np.testing.assert_allclose(q, chi2.ppf(0.95, 2))
    # the ellipse reaches as far as the standard error times the root of its critical value
    assert np.max(curve[:, 0]) == pytest.approx(three.standard_errors["a"] * chi2.ppf(0.95, 2) ** 0.5, rel=1e-3)
    figure = three.plot("a", "b", at={"a": 1.0, "b": 2.0}, projected=three.constrained(c=1e-3))
    assert figure.legends[0].get_lines()[0].get_label().startswith("exact")
    back = qx.load(three.save(tmp_path / "information.qx"))
    assert repr(back) == repr(three) and np.array_equal(back.matrix, three.matrix)


def test_what_does_not_fit_is_refused():
    with pytest.raises(qx.errors.ShapeMismatch, match="one row an event"):
        full_information(np.zeros((10, 2)), ["theta"])
    with pytest.raises(qx.errors.UsageError, match="not finite"):
        full_information(np.array([[np.nan], [1.0]]), ["theta"])
    with pytest.raises(qx.errors.ShapeMismatch, match="observables"):
        histogram_information(np.ones((10, 1)), np.zeros((10, 3)), ["theta"])
    with pytest.raises(qx.errors.NameMismatch, match="in one order"):
        Information.exact([[1.0]], ["a"]) + Information.exact([[1.0]], ["b"])
    with pytest.raises(qx.errors.UsageError, match="symmetric"):
        Information.exact([[1.0, 2.0], [0.0, 1.0]], ["a", "b"])
