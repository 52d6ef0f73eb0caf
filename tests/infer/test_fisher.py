"""Fisher information: closed forms, errors, the order of what observables can tell, and what follows from a matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

import quincunx as qx
from quincunx.infer import (
    Information,
    Likelihood,
    complete_information,
    full_information,
    histogram_information,
    rate_information,
    rate_of_events,
)


@pytest.fixture(scope="module")
def gaussian():
    """z ~ N(theta, 4), x ~ N(z, 1) at theta = 0: joint score z / 4, score x / 5."""
    rng = np.random.default_rng(0)
    z = rng.normal(0.0, 2.0, 50_000)
    return z, z + rng.normal(0.0, 1.0, z.size)


def test_full_and_complete_information_of_a_gaussian(gaussian):
    z, x = gaussian
    for found, exact in (
        (full_information(x[:, None] / 5, ["theta"]), 0.2),
        (complete_information(z[:, None] / 4, ["theta"]), 0.25),
    ):
        # t^2 is its mean times a chi-squared number, of variance 2
        assert found.error[0, 0] == pytest.approx(exact * (2 / x.size) ** 0.5, rel=0.05)
        assert abs(found["theta"] - exact) < 4 * found.error[0, 0]


def test_bins_lose_information_and_many_bins_lose_none(gaussian):
    z, x = gaussian
    full = full_information(x[:, None] / 5, ["theta"])
    few, many = (histogram_information(z[:, None] / 4, x, ["theta"], bins=bins) for bins in (2, 200))
    # two halves keep 2 / pi; the bias of two hundred means of noisy joint scores is taken off
    assert abs(few["theta"] - 0.2 * 2 / np.pi) < 4 * few.error[0, 0]
    assert abs(many["theta"] - 0.2) < 4 * many.error[0, 0] + 0.2e-3
    assert full["theta"] - few["theta"] > 10 * few.error[0, 0]


def test_weights_move_events_to_another_parameter(gaussian):
    _, x = gaussian
    weights = np.exp((2 * x * 0.5 - 0.25) / 10)
    moved = full_information((x[:, None] - 0.5) / 5, ["theta"], weights=weights)
    assert abs(moved["theta"] - 0.2) < 4 * moved.error[0, 0]


def test_the_board_keeps_63_percent_of_what_its_paths_tell():
    board = qx.gallery.load("galton_generalised")
    exact = Likelihood.of(board.truth.log_likelihood, board.prior)
    theta = {"theta": jnp.asarray(-0.7)}
    x, z = jax.jit(jax.vmap(lambda k: board.gold.run(theta, k)))(jax.random.split(jax.random.key(0), 20_000))
    joint = jax.jit(jax.vmap(lambda x, z: board.gold.joint_score(theta, x, z)["theta"]))(x, z)
    joint = np.asarray(joint)[:, None]
    score = exact.score({"theta": -0.7}, np.asarray(x))
    full, complete = full_information(score, ["theta"]), complete_information(joint, ["theta"])
    assert abs(full["theta"] - 1.695387) < 4 * full.error[0, 0]
    assert abs(complete["theta"] - 2.686991) < 4 * complete.error[0, 0]
    coarse = histogram_information(joint, x, ["theta"], bins=[[9.5, 12.5, 18.5, 21.5]])
    wide = histogram_information(joint, x, ["theta"], bins=[[15.5]])
    for lower, upper in ((wide, coarse), (coarse, full), (full, complete)):
        smallest, error = upper.excess_over(lower)
        assert smallest > -3 * error
    assert full["theta"] - wide["theta"] > 10 * wide.error[0, 0]


def test_the_order_of_matrices_holds_in_two_parameters():
    """x = (x_1, x_2) ~ N(theta, C): scores C^-1 x, latents seen as well, and histograms of one or both observables."""
    rng = np.random.default_rng(1)
    latent = rng.normal(size=(20_000, 2)) @ np.array([[1.0, 0.5], [0.0, 0.8]])
    x = latent + 0.7 * rng.normal(size=latent.shape)
    prior = np.array([[1.0, 0.5], [0.5, 0.89]])
    joint = latent @ np.linalg.inv(prior)
    score = x @ np.linalg.inv(prior + 0.49 * np.eye(2))
    names = ["a", "b"]
    full, complete = full_information(score, names), complete_information(joint, names)
    one, two = histogram_information(joint, x[:, 0], names, bins=8), histogram_information(joint, x, names, bins=8)
    for lower, upper in ((one, full), (two, full), (full, complete), (one, two)):
        smallest, error = upper.excess_over(lower)
        assert smallest > -3 * error
    np.testing.assert_allclose(full.matrix, np.linalg.inv(prior + 0.49 * np.eye(2)), atol=4 * full.error.max())


def test_the_rate_and_its_errors():
    rng = np.random.default_rng(2)
    found = rate_information(3.0, np.array([1.0, -2.0]), ["a", "b"], luminosity=6.0)
    np.testing.assert_allclose(found.matrix, 2.0 * np.array([[1.0, -2.0], [-2.0, 4.0]]))
    assert not found.error.any()
    # repeated samples of weighted events scatter as the error says
    told = []
    for _ in range(200):
        t = rng.normal(1.0, 1.0, (400, 1))
        sigma, slope, covariance = rate_of_events(np.full(400, 1 / 400), t)
        told.append(rate_information(sigma, slope, ["a"], covariance=covariance))
    values, errors = (np.array([v[0, 0] for v in parts]) for parts in zip(*((i.matrix, i.error) for i in told)))
    assert values.std() == pytest.approx(errors.mean(), rel=4 / 400**0.5)
    with pytest.raises(qx.errors.UsageError, match="positive"):
        rate_information(0.0, np.array([1.0]), ["a"])


def test_profiling_projecting_constraining_and_adding():
    matrix = np.array([[4.0, 2.0, 0.0], [2.0, 2.0, 0.5], [0.0, 0.5, 1.0]])
    one = Information.exact(matrix, ("a", "b", "c"))
    inverse = np.linalg.inv(matrix)
    assert one.profiled("a")["a"] == pytest.approx(1 / inverse[0, 0])
    np.testing.assert_allclose(one.profiled("c", "a").covariance, inverse[np.ix_([2, 0], [2, 0])])
    assert one.projected("a")["a"] == 4.0
    known = one.constrained(b=0.1)
    assert known.profiled("a")["a"] == pytest.approx(1 / np.linalg.inv(matrix + np.diag([0, 100.0, 0]))[0, 0])
    np.testing.assert_allclose((3 * one + one).matrix, 4 * matrix)
    assert one.expected_interval("a", 0.95) == pytest.approx(1.95996 * inverse[0, 0] ** 0.5, rel=1e-5)
    q = one.expected_q({"a": np.array([0.0, 1.0]), "b": np.zeros(2), "c": np.zeros(2)}, {"a": 0.0, "b": 0.0, "c": 0.0})
    np.testing.assert_allclose(q, [0.0, 4.0])
    ellipse = one.ellipse("a", "b", 0.95)
    pair = one.profiled("a", "b").matrix
    np.testing.assert_allclose(np.einsum("ni,ij,nj->n", ellipse, pair, ellipse), chi2.ppf(0.95, 2))
    assert one.plot("a", "b", other=2 * one).axes[0].get_xlabel() == "a"
    with pytest.raises(qx.errors.NameMismatch):
        one.profiled("d")
    with pytest.raises(qx.errors.UsageError, match="singular"):
        Information.exact(np.zeros((2, 2)), ("a", "b")).profiled("a")


def test_errors_are_carried_through_profiling():
    """The profiled information of repeated samples scatters as its error says."""
    rng = np.random.default_rng(3)
    told = []
    for _ in range(200):
        t = rng.normal(size=(500, 2)) @ np.array([[1.0, 0.6], [0.0, 0.8]])
        told.append(full_information(t, ["a", "b"]).profiled("a"))
    values, errors = (np.array([v[0, 0] for v in parts]) for parts in zip(*((i.matrix, i.error) for i in told)))
    assert values.std() == pytest.approx(errors.mean(), rel=4 / 400**0.5)


def test_information_survives_a_file_and_bad_scores_are_refused(gaussian, tmp_path):
    found = full_information(gaussian[1][:, None] / 5, ["theta"])
    back = qx.load(found.save(tmp_path / "information.qx"))
    assert repr(back) == repr(found) and back.error[0, 0] == found.error[0, 0]
    with pytest.raises(qx.errors.ShapeMismatch):
        full_information(np.ones((5, 2)), ["theta"])
    with pytest.raises(qx.errors.UsageError, match="finite"):
        full_information(np.array([[1.0], [np.nan]]), ["theta"])
    with pytest.raises(qx.errors.ShapeMismatch, match="one or two"):
        histogram_information(np.ones((5, 1)), np.ones((5, 3)), ["theta"])
