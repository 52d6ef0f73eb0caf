"""Methods that learn from gold: z ~ N(theta, 2), x ~ N(z, 1), where log r(x | theta, theta') is exactly known."""

import jax
import numpy as np
import numpyro.distributions as dist
import pytest

import quincunx as qx
from quincunx.errors import NoGold, ShapeMismatch, UsageError
from quincunx.infer import learn_score, method_named, summary_ratio
from quincunx.learn import FitSettings
from quincunx.model import Reference
from quincunx.values import load

N = 4000
SMALL = {"network": {"width": 32, "depth": 1}, "settings": FitSettings(learning_rate=1e-2, min_steps=800)}
prior = qx.Prior(mu=dist.Normal(0.0, 1.5))
REFERENCE = Reference.mixture({"mu": np.array([-2.0, 0.0, 2.0])})


@qx.simulator(prior)
def toy(theta, *, key, at):
    """x with the log-probability of its z under another theta."""
    first, second = jax.random.split(key)
    z = theta["mu"] + 2.0 * jax.random.normal(first)
    x = z + jax.random.normal(second)
    return x[None], jax.scipy.stats.norm.logpdf(z, at["mu"], 2.0)


def exact(theta, reference, x):
    """(2 x (theta - theta') - theta^2 + theta'^2) / 10."""
    return (2 * x * (theta - reference) - theta**2 + reference**2) / 10


def grid():
    """x from the prior predictive, and pairs of theta from the prior."""
    rng = np.random.default_rng(0)
    theta, reference = rng.normal(0, 1.5, (2, 400, 8)).astype(np.float32)
    return theta, reference, rng.normal(0, np.sqrt(1.5**2 + 5), (400, 1)).astype(np.float32)


def error(estimator):
    theta, reference, x = grid()
    learned = np.asarray(estimator.log_ratio({"mu": theta}, {"mu": reference}, x), np.float64)
    return float(np.mean((learned - exact(theta, reference, x)) ** 2))


@pytest.fixture(scope="module")
def mined():
    return qx.simulate(toy, N, key=0, gold=REFERENCE)


def fitted(name, sims, **options):
    kind = {"members": 1, "reference": REFERENCE} if name not in ("scandal", "sally", "sallino") else {}
    return method_named(name, **{**SMALL, **kind, **options}).fit(sims, prior, key=1)


# What N labels can know: a logistic regression of twenty coefficients has errors of variance 4 * 20 / N; twice, for two theta. Gold
# can only know more.
KNOWABLE = 2 * 4 * 20 / N
# Each takes ten seconds to compile, and their functionals have laws of their own.
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("carl", "cascal")]


@pytest.mark.parametrize("name", ["alice", "alices", *SLOW])
def test_the_ratio_is_learned(mined, name):
    assert error(fitted(name, mined)) < 4 * KNOWABLE


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rolr", "rascal"])
def test_the_ratio_is_learned_by_regression_where_its_tails_are_short(name):
    """E[(1/r)^2] is infinite for distant points: with theta within 0.5 of the reference it is about one."""
    near = qx.Prior(mu=dist.Normal(0.0, 0.5))
    close = qx.wrap(toy.function, near)
    sims = qx.simulate(close, N, key=0, gold=Reference.at(mu=0.0))
    estimator = method_named(name, members=1, reference=Reference.at(mu=0.0), **SMALL).fit(sims, near, key=1)
    rng = np.random.default_rng(0)
    theta = rng.normal(0, 0.5, (400, 8)).astype(np.float32)
    x = rng.normal(0, np.sqrt(5.25), (400, 1)).astype(np.float32)
    learned = np.asarray(estimator.log_ratio({"mu": theta}, {"mu": np.zeros_like(theta)}, x), np.float64)
    assert np.mean((learned - exact(theta, 0.0, x)) ** 2) < 4 * KNOWABLE


@pytest.mark.slow
def test_gold_needs_fewer_simulations_than_labels(mined):
    assert error(fitted("alices", mined)) < 0.25 * error(fitted("carl", mined))


