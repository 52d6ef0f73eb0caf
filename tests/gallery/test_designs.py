"""Problems with experimental settings: what all of them owe, and what is exactly known of each."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

import quincunx as qx
from quincunx import gallery
from quincunx.check.trials import _log_p
from quincunx.errors import NameMismatch, UsageError
from quincunx.gallery.catalogue import entry
from quincunx.gallery.epidemic_times import infected_path
from quincunx.gallery.location_finding import signal
from quincunx.gallery.pharmacokinetics import CENTRES, concentration
from quincunx.model.precision import double_scope

NAMES = [
    "weinberg_toy",
    "weinberg",
    "death_process",
    "threshold",
    "location_finding",
    "pharmacokinetics",
    "epidemic_times",
    "linear_gaussian_design",
]


@pytest.fixture(scope="module", params=NAMES)
def problem(request):
    return gallery.load(request.param)


def other_design(problem):
    """A third of the way from one end of the space to the other."""
    return {
        name: np.full(np.shape(value), low + (high - low) / 3, np.float32)
        for (name, (low, high, *_)), value in zip(problem.space.items(), problem.default_design.values())
    }


@pytest.mark.slow
def test_problems_with_a_space_are_in_the_list():
    inside = [name for name in gallery.names() if entry(name).module != "weinberg_external"]
    assert [name for name in inside if gallery.load(name).space is not None] == NAMES


def test_the_space_holds_the_default(problem):
    assert set(problem.space) == set(problem.default_design)
    for name, (low, high, *length) in problem.space.items():
        assert np.shape(problem.default_design[name]) == tuple(length)
        assert np.all(np.asarray(problem.default_design[name]) >= low)
        assert np.all(np.asarray(problem.default_design[name]) <= high)


def test_no_design_is_the_default_and_another_one_differs(problem):
    theta = {name: jnp.asarray(value, jnp.float32) for name, value in problem.default_theta.items()}
    other = other_design(problem)
    design = {name: jnp.asarray(value, jnp.float32) for name, value in problem.default_design.items()}
    x = problem.simulator(theta, key=3)
    np.testing.assert_allclose(problem.simulator(theta, key=3, design=design), x, rtol=1e-5)
    elsewhere = problem.simulator(theta, key=3, design=other)
    assert elsewhere.shape == x.shape
    with pytest.raises(NameMismatch, match="design settings"):
        problem.simulator(theta, key=3, design={"nonsense": 1.0})
    log_likelihood = problem.simulator.tractable and problem.simulator.tractable.log_likelihood
    if not log_likelihood:
        return
    # One theta, one outcome, one design, of which all three are traced and differentiated.
    both = jax.jit(jax.value_and_grad(log_likelihood, argnums=(0, 2)))
    value, slopes = both(theta, x, design)
    assert float(value) == pytest.approx(float(log_likelihood(theta, x)), rel=1e-5)
    assert float(both(theta, x, {name: jnp.asarray(v) for name, v in other.items()})[0]) != float(value)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(slopes))


def test_outcomes_are_all_there_are(problem):
    if problem.outcomes is None:
        return
    log_likelihood = jax.jit(jax.vmap(problem.truth.log_likelihood, in_axes=(None, 0, None)))
    p = jnp.exp(
        log_likelihood(problem.default_theta, jnp.asarray(problem.outcomes, jnp.float32), other_design(problem))
    )
    assert float(p.sum()) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    "name, setting, known",
    [
        ("threshold", "level", {0: 0.231138, 0.5: 0.216067, 1: 0.176600, 2: 0.079645, -2: 0.079645}),
        ("linear_gaussian_design", "slopes", {0: 0.0, 1: 0.804719, 2: 1.416607, 5: 2.307560}),
        (
            "death_process",
            "time",
            {
                0.1: 0.63971,
                0.5: 1.19524,
                1: 1.34243,
                1.5: 1.34929,
                2: 1.30220,
                3: 1.15841,
                5: 0.89377,
                1.2758: 1.355920,
            },
        ),
    ],
)
def test_the_expected_information_gain(name, setting, known):
    digits = 5.1e-6 if name == "death_process" else 5.1e-7
    for value, nats in known.items():
        assert gallery.load(name).truth.eig({setting: float(value)}) == pytest.approx(nats, abs=digits)


@pytest.mark.parametrize("population, best, nats", [(50, 1.2758, 1.355920), (10, 1.4660, 0.704825)])
def test_the_best_time_to_count_the_dead(population, best, nats):
    eig = gallery.load("death_process", population=population).truth.eig
    times = best + np.array([-2e-3, -1e-3, 0.0, 1e-3, 2e-3])
    a, b, c = np.polyfit(times - best, [eig({"time": float(t)}) for t in times], 2)
    assert a < 0 and abs(-b / (2 * a)) < 6e-5
    assert c == pytest.approx(nats, abs=6e-7)


def test_a_line_in_several_dimensions():
    line = gallery.load(
        "linear_gaussian_design", slopes=((1, 0.5), (1, -1), (1, 2)), prior_sd=(2, 1), noise_sd=0.5**0.5
    )
    assert line.truth.eig(line.default_design) == pytest.approx(2.763721, abs=5e-7)
    # Bayes' theorem holds, where the posterior and the evidence come from different matrices.
    theta, x = {"theta": jnp.array([0.3, -0.2])}, jnp.array([0.5, -1.0, 2.0])
    truth = line.truth

    @jax.jit
    def sides(theta, x):
        left = truth.log_posterior(theta, x) + truth.log_evidence(x)
        return left, truth.log_likelihood(theta, x) + line.prior.log_prob(theta)

    left, right = sides(theta, x)
    assert float(left) == pytest.approx(float(right), abs=1e-4)
    row = gallery.load("linear_gaussian_design", slopes=(1.0, 2.0))
    assert row.simulator.observables == ("x[0]",) and row.prior.dim == 2
    with pytest.raises(UsageError, match="widths"):
        gallery.load("linear_gaussian_design", slopes=(1.0, 2.0), prior_sd=(1.0, 1.0, 1.0))


def test_sources_by_hand():
    sources = jnp.array([[0.5, 0.25], [-1.0, 0.75]])
    position = jnp.array([0.25, -0.5])
    near, far = 0.25**2 + 0.75**2, 1.25**2 + 1.25**2
    mean = np.log(0.1 + 1 / (1e-4 + near) + 1 / (1e-4 + far))
    assert float(signal(sources, position)) == pytest.approx(mean, abs=1e-6)
    truth = gallery.load("location_finding").truth
    found = truth.log_likelihood({"theta": sources}, jnp.array([1.0]), {"east": 0.25, "north": -0.5})
    assert float(found) == pytest.approx(stats.norm.logpdf(1.0, mean, 0.5), abs=1e-5)
    # On top of a source: log(0.1 + 10^4 + ...).
    assert float(signal(sources[:1], sources[0])) == pytest.approx(np.log(0.1 + 1e4), abs=1e-5)
    assert gallery.load("location_finding", sources=3).prior.dim == 6


def test_exact_posteriors_take_the_design():
    """By the mean of the rank of the truth, under designs other than the default."""
    for name in ("location_finding", "weinberg_toy"):
        problem = gallery.load(name)
        design = other_design(problem)
        theta = problem.prior.sample(40, key=5)
        x = problem.simulator.batch(theta, keys=jax.random.split(jax.random.key(6), 40), design=design)
        sample = problem.truth.posterior_sample
        parameter = problem.prior.names[0]
        settings = {name: jnp.asarray(value) for name, value in design.items()}
        ranks = [
            np.mean(
                np.asarray(sample(19, x[i], settings, key=jax.random.key(i))[parameter]).reshape(19, -1)[:, 0]
                < np.asarray(theta[parameter][i]).reshape(-1)[0]
            )
            for i in range(40)
        ]
        assert (
            stats.kstest(
                np.array(ranks) + np.random.default_rng(0).uniform(-0.025, 0.025, 40), "uniform", (-0.025, 1.05)
            ).pvalue
            > 1e-4
        )


def test_equal_rates_are_a_limit():
    with double_scope():
        times = jnp.linspace(0.0, 24.0, 25)
        value = jax.jit(lambda k_a, k_e: concentration(k_a, k_e, jnp.asarray(20.0), times))
        slope = jax.jit(jax.jacfwd(lambda rates: concentration(rates[0], rates[1], jnp.asarray(20.0), times)))
        k = 0.3
        limit = 400 / 20 * k * np.asarray(times) * np.exp(-k * np.asarray(times))
        np.testing.assert_allclose(value(jnp.asarray(k), jnp.asarray(k)), limit, rtol=1e-12)
        # d/dk_a and d/dk_e at the meeting point: 1/k - t/2 and -t/2 times the limit.
        at = np.asarray(slope(jnp.array([k, k])))
        np.testing.assert_allclose(at[:, 0], limit * (1 / k - np.asarray(times) / 2), atol=1e-10)
        np.testing.assert_allclose(at[:, 1], limit * -np.asarray(times) / 2, atol=1e-10)
        for k_a, k_e in ((1.0, 0.1), (0.1, 1.0), (0.3001, 0.3), (0.5, 0.45)):
            direct = 20 * k_a / (k_a - k_e) * (np.exp(-k_e * np.asarray(times)) - np.exp(-k_a * np.asarray(times)))
            np.testing.assert_allclose(value(jnp.asarray(k_a), jnp.asarray(k_e)), direct, rtol=1e-9, atol=1e-12)
            step = 1e-6
            across = value(jnp.asarray(k_a + step), jnp.asarray(k_e)) - value(jnp.asarray(k_a - step), jnp.asarray(k_e))
            found = np.asarray(slope(jnp.array([k_a, k_e])))[:, 0]
            np.testing.assert_allclose(found, np.asarray(across) / (2 * step), rtol=1e-5, atol=1e-7)
    # In single precision too.
    rates = jnp.array([0.3, 0.3000001])
    gradient = jax.jacfwd(
        lambda rates: concentration(rates[0], rates[1], jnp.asarray(20.0), jnp.array([0.0, 1.0, 24.0]))
    )
    assert bool(jnp.isfinite(gradient(rates)).all())


def test_any_number_of_samples_may_be_taken():
    drug, design = gallery.load("pharmacokinetics"), {"times": jnp.array([1.0, 3.0])}
    x = drug.simulator(CENTRES, key=0, design=design)
    assert x.shape == (2,) and bool(jnp.isfinite(drug.truth.log_likelihood(CENTRES, x, design)))


@pytest.fixture(scope="module")
def epidemics():
    path = jax.jit(jax.vmap(lambda key: infected_path(jnp.asarray(0.5), jnp.asarray(0.1), key=key)))
    return np.asarray(path(jax.random.split(jax.random.key(1), 2000)))


def test_epidemics_die_out_as_often_as_branching_says(epidemics):
    """Early on I is Feller's diffusion, with P(extinction) = exp(-2 I_0 (beta - gamma) / (beta + gamma))."""
    extinct = np.mean(epidemics[:, 300] == 0)
    expected = np.exp(-2 * 2 * 0.4 / 0.6)
    assert abs(extinct - expected) < stats.norm.isf(0.5e-4) * np.sqrt(expected * (1 - expected) / 2000)
    assert np.all(epidemics[epidemics[:, 300] == 0, 300:] == 0)


