"""The law of a posterior, over every method: right on a conjugate problem, in moments and in calibration."""

import numpy as np
import pytest

import quincunx as qx
from quincunx.infer import DirectPosterior, PotentialPosterior

DIRECT = ("npe", "fmpe", "npse")
# score and reference-ratio fits cost most to compile; the two families are guarded by the others in the short run
SLOW = [pytest.param(method, marks=pytest.mark.slow) for method in ("npse", "ratio")]
ALL = ["npe", "fmpe", "nle", "nre", *SLOW]


def moments(problem, method):
    """Posterior mean and standard deviation for each fresh simulation, (B, 2) each."""
    estimator, x = problem.fit(method), problem.fresh.x
    posterior = estimator.posterior(problem.x_o)
    if method in DIRECT:
        draws = posterior.sample_many(200, x, key=3)
        flat = np.stack([draws["a"], draws["b"]], axis=-1)
        return flat.mean(1), flat.std(1)
    # the potential itself, by self-normalised importance sampling from the prior: no sampler stands between
    points = problem.prior.sample(1024, key=4)
    repeated = {k: np.broadcast_to(v, (len(x), 1024)) for k, v in points.items()}
    log_w = np.asarray(posterior.log_prob_many(repeated, x)) - np.asarray(problem.prior.log_prob(points))
    w = np.exp(log_w - log_w.max(1, keepdims=True))
    w = (w / w.sum(1, keepdims=True))[..., None]
    flat = np.stack([points["a"], points["b"]], axis=-1)
    mean = (w * flat).sum(1)
    return mean, np.sqrt((w * (flat - mean[:, None]) ** 2).sum(1))


@pytest.mark.parametrize("method", ALL)
def test_moments_and_calibration_on_a_conjugate_problem(problem, method):
    mean, sd = moments(problem, method)
    truth = np.stack([problem.fresh.theta["a"], problem.fresh.theta["b"]], axis=-1)
    exact_mean, exact_sd = problem.truth(problem.fresh.x)
    # z-scores of the true parameters have mean 0 and variance 1 under the exact posterior; four standard errors, with
    # the draws' own noise (200 draws, or as many effective ones) adding half a per cent to the variance
    z = ((truth - mean) / sd).ravel()
    assert abs(z.mean()) < 4 / np.sqrt(z.size)
    assert abs(z.var() - 1) < 4 * np.sqrt(2 / z.size) + 0.02
    # what N simulations can know: a regression with about twenty coefficients has relative error sqrt(20 / N)
    learned = np.sqrt(20 / problem.n)
    assert np.sqrt(np.mean((mean - exact_mean) ** 2)) / exact_sd < 4 * learned
    assert abs(np.mean(sd) / exact_sd - 1) < 2 * learned


@pytest.mark.parametrize("method", ["npe", pytest.param("fmpe", marks=pytest.mark.slow), SLOW[0]])
def test_the_density_of_a_direct_posterior_is_normalised_and_fits_its_draws(problem, method):
    posterior = problem.fit(method).posterior(problem.x_o)
    assert isinstance(posterior, DirectPosterior)
    draws = posterior.sample(500, key=5)
    mean, sd = problem.truth(problem.x_o)
    flat = np.stack([draws["a"], draws["b"]], axis=-1)
    exact = -0.5 * (((flat - mean) / sd) ** 2).sum(1) - 2 * np.log(sd * np.sqrt(2 * np.pi))
    # E_q[log q - log p] is the Kullback-Leibler divergence: not negative, and small where the fit is good
    gap = np.asarray(posterior.log_prob(draws)) - exact
    error = gap.std() / np.sqrt(len(gap))
    assert -3 * error < gap.mean() < 0.1 + 3 * error


def test_a_potential_posterior_is_drawn_by_a_sampler_that_reports_on_itself(problem):
    posterior = problem.fit("nle").posterior(problem.x_o)
    assert isinstance(posterior, PotentialPosterior)
    run = posterior.run(2000, key=6)
    mean, sd = problem.truth(problem.x_o)
    learned = np.sqrt(20 / problem.n)
    ess = float(np.min(run.ess))
    assert run.diagnostics["reason"] == "finished" and ess > 200
    theta = np.asarray(run.theta)
    assert np.all(np.abs(theta.mean(0) - mean) / sd < 4 * learned + 4 / np.sqrt(ess))
    assert np.all(np.abs(theta.std(0) / sd - 1) < 2 * learned + 4 / np.sqrt(2 * ess))
    table = posterior.summary(run)
    assert table["a"]["ess"] == pytest.approx(float(run.ess[0]))


def test_events_multiply(problem):
    """Nine independent events around 0.5 narrow the likelihood's posterior as the truth says."""
    posterior = problem.fit("nle").posterior(np.tile(problem.x_o, (9, 1)))
    grid = np.linspace(-1.5, 1.5, 3001)
    log_p = np.asarray(posterior.log_prob({"a": grid, "b": np.full(3001, -0.3)}), float)
    w = np.exp(log_p - log_p.max())
    mean = np.average(grid, weights=w)
    sd = np.sqrt(np.average((grid - mean) ** 2, weights=w))
    exact_mean, exact_sd = problem.truth(problem.x_o[0], events=9)
    # a bias of the surrogate's mean of sqrt(20 / N) noise units does not average out over events
    learned = np.sqrt(20 / problem.n)
    assert abs(mean - exact_mean) < 4 * learned * 0.5
    assert abs(sd / exact_sd - 1) < 4 * learned


def test_a_direct_posterior_of_single_outcomes_refuses_a_set(problem):
    with pytest.raises(qx.errors.ShapeMismatch, match="set of 9 events"):
        problem.fit("npe").posterior(np.tile(problem.x_o, (9, 1)))