def test_a_doubly_parametrised_ratio_is_antisymmetric_and_right_at_any_pair(tmp_path):
    method = method_named("alices", doubly=True, members=1, **SMALL)
    sims = qx.simulate(toy, N, key=2, gold=method.mines(prior))
    estimator = method.fit(sims, prior, key=1)
    assert error(estimator) < 4 * KNOWABLE
    theta, reference, x = grid()
    there = np.asarray(estimator.log_ratio({"mu": theta}, {"mu": reference}, x))
    back = np.asarray(estimator.log_ratio({"mu": reference}, {"mu": theta}, x))
    np.testing.assert_allclose(there, -back, atol=1e-5)
    again = load(estimator.save(tmp_path / "pair.qx"))
    np.testing.assert_allclose(np.asarray(again.log_ratio({"mu": theta}, {"mu": reference}, x)), there, atol=1e-6)


def test_a_likelihood_with_scores_is_right_and_saves(tmp_path):
    sims = qx.simulate(toy, N, key=3, gold=True)
    estimator = method_named("scandal", density="gaussian", settings=SMALL["settings"]).fit(sims, prior, key=1)
    assert error(estimator) < 4 * KNOWABLE


def test_scores_serve_as_a_summary(tmp_path):
    """For a Gaussian the score at any point is sufficient, so that nothing is lost here."""
    posterior = qx.infer(toy, np.array([1.5]), method="sally", budget=2 * N, key=4, at={"mu": 0.0}, then="nle", **SMALL)
    summary = posterior.estimator.summary
    x = np.linspace(-5, 5, 41)[:, None].astype(np.float32)
    # the joint score has variance 1/4 - 1/5 about its mean; a line in x has two coefficients, a network say twenty
    bound = 4 * np.sqrt(0.05 * 20 / N)
    assert np.sqrt(np.mean((summary.score(x)[:, 0] - x[:, 0] / 5) ** 2)) < bound
    draws = np.asarray(posterior.sample(2000, key=5)["mu"])
    precision = 1 / 1.5**2 + 1 / 5
    assert abs(draws.mean() - 0.3 / precision) < 4 * np.sqrt(20 / N) / np.sqrt(precision)
    again = load(posterior.save(tmp_path / "sally.qx"))
    point = {"mu": np.array([0.2, 1.0])}
    np.testing.assert_allclose(again.log_prob(point), posterior.log_prob(point), atol=1e-5)


def test_scores_are_counted_into_ratios(mined):
    """By a histogram, by kernels and by the histogram of the projected score, against log r(x | 2, 0) = (2 x - 2) / 5."""
    theta = {name: {"mu": np.full(20_000, value, np.float32)} for name, value in (("far", 2.0), ("near", 0.0))}
    at = {name: qx.simulate(toy, theta=value, gold=True, key=i) for i, (name, value) in enumerate(theta.items())}
    summary = learn_score(at["near"], prior, key=2, **SMALL)
    x = np.linspace(-3, 5, 60)[:, None].astype(np.float32)
    exact_ratio = (2 * x[:, 0] - 2) / 5
    for kind, toward in (("histogram", None), ("kde", None), ("histogram", np.array([2.0]))):
        found = summary_ratio(summary, at["far"].x, at["near"].x, kind=kind, toward=toward).log_ratio(x)
        # 50 bins of 800 outcomes: a ratio of two counts of at least 100 has error sqrt(2 / 100), and a bin is 0.2 wide in x or so
        assert np.sqrt(np.mean((found - exact_ratio) ** 2)) < np.sqrt(2 / 100) + 0.4 * 0.2
    with pytest.raises(UsageError, match="histogram"):
        summary_ratio(summary, at["far"].x, at["near"].x, kind="splines")
    with pytest.raises(ShapeMismatch, match="flat theta"):
        summary_ratio(summary, at["far"].x, at["near"].x, toward=np.zeros(3))


@pytest.mark.slow
def test_one_projected_number_is_enough_for_one_parameter():
    posterior = qx.infer(toy, np.array([1.5]), method="sallino", budget=2 * N, key=4, at={"mu": 0.0}, **SMALL)
    assert error(posterior.estimator) < 4 * KNOWABLE


