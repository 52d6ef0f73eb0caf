"""The laws that every sampler obeys, and what only some of them can do."""

import warnings

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
traces = []


def family(u, data):
    """A Gaussian that can be bent into a banana, doubled into two modes and cut by an edge: one compilation for all."""
    traces.append(1)
    bent = jnp.stack([u[0], u[1] - data["bend"] * (u[0] ** 2 - 1)])

    def bell(mean):
        return -0.5 * jnp.sum((data["whiten"] @ (bent - mean)) ** 2)

    both = jnp.logaddexp(jnp.log(data["weight"]) + bell(data["mean"]), jnp.log1p(-data["weight"]) + bell(-data["mean"]))
    return jnp.where(u[0] > data["edge"], both, -jnp.inf)


def member(mean=MEAN, covariance=COVARIANCE, bend=0.0, weight=1.0, edge=-1e9):
    whiten = np.linalg.inv(np.linalg.cholesky(np.asarray(covariance))).astype("float32")
    numbers = {"mean": mean, "whiten": whiten, "bend": bend, "weight": weight, "edge": edge}
    return {name: jnp.asarray(value, jnp.float32) for name, value in numbers.items()}


def sample(sampler="smc", n=N, key=0, **options):
    budget = {name: options.pop(name) for name in ("budget_seconds", "warn") if name in options}
    return draw(family, member(**options), prior_sample=PRIOR, n=n, key=key, sampler=sampler, **budget)


TWO_MODES = {"mean": [2.0, 0.0], "covariance": np.diag([0.09, 1.0])}


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
    return sample(request.param)


def test_law_right_moments_on_a_correlated_gaussian(gaussian_draws):
    ess = min(N, gaussian_draws.diagnostics["ess_bulk"].min())
    assert ess > 0.2 * N
    check_moments(gaussian_draws, MEAN, COVARIANCE, ess)


def test_law_reports_its_own_diagnostics(gaussian_draws):
    found = gaussian_draws.diagnostics
    assert found["reason"] == "finished" and gaussian_draws.u.shape == (N, 2) and gaussian_draws.warnings == ()
    assert found["ess_bulk"].shape == found["ess_tail"].shape == found["rhat"].shape == (2,)
    assert found["rhat"].max() < 1.01 and found["divergences"] <= 0.01 * N and found["seconds"] > 0
    assert 0 < found["acceptance"] <= 1 and found["evaluations"] > N


def test_law_the_next_observation_does_not_recompile(gaussian_draws):
    before = len(traces)
    moved = sample(gaussian_draws.sampler, key=1, mean=-MEAN)
    assert len(traces) == before
    assert np.all(
        np.abs(np.asarray(moved.u).mean(0) + MEAN)
        < 5 * np.sqrt(np.diag(COVARIANCE) / moved.diagnostics["ess_bulk"].min())
    )


def test_law_the_same_key_gives_the_same_draws(gaussian_draws):
    np.testing.assert_array_equal(sample(gaussian_draws.sampler).u, gaussian_draws.u)


def test_law_what_is_written_is_read_back(gaussian_draws, tmp_path):
    back = load(save(gaussian_draws, tmp_path / "draws.qx"))
    assert isinstance(back, Draws) and back.sampler == gaussian_draws.sampler
    np.testing.assert_array_equal(back.u, gaussian_draws.u)
    np.testing.assert_array_equal(back.diagnostics["ess_bulk"], gaussian_draws.diagnostics["ess_bulk"])


def test_law_no_time_is_no_crash(gaussian_draws):
    with pytest.warns(SamplerWarning, match=r"budget|not draws of the posterior|broader than the"):
        partial = sample(gaussian_draws.sampler, budget_seconds=1e-6)
    assert partial.diagnostics["reason"] == "budget" and partial.n > 0 and len(partial.warnings) == 2


def test_smc_evidence_of_a_gaussian():
    found = sample().diagnostics
    assert abs(found["log_evidence"] - EVIDENCE) < 4 * found["log_evidence_error"] < 0.2


@pytest.mark.parametrize("weight", [0.5, 0.2])
def test_smc_weighs_separate_modes(weight):
    result = sample(**TWO_MODES, weight=weight)
    first = np.asarray(result.u[:, 0])
    assert abs(np.mean(first > 0) - weight) < 4 * np.sqrt(weight * (1 - weight) / result.diagnostics["ess_bulk"][0])
    right = first[first > 0]
    assert abs(right.std() - 0.3) < 5 * 0.3 / np.sqrt(2 * len(right))
    assert result.warnings == ()


