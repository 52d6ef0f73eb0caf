"""The laws that every sampler obeys, and what only some of them can do."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quincunx.errors import SamplerWarning, UsageError
from quincunx.infer.samplers import draw, draw_many, importance
from quincunx.infer.samplers.choose import choose_sampler
from quincunx.infer.samplers.draws import Draws
from quincunx.values import load, save

N = 2000
PRIOR = (2.0 * np.random.default_rng(1).normal(size=(2000, 2))).astype("float32")
MEAN = np.array([0.6, -0.4], "float32")
COVARIANCE = np.array([[0.5, 0.35], [0.35, 0.4]], "float32")
EVIDENCE = float(np.log(2 * np.pi) + 0.5 * np.linalg.slogdet(COVARIANCE)[1])
WHITEN = jnp.asarray(np.linalg.inv(np.linalg.cholesky(COVARIANCE)).astype("float32"))
traces = []


def gaussian(u, data):
    """A correlated Gaussian without its normaliser."""
    traces.append(1)
    mean, whiten = data
    z = whiten @ (u - mean)
    return -0.5 * jnp.sum(z * z)


def two_modes(u, weight):
    """weight N(-2, 0.3^2) + (1 - weight) N(2, 0.3^2) in the first coordinate, N(0, 1) in the second."""
    first = jnp.stack([jnp.log(weight) - 0.5 * ((u[0] + 2) / 0.3) ** 2, jnp.log1p(-weight) - 0.5 * ((u[0] - 2) / 0.3) ** 2])
    return jax.nn.logsumexp(first) - 0.5 * u[1] ** 2


def banana(u, width):
    """u0 ~ N(0, 1), u1 | u0 ~ N(u0^2 - 1, width^2): means 0, variances 1 and 2 + width^2."""
    return -0.5 * u[0] ** 2 - 0.5 * ((u[1] - u[0] ** 2 + 1) / width) ** 2


def check_moments(draws, mean, covariance, ess):
    """Means and covariances within five standard errors of the truth, judged by the sampler's own effective size."""
    u = np.asarray(draws.u, np.float64)
    sd = np.sqrt(np.diag(covariance))
    assert np.all(np.abs(u.mean(0) - mean) < 5 * sd / np.sqrt(ess))
    found = np.cov(u.T)
    error = np.sqrt((covariance**2 + np.outer(sd, sd) ** 2) / ess)
    assert np.all(np.abs(found - covariance) < 5 * error)


@pytest.fixture(scope="module", params=["smc", "nuts", "slice"])
def gaussian_draws(request):
    return draw(gaussian, (jnp.asarray(MEAN), WHITEN), prior_sample=PRIOR, n=N, key=0, sampler=request.param)


def test_law_right_moments_on_a_correlated_gaussian(gaussian_draws):
    ess = min(N, gaussian_draws.diagnostics["ess_bulk"].min())
    assert ess > 0.2 * N
    check_moments(gaussian_draws, MEAN, COVARIANCE, ess)


def test_law_reports_its_own_diagnostics(gaussian_draws):
    found = gaussian_draws.diagnostics
    assert found["reason"] == "finished" and gaussian_draws.u.shape == (N, 2) and gaussian_draws.warnings == ()
    assert found["ess_bulk"].shape == found["ess_tail"].shape == found["rhat"].shape == (2,)
    assert found["rhat"].max() < 1.01 and found["divergences"] == 0 and found["seconds"] > 0
    assert 0 < found["acceptance"] <= 1 and found["evaluations"] > N


def test_law_the_next_observation_does_not_recompile(gaussian_draws):
    before = len(traces)
    moved = draw(gaussian, (jnp.asarray(-MEAN), WHITEN), prior_sample=PRIOR, n=N, key=1, sampler=gaussian_draws.sampler)
    assert len(traces) == before
    assert np.all(np.abs(np.asarray(moved.u).mean(0) + MEAN) < 5 * np.sqrt(np.diag(COVARIANCE) / moved.diagnostics["ess_bulk"].min()))