def test_the_mean_epidemic_is_near_the_deterministic_one(epidemics):
    """It grows as exp((beta - gamma) t) while nobody is immune, and what chance does to the late part is a delay."""
    assert epidemics.min() >= 0 and epidemics.max() <= 500
    early = epidemics[:, 20]
    assert abs(early.mean() - 2 * np.exp(0.4 * 2)) < 4.5 * early.std() / np.sqrt(2000) + 0.1
    slope = lambda t, y: [-0.5 * y[0] * y[1] / 500, 0.5 * y[0] * y[1] / 500 - 0.1 * y[1]]
    sure = integrate.solve_ivp(slope, (0, 100), [498, 2], t_eval=np.arange(0, 101, 10), rtol=1e-8).y[1]
    alive = epidemics[epidemics[:, 300] > 0]
    peak = alive.max(axis=1)
    assert abs(np.median(peak) - sure.max()) < 40
    np.testing.assert_allclose(alive[:, 700].mean(), sure[7], rtol=0.2)


def test_epidemics_that_die_out_are_failures_under_the_condition():
    plain, conditioned = gallery.load("epidemic_times"), gallery.load("epidemic_times", condition="outbreak")
    theta = plain.prior.sample(300, key=2)
    keys = jax.random.split(jax.random.key(3), 300)
    design = {"times": np.array([50.0, 25.0], np.float32)}
    kept = np.asarray(plain.simulator.batch(theta, keys=keys, design=design))
    flagged = np.asarray(conditioned.simulator.batch(theta, keys=keys, design=design))
    failed = np.isnan(flagged).all(axis=1)
    np.testing.assert_array_equal(kept[~failed], flagged[~failed])
    assert 0.05 < failed.mean() < 0.2 and np.all(kept[failed].mean(axis=1) < 5)
    sims = qx.simulate(conditioned.simulator, 300, key=4)
    assert len(sims.valid()) == 300 - int((np.asarray(sims.status) != 0).sum()) < 300
    with pytest.raises(UsageError, match="condition"):
        gallery.load("epidemic_times", condition="sometimes")