@pytest.mark.slow
def test_a_projected_score_stands_beside_settings_that_vary():
    """x ~ N(theta, 4 + s^2): log r(x | theta, 0, s) = (2 x theta - theta^2) / (2 (4 + s^2))."""

    @qx.simulator(prior)
    def seen_through(theta, *, key, at, design):
        first, second = jax.random.split(key)
        z = theta["mu"] + 2.0 * jax.random.normal(first)
        return (z + design["s"] * jax.random.normal(second))[None], jax.scipy.stats.norm.logpdf(z, at["mu"], 2.0)

    rng = np.random.default_rng(1)

    def settings(n):
        return {"s": rng.choice([0.5, 4.0], n).astype(np.float32)}

    near = {"mu": np.zeros(N, np.float32)}
    there = qx.simulate(seen_through, theta=near, gold=True, design=settings(N), key=6)
    sims = qx.simulate(seen_through, N, gold=True, design=settings(N), key=7)
    posterior = qx.infer(
        seen_through,
        np.array([1.5]),
        method="sallino",
        sims=sims,
        mined=there,
        at={"mu": 0.0},
        design={"s": 4.0},
        key=8,
        **SMALL,
    )
    theta, _, x = grid()
    # each setting has half of the simulations
    for s in (0.5, 4.0):
        told = posterior.estimator.log_ratio({"mu": theta}, {"mu": np.zeros_like(theta)}, x, design={"s": s})
        right = (2 * x * theta - theta**2) / (2 * (4 + s**2))
        assert np.mean((np.asarray(told) - right) ** 2) < 4 * 2 * KNOWABLE


def test_posteriors_from_gold_ratios_are_calibrated(mined):
    """z-scores of true parameters, by importance sampling from the prior: mean 0 and variance 1 within four standard errors."""
    posterior = fitted("alices", mined).posterior(np.array([0.0]))
    fresh = qx.simulate(toy, 400, key=6)
    points = {"mu": np.asarray(prior.sample(1024, key=7)["mu"])}
    rows = {"mu": np.broadcast_to(points["mu"], (400, 1024))}
    log_w = np.asarray(posterior.log_prob_many(rows, fresh.x)) - np.asarray(prior.log_prob(points))
    w = np.exp(log_w - log_w.max(1, keepdims=True))
    w /= w.sum(1, keepdims=True)
    mean = (w * points["mu"]).sum(1)
    sd = np.sqrt((w * (points["mu"] - mean[:, None]) ** 2).sum(1))
    z = (fresh.theta["mu"] - mean) / sd
    assert abs(z.mean()) < 4 / 20
    assert abs(z.var() - 1) < 4 * np.sqrt(2 / 400)


def test_shuffled_gold_teaches_nothing(mined):
    order = np.random.default_rng(8).permutation(N)
    # x is dealt anew: what remains is a ratio of one
    lost = qx.Simulations.of(mined.theta, mined.x[order], prior=prior, gold=mined.gold)
    estimator = fitted("carl", lost)
    theta, reference, x = grid()
    learned = np.asarray(estimator.log_ratio({"mu": theta}, {"mu": reference}, x))
    assert np.mean(learned**2) < 4 * KNOWABLE


def test_other_methods_do_not_learn_from_rows_of_the_reference(mined):
    own = mined.at_theta()
    assert 0.4 * N < len(own) < 0.6 * N
    settings = FitSettings(epochs=2)
    both = [qx.NPE(density="linear", members=1, settings=settings).fit(s, prior, key=9) for s in (mined, own)]
    draws = [np.asarray(e.posterior(np.array([1.0])).sample(50, key=0)["mu"]) for e in both]
    np.testing.assert_array_equal(*draws)


def test_what_is_missing_is_said(mined):
    plain = qx.simulate(toy, 200, key=0)
    for name, what in (("alices", "joint_log_ratio"), ("scandal", "joint_score")):
        with pytest.raises(NoGold, match=what):
            method_named(name).fit(plain, prior, key=0)
    with pytest.raises(NoGold, match="without simulations at its reference"):
        method_named("sally").fit(plain, prior, key=0)
    with pytest.raises(UsageError, match="more than one theta"):
        method_named("sally", mined=qx.simulate(toy, 200, key=0, gold=True)).fit(plain, prior, key=0)
    with pytest.raises(UsageError, match="doubly"):
        method_named("alices", doubly=True, degree=1).fit(mined, prior, key=0)
    with pytest.raises(NoGold, match="says nothing of its inside"):
        qx.infer(qx.wrap(lambda theta, *, key: theta["mu"][None], prior), [0.0], method="alice", budget=100, key=0)