def test_law_the_same_key_gives_the_same_draws(gaussian_draws):
    again = draw(gaussian, (jnp.asarray(MEAN), WHITEN), prior_sample=PRIOR, n=N, key=0, sampler=gaussian_draws.sampler)
    np.testing.assert_array_equal(again.u, gaussian_draws.u)


def test_law_what_is_written_is_read_back(gaussian_draws, tmp_path):
    back = load(save(gaussian_draws, tmp_path / "draws.qx"))
    assert isinstance(back, Draws) and back.sampler == gaussian_draws.sampler
    np.testing.assert_array_equal(back.u, gaussian_draws.u)
    np.testing.assert_array_equal(back.diagnostics["ess_bulk"], gaussian_draws.diagnostics["ess_bulk"])


def test_law_no_time_is_no_crash(gaussian_draws):
    with pytest.warns(SamplerWarning, match="budget"):
        partial = draw(
            gaussian, (jnp.asarray(MEAN), WHITEN), prior_sample=PRIOR, n=N, key=0, sampler=gaussian_draws.sampler, budget_seconds=1e-6
        )
    assert partial.diagnostics["reason"] == "budget" and partial.n > 0


def test_smc_evidence_of_a_gaussian():
    result = draw(gaussian, (jnp.asarray(MEAN), WHITEN), prior_sample=PRIOR, n=N, key=0, sampler="smc")
    assert abs(result.diagnostics["log_evidence"] - EVIDENCE) < 4 * result.diagnostics["log_evidence_error"]
    assert result.diagnostics["log_evidence_error"] < 0.05


@pytest.fixture(scope="module")
def mode_draws():
    return [draw(two_modes, jnp.float32(w), prior_sample=PRIOR, n=N, key=0) for w in (0.5, 0.2)]


def test_smc_weighs_separate_modes(mode_draws):
    for weight, result in zip((0.5, 0.2), mode_draws, strict=True):
        left = float(jnp.mean(result.u[:, 0] < 0))
        assert abs(left - weight) < 4 * np.sqrt(weight * (1 - weight) / result.diagnostics["ess_bulk"][0])
        assert np.asarray(result.u[:, 0])[np.asarray(result.u[:, 0]) < 0].std() == pytest.approx(0.3, rel=0.15)
        assert result.warnings == ()


def test_chains_say_that_they_do_not_mix_modes():
    with pytest.warns(SamplerWarning, match="disagree"):
        result = draw(two_modes, jnp.float32(0.5), prior_sample=PRIOR, n=N, key=0, sampler="nuts")
    assert result.diagnostics["rhat"][0] > 1.5


def test_smc_follows_a_banana():
    """The variance of u1 is a fourth moment of a Gaussian: its sampling error is sqrt((60 - 4) / n)."""
    result = draw(banana, jnp.float32(0.3), prior_sample=2 * PRIOR, n=N, key=0)
    u = np.asarray(result.u, np.float64)
    ess = result.diagnostics["ess_bulk"].min()
    assert abs(u[:, 0].mean()) < 5 / np.sqrt(ess) and abs(u[:, 1].mean()) < 5 * np.sqrt(2.09 / ess)
    assert abs(u[:, 0].var() - 1) < 5 * np.sqrt(2 / ess) and abs(u[:, 1].var() - 2.09) < 5 * np.sqrt(56 / ess)


def test_smc_moves_with_gradients_when_asked(monkeypatch):
    """Above ten dimensions the moves are Hamiltonian; here the limit is lowered so that two dimensions use them."""
    monkeypatch.setattr("quincunx.infer.samplers.particles.JUMP_DIM", 1)
    result = draw(gaussian, (jnp.asarray(MEAN), WHITEN), prior_sample=PRIOR, n=N, key=0, sampler="smc")
    check_moments(result, MEAN, COVARIANCE, result.diagnostics["ess_bulk"].min())
    assert result.diagnostics["acceptance"] > 0.6