def test_chains_say_that_they_do_not_mix_modes():
    with pytest.warns(SamplerWarning, match="disagree"):
        result = sample("nuts", **TWO_MODES, weight=0.5)
    assert result.diagnostics["rhat"][0] > 1.5


def test_smc_follows_a_banana():
    """u1 = u0^2 - 1 + 0.3 e has variance 2.09; the sampling variance of its variance is about (60 - 4) / n."""
    result = sample(mean=[0.0, 0.0], covariance=np.diag([1.0, 0.09]), bend=1.0)
    u = np.asarray(result.u, np.float64)
    ess = result.diagnostics["ess_bulk"].min()
    assert np.all(np.abs(u.mean(0)) < 5 * np.sqrt(np.array([1, 2.09]) / ess))
    assert np.all(np.abs(u.var(0) - [1, 2.09]) < 5 * np.sqrt(np.array([2, 56]) / ess))


def test_smc_moves_with_gradients_above_ten_dimensions(monkeypatch):
    """The limit is lowered, so that two dimensions use the Hamiltonian moves."""
    monkeypatch.setattr("quincunx.infer.samplers.particles.JUMP_DIM", 1)
    result = sample()
    check_moments(result, MEAN, COVARIANCE, result.diagnostics["ess_bulk"].min())
    assert result.diagnostics["acceptance"] > 0.6


def test_many_observations_at_once():
    """Conjugate posteriors of six observations from one compilation."""
    x = np.random.default_rng(2).normal(size=(6, 2)).astype("float32")
    one = member()
    data = (jnp.asarray(x), one)
    result = draw_many(_shifted, data, axes=(0, None), prior_sample=PRIOR, n=400, key=0)
    assert result.u.shape == (6, 400, 2)
    ess = result.diagnostics["ess_bulk"].min()
    assert np.all(np.abs(np.asarray(result.u).mean(1) - x) < 5 * np.sqrt(np.diag(COVARIANCE) / ess))
    assert np.all(np.abs(result.diagnostics["log_evidence"] - EVIDENCE) < 5 * result.diagnostics["log_evidence_error"])


def _shifted(u, data):
    x, rest = data
    return family(u, rest | {"mean": x})


def test_importance_knows_a_good_proposal_from_a_bad_one():
    rng = np.random.default_rng(0)
    u = (MEAN + 1.2 * rng.normal(size=(20_000, 2))).astype("float32")
    log_q = -0.5 * ((u - MEAN) ** 2).sum(1) / 1.44 - np.log(2 * np.pi * 1.44).astype("float32")
    good = importance(family, member(), proposal_sample=u, proposal_log_prob=log_q, n=N, key=0)
    assert good.diagnostics["pareto_k"] < 0.5 and good.warnings == ()
    assert abs(good.diagnostics["log_evidence"] - EVIDENCE) < 4 * good.diagnostics["log_evidence_error"]
    # Resampling N of the weighted draws adds the variance of N draws to theirs.
    check_moments(good, MEAN, COVARIANCE, 1 / (1 / N + 1 / good.diagnostics["ess"]))
    narrow = (0.25 * rng.normal(size=(20_000, 2))).astype("float32")
    with pytest.warns(SamplerWarning, match="Pareto k"):
        bad = importance(family, member(), proposal_sample=narrow, proposal_log_prob=-8 * (narrow**2).sum(1))
    assert bad.diagnostics["pareto_k"] > 0.7 and bad.weights.shape == (20_000,)


def test_a_density_that_is_nowhere_finite_is_refused():
    with pytest.raises(UsageError, match="not finite"):
        sample(mean=[np.nan, 0.0])


def test_a_target_with_a_hard_edge():
    """Half a Gaussian: particles beyond the edge have density zero and must vanish, not poison the rest."""
    result = sample(mean=[0.0, 0.0], covariance=np.eye(2), edge=0.0)
    assert float(result.u[:, 0].min()) > 0
    assert abs(float(result.u[:, 0].mean()) - np.sqrt(2 / np.pi)) < 5 * 0.603 / np.sqrt(
        result.diagnostics["ess_bulk"][0]
    )


def test_bad_requests_are_refused():
    with pytest.raises(UsageError, match="n=0"):
        sample(n=0)
    with pytest.raises(UsageError, match="finite prior draws"):
        draw(family, member(), prior_sample=np.full((10, 2), np.nan, "float32"), n=10, key=0)


def test_the_rule():
    assert [choose_sampler(2), choose_sampler(31), choose_sampler(31, differentiable=False)] == ["smc", "nuts", "slice"]


def test_warnings_can_be_left_in_the_value():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(sample(budget_seconds=1e-6, warn=False).warnings) > 0