def test_another_observation_compiles_nothing(problem):
    from quincunx.infer import amortised

    posterior = problem.fit("npe").posterior(problem.x_o)
    posterior.log_prob(posterior.sample(100, key=0))
    before = amortised._draw_block._cached._cache_size(), amortised._log_prob_block._cached._cache_size()
    other = posterior.given(np.array([-0.2, 0.1]))
    draws = other.sample(100, key=1)
    other.log_prob(draws)
    other.sample(97, key=2)
    # another fit of the same network is other numbers for the same program
    refit = type(posterior.estimator)
    assert isinstance(other.estimator, refit)
    after = amortised._draw_block._cached._cache_size(), amortised._log_prob_block._cached._cache_size()
    assert before == after


def test_same_key_same_draws_and_every_name(problem):
    posterior = problem.fit("npe").posterior(problem.x_o)
    one, two = posterior.sample(100, key=7), posterior.sample(100, key=7)
    assert list(one) == ["a", "b"] and one["a"].shape == (100,)
    assert np.array_equal(one["a"], two["a"])
    assert not np.array_equal(one["a"], posterior.sample(100, key=8)["a"])


def test_log_prob_many_agrees_with_one_at_a_time(problem):
    posterior = problem.fit("npe").posterior(problem.x_o)
    x = problem.fresh.x[:4]
    theta = {name: values[:4] for name, values in problem.fresh.theta.items()}
    together = posterior.log_prob_many(theta, x)
    single = [posterior.given(x[i]).log_prob({k: v[i] for k, v in theta.items()}) for i in range(4)]
    assert np.allclose(together, single, atol=1e-4)


def test_map_is_the_mode_of_a_normal(problem):
    posterior = problem.fit("npe").posterior(problem.x_o)
    best = posterior.map(key=0)
    mean, sd = problem.truth(problem.x_o)
    assert abs(float(best["a"]) - mean[0]) / sd < 4 * np.sqrt(20 / problem.n)
    assert float(posterior.log_prob(best)) >= float(np.max(posterior.log_prob(posterior.sample(1000, key=9)))) - 1e-3


def test_marginals_and_conditionals(problem):
    posterior = problem.fit("npe").posterior(problem.x_o)
    mean, sd = problem.truth(problem.x_o)
    marginal = posterior.marginal("b")
    assert list(marginal.sample(10, key=0)) == ["b"]
    exact = -0.5 * 0.0 - np.log(sd * np.sqrt(2 * np.pi))
    assert abs(float(marginal.log_prob({"b": mean[1]})) - exact) < 0.15
    conditional = posterior.conditional(a=0.4)
    assert conditional.names == ("b",)
    gap = conditional.log_prob({"b": np.array([0.0, 0.1])}) - posterior.log_prob(
        {"a": np.array([0.4, 0.4]), "b": np.array([0.0, 0.1])}
    )
    assert np.allclose(gap, 0.0, atol=1e-5)
    with pytest.raises(qx.errors.NameMismatch, match="'c'"):
        posterior.conditional(c=1.0)
    with pytest.raises(qx.errors.UsageError, match="left free"):
        posterior.conditional(a=0.0, b=0.0)


def test_export_to_arviz_keeps_names(problem):
    tree = problem.fit("npe").posterior(problem.x_o).to_arviz(50, key=0)
    assert tree["posterior"]["a"].shape == (1, 50)
    assert tree["posterior"]["a"].attrs["units"] == "m"
    assert np.allclose(tree["observed_data"]["x"].values, problem.x_o)
    assert set(tree.children) == {"posterior", "prior", "observed_data"}


@pytest.mark.parametrize("method", ["npe", "nle", "fmpe"])
def test_a_saved_posterior_answers_the_same_without_the_simulator(problem, method, tmp_path):
    posterior = problem.fit(method).posterior(problem.x_o)
    loaded = qx.load(posterior.save(tmp_path / "answer.qx"))
    theta = {"a": np.array([0.1, 0.4]), "b": np.array([0.0, -0.2])}
    assert np.allclose(loaded.log_prob(theta), posterior.log_prob(theta), atol=1e-6)
    assert np.array_equal(loaded.x_o, posterior.x_o) and loaded.names == posterior.names
    if method == "npe":
        assert np.array_equal(loaded.sample(100, key=7)["a"], posterior.sample(100, key=7)["a"])


def test_methods_describe_themselves(problem):
    estimator = problem.fit("npe")
    assert estimator.method["method"] == "npe" and estimator.method["members"] == 2
    assert estimator.surrogate.members == 2


def test_a_posterior_shows_itself_and_samples_for_a_look_only_where_that_is_quick(problem):
    """That the page is sound is a law of every value (tests/laws/test_notebook.py)."""
    direct, indirect = (problem.fit(method).posterior(problem.x_o) for method in ("npe", "nle"))
    page = direct._repr_html_()
    summary = direct.summary()
    assert "<svg" in page and f"{summary['a']['mean']:.4g}" in page and len(page.encode()) < 50_000
    assert repr(direct) == "DirectPosterior(parameters a, b; method npe; observation one outcome of 2 numbers)"
    assert "<svg" not in indirect._repr_html_() and "method nle" in repr(indirect)
    held = direct.conditional(b=0.5)
    assert "given b: 0.5" in repr(held) and "conditioned" in held._repr_html_()
    for value in (direct.estimator, direct.estimator.surrogate, direct.marginal("a"), direct.misspecification):
        assert "qx-card" in value._repr_html_() and " object at 0x" not in repr(value)