def test_many_observations_at_once():
    """Means of conjugate posteriors for six observations, from one compilation, each as if alone."""
    x = jnp.asarray(np.random.default_rng(2).normal(size=(6, 2)), jnp.float32)
    result = draw_many(gaussian, (x, WHITEN), axes=(0, None), prior_sample=PRIOR, n=400, key=0)
    assert result.u.shape == (6, 400, 2)
    error = np.sqrt(np.diag(COVARIANCE) / 300)
    assert np.all(np.abs(np.asarray(result.u).mean(1) - np.asarray(x)) < 5 * error)
    assert np.all(np.abs(result.diagnostics["log_evidence"] - EVIDENCE) < 5 * result.diagnostics["log_evidence_error"])
    fewer = draw_many(gaussian, (x[:6][::-1], WHITEN), axes=(0, None), prior_sample=PRIOR, n=400, key=0)
    assert fewer.u.shape == (6, 400, 2)


def test_importance_knows_a_good_proposal_from_a_bad_one():
    rng = np.random.default_rng(0)
    u = (MEAN + 1.2 * rng.normal(size=(20_000, 2))).astype("float32")
    log_q = -0.5 * ((u - MEAN) ** 2).sum(1) / 1.44 - np.log(2 * np.pi * 1.44).astype("float32")
    data = (jnp.asarray(MEAN), WHITEN)
    good = importance(gaussian, data, proposal_sample=u, proposal_log_prob=log_q, n=N, key=0)
    assert good.diagnostics["pareto_k"] < 0.5 and good.warnings == ()
    assert abs(good.diagnostics["log_evidence"] - EVIDENCE) < 4 * good.diagnostics["log_evidence_error"]
    check_moments(good, MEAN, COVARIANCE, min(N, good.diagnostics["ess"]) / 2)
    narrow = (0.25 * rng.normal(size=(5000, 2))).astype("float32")
    with pytest.warns(SamplerWarning, match="Pareto k"):
        bad = importance(gaussian, data, proposal_sample=narrow, proposal_log_prob=-8 * (narrow**2).sum(1))
    assert bad.diagnostics["pareto_k"] > 0.7 and bad.weights.shape == (5000,)


def test_a_density_that_is_nowhere_finite_is_refused():
    with pytest.raises(UsageError, match="not finite"):
        draw(lambda u, data: jnp.sum(u) * data, jnp.float32(np.nan), prior_sample=PRIOR, n=100, key=0)


def test_a_target_with_a_hard_edge():
    """A half-normal: particles beyond the edge have density zero and must vanish, not poison the rest."""
    result = draw(lambda u, edge: jnp.where(u[0] > edge, -0.5 * jnp.sum(u**2), -jnp.inf), jnp.float32(0.0), prior_sample=PRIOR, n=N, key=0)
    assert float(result.u[:, 0].min()) > 0
    assert abs(float(result.u[:, 0].mean()) - np.sqrt(2 / np.pi)) < 5 * 0.6 / np.sqrt(N)


def test_bad_requests_are_refused():
    with pytest.raises(UsageError, match="n=0"):
        draw(gaussian, (jnp.asarray(MEAN), WHITEN), prior_sample=PRIOR, n=0, key=0)
    with pytest.raises(UsageError, match="finite prior draws"):
        draw(gaussian, (jnp.asarray(MEAN), WHITEN), prior_sample=np.full((10, 2), np.nan, "float32"), n=10, key=0)


def test_the_rule():
    assert [choose_sampler(2), choose_sampler(31), choose_sampler(31, differentiable=False)] == ["smc", "nuts", "slice"]


def test_warnings_can_be_left_in_the_value():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = draw(gaussian, (jnp.asarray(MEAN), WHITEN), prior_sample=PRIOR, n=N, key=0, sampler="smc", budget_seconds=1e-6, warn=False)
    assert len(result.warnings) > 0