def test_designs_may_differ_from_simulation_to_simulation():
    """And checks that use the known likelihood evaluate it at each simulation's own design."""
    problem = gallery.load("death_process")
    times = np.linspace(0.1, 5.0, 50, dtype=np.float32)
    sims = qx.simulate(problem.simulator, 50, key=0, design={"time": times})
    assert np.mean(sims.x[:10]) < np.mean(sims.x[-10:])
    theta = {"theta": jnp.asarray(sims.theta["theta"])[:, None] * jnp.array([1.0, 1.1])}
    log_likelihood = problem.truth.log_likelihood
    found = _log_p(log_likelihood, theta, jnp.asarray(sims.x), None, sims.design)
    by_hand = stats.binom.logpmf(
        np.asarray(sims.x), 50, -np.expm1(-np.asarray(theta["theta"], float) * times[:, None].astype(float))
    )
    np.testing.assert_allclose(found, by_hand, rtol=1e-3, atol=1e-3)
    # One that takes no design is asked without.
    plain = _log_p(lambda theta, x: -theta["theta"] * x[0], theta, jnp.asarray(sims.x), None, sims.design)
    np.testing.assert_allclose(plain, -np.asarray(theta["theta"]) * np.asarray(sims.x), rtol=1e-6)


def test_the_impossible_has_no_probability_and_no_gradient_that_is_not_a_number():
    truth = gallery.load("death_process").truth
    both = jax.jit(jax.value_and_grad(truth.log_likelihood))
    for theta, count in ((0.0, 3.0), (0.0, 0.0), (100.0, 50.0), (-1.0, 1.0)):
        value, slope = both({"theta": jnp.float32(theta)}, jnp.array([count]))
        assert not np.isnan(float(value)) and not np.isnan(float(slope["theta"]))
    assert float(truth.log_likelihood({"theta": 1.0}, jnp.array([51.0]))) == -np.inf
    assert float(truth.log_likelihood({"theta": 0.0}, jnp.array([0.0]))) == 0.0
