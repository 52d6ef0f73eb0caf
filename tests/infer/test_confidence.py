"""Scans, profiles and confidence sets against closed forms, and what they warn of."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.stats import chi2, poisson

import quincunx as qx
from quincunx.infer import (
    ConfidenceSet,
    Likelihood,
    NeymanBelt,
    asymptotic_set,
    neyman_belt,
    neyman_set,
    profile,
    scan,
)
from quincunx.infer.scanning import _tell_spread
from quincunx.infer.toys import simulated_sets

VARIANCE = 5.0
WIDE = qx.Prior(theta=dist.Uniform(-20.0, 20.0), units={"theta": "m"})


@qx.simulator(WIDE)
def gaussian(theta, *, key):
    return theta["theta"] + VARIANCE**0.5 * jax.random.normal(key, (1,))


LINE = qx.Prior(a=dist.Normal(0.0, 5.0), b=dist.Normal(0.0, 5.0))


@qx.simulator(LINE)
def line(theta, *, key):
    return jnp.stack([theta["a"] + theta["b"], theta["b"]]) + jax.random.normal(key, (2,))


@pytest.fixture(scope="module")
def bell():
    return Likelihood.of(lambda theta, x: jnp.sum(-0.5 * (x - theta["theta"]) ** 2 / VARIANCE), WIDE)


@pytest.fixture(scope="module")
def linear():
    return Likelihood.of(
        lambda t, x: -0.5 * (x[0] - t["a"] - t["b"]) ** 2 - 0.5 * (x[1] - t["b"]) ** 2,
        LINE,
    )


@pytest.fixture(scope="module")
def x_bell():
    return np.random.default_rng(0).normal(1.0, VARIANCE**0.5, (50, 1))


def test_q_of_a_gaussian_is_exact_on_a_grid_at_points_and_through_a_file(bell, x_bell, tmp_path):
    grid = np.linspace(-0.5, 2.5, 31)
    exact = 50 * (grid - x_bell.mean()) ** 2 / VARIANCE
    found = scan(bell, x_bell, grid={"theta": grid})
    np.testing.assert_allclose(found.q, exact, atol=1e-8)
    np.testing.assert_allclose(scan(bell, x_bell, points={"theta": grid[::-1]}).q, exact[::-1], atol=1e-8)
    back = qx.load(found.save(tmp_path / "scan.qx"))
    assert repr(back) == repr(found) and np.array_equal(back.q, found.q) and back.units == {"theta": "m"}
    assert found.plot().axes[0].get_xlabel() == "theta [m]"
    with pytest.raises(qx.errors.UsageError, match="one or two"):
        scan(bell, x_bell, points={"theta": grid}).plot()
    with pytest.raises(qx.errors.UsageError, match="both or neither"):
        scan(bell, x_bell)


def test_asymptotic_intervals_of_a_gaussian_are_exact_on_a_coarse_grid(bell, x_bell, tmp_path):
    """q is a parabola, whose signed root is a straight line: interpolating that costs nothing."""
    found = asymptotic_set(scan(bell, x_bell, grid={"theta": np.linspace(-1.0, 3.0, 7)}))
    for level in (0.6827, 0.95):
        half = (chi2.ppf(level, 1) * VARIANCE / 50) ** 0.5
        ((low, high),) = found.intervals(level)
        assert (low, high) == pytest.approx((x_bell.mean() - half, x_bell.mean() + half), abs=2e-3)
        assert found.contains({"theta": x_bell.mean() + 0.99 * half}, level)
        assert not found.contains({"theta": x_bell.mean() + 1.01 * half}, level)
        assert not found.touches_edge(level)
    back = qx.load(found.save(tmp_path / "set.qx"))
    assert isinstance(back, ConfidenceSet) and repr(back) == repr(found)
    assert len(found.plot().axes) == 1
    with pytest.raises(qx.errors.UsageError, match="level"):
        found.intervals(0.9)
    with pytest.raises(qx.errors.UsageError, match="scanned range"):
        found.contains({"theta": 5.0}, 0.95)


def test_a_set_that_reaches_the_edge_says_so(bell, x_bell):
    found = asymptotic_set(scan(bell, x_bell, grid={"theta": np.linspace(x_bell.mean(), 3.0, 9)}))
    assert found.touches_edge(0.95) and "touching the edge" in repr(found)
    assert found.intervals(0.95)[0][0] == pytest.approx(x_bell.mean())


def test_a_set_may_be_several_intervals():
    theta = np.linspace(-3.0, 3.0, 61)
    q = 4 * (theta**2 - 1.5) ** 2
    two = ConfidenceSet(
        "asymptotic", {"theta": theta}, q, np.array([0.95]), np.full((1, 61), 3.84), np.zeros((1, 61)),
        chi2.sf(q, 1), np.array([1.5**0.5]), 100.0,
    )  # fmt: skip
    ends = np.sqrt(1.5 + np.array([-1, 1]) * 3.84**0.5 / 2)
    np.testing.assert_allclose(two.intervals(0.95), [sorted(-ends), ends], atol=2e-3)
    assert not two.contains({"theta": 0.0}, 0.95) and " and " in repr(two)


def test_few_events_and_maxima_on_bounds_are_warned_of(bell):
    with pytest.warns(qx.errors.AsymptoticWarning, match="too few"):
        asymptotic_set(scan(bell, np.zeros((3, 1)), grid={"theta": np.linspace(-2.0, 2.0, 9)}))
    with pytest.warns(qx.errors.AsymptoticWarning, match="bound"):
        found = asymptotic_set(scan(bell, np.full((50, 1), 30.0), grid={"theta": np.linspace(19.0, 20.0, 9)}))
    assert any("neyman_set" in note for note in found.notes)


def test_profiles_of_a_linear_gaussian_are_closed_form_and_cheaper_than_scans(linear):
    """With precision n [[1, 1], [1, 2]], profiling b leaves n (1 - 1/2) for a."""
    x = np.random.default_rng(1).normal(size=(40, 2)) + np.array([1.5, 0.5])
    best = x.mean(0)[0] - x.mean(0)[1]
    found = profile(linear, x, "a", grid=21)
    assert found.profiled == ("b",)
    np.testing.assert_allclose(found.q, 20 * (found.axes["a"] - best) ** 2, atol=1e-7)
    # given a, b is at its weighted mean
    np.testing.assert_allclose(found.theta["b"], (x.mean(0).sum() - found.axes["a"]) / 2, atol=1e-5)
    held = scan(linear, x, grid={"a": found.axes["a"]}, fixed={"b": 0.5})
    np.testing.assert_allclose(held.q, 40 * (found.axes["a"] - (x.mean(0)[0] - 0.5)) ** 2, atol=1e-7)
    with pytest.raises(qx.errors.UsageError, match="profile"):
        scan(linear, x, grid={"a": found.axes["a"]})
    both = asymptotic_set(scan(linear, x, grid=15))
    n = np.array([[40.0, 40.0], [40.0, 80.0]])
    at = {"a": best + 0.2, "b": x.mean(0)[1] - 0.1}
    away = np.array([0.2, -0.1])
    assert both.contains(at, 0.6827) == bool(away @ n @ away <= chi2.ppf(0.6827, 2))
    assert both.plot().axes[0].get_ylabel() == "b"


def test_neyman_belts_of_a_gaussian_follow_the_chi_squared_law(bell):
    """The grid is finer than the standard error, 1/2 for 20 events, and wide: q is chi-squared with one degree."""
    grid = np.linspace(-3.0, 3.0, 25)
    belt = neyman_belt(bell, gaussian, grid={"theta": grid}, n_events=20, toys=2000, key=0)
    inner = slice(8, 17)
    for level in (0.6827, 0.95):
        value, error = belt.critical(level)
        # the maximum over a grid of half standard errors lies at most (1/4)^2 below that over all values
        assert np.all(np.abs(value[inner] - chi2.ppf(level, 1)) < 4 * error[inner] + 0.0625)
    x = np.random.default_rng(0).normal(0.1, VARIANCE**0.5, (20, 1))
    found = belt.set_of(bell, x)
    ((low, high),) = found.intervals(0.95)
    # an end moves by half the standard error times the error of the root of c, and by the grid
    assert (low, high) == pytest.approx((x.mean() - 0.98, x.mean() + 0.98), abs=0.1)
    p = found.p_value
    np.testing.assert_allclose(p[inner], chi2.sf(found.q[inner], 1), atol=0.06)
    assert isinstance(belt, NeymanBelt) and len(found.plot().axes) == 1
    with pytest.raises(qx.errors.UsageError, match="belt of 20"):
        belt.set_of(bell, x[:5])


def test_a_belt_survives_a_file(bell, tmp_path):
    belt = neyman_belt(bell, gaussian, grid={"theta": np.linspace(-1.0, 1.0, 3)}, n_events=20, toys=50, key=0)
    back = qx.load(belt.save(tmp_path / "belt.qx"))
    assert repr(back) == repr(belt) and np.array_equal(back.ordered, belt.ordered)


def test_feldman_and_cousins_count_events_by_the_rate():
    """90 % intervals of a Poisson mean without background: [0, 2.44] for 0 events, [1.10, 7.42] for 3 (physics/9711021)."""
    prior = qx.Prior(mu=dist.Uniform(0.0, 20.0))

    @qx.simulator(prior)
    def nothing(theta, *, key):
        return jax.random.uniform(key, (1,))

    counting = Likelihood.of(None, prior, rate=lambda theta: theta["mu"])
    grid = {"mu": np.r_[1e-6, np.linspace(0.1, 12.0, 60)]}
    toys = 400
    belt = neyman_belt(counting, nothing, grid=grid, toys=toys, key=0)
    for n, (low, high) in {0: (0.0, 2.44), 3: (1.10, 7.42)}.items():
        found = belt.set_of(counting, np.zeros((n, 1)), levels=[0.9])
        members = grid["mu"][found.members[0]]
        # a critical value from toys is off where its binomial error lets another count in or out
        reach = {m: 2 * (0.09 / toys) ** 0.5 / _slope(m, n) for m in (low, high) if m > 0}
        assert members[0] <= low + reach.get(low, 0.1) + 0.2
        assert abs(members[-1] - high) < reach[high] + 0.2


def _slope(mu, n):
    step = 0.05
    return max(abs(poisson.cdf(n, mu + step) - poisson.cdf(n, mu - step)) / (2 * step), 0.02)


def test_neyman_sets_with_a_nuisance_parameter_profile_it_in_every_toy(linear):
    x = np.random.default_rng(1).normal(size=(10, 2)) + np.array([1.5, 0.5])
    best = x.mean(0)[0] - x.mean(0)[1]
    grid = {"a": best + np.linspace(-1.2, 1.2, 9)}
    found = neyman_set(linear, x, line, grid=grid, toys=400, key=0)
    assert "not exact" in found.notes[0]
    # q is exactly chi-squared here, with precision 10 / 2
    value, error = found.critical[1], found.critical_error[1]
    assert np.all(np.abs(value - chi2.ppf(0.95, 1)) < 4 * error)
    ((low, high),) = found.intervals(0.95)
    half = (chi2.ppf(0.95, 1) / 5) ** 0.5
    assert (low, high) == pytest.approx((best - half, best + half), abs=0.2)


def test_an_ensemble_that_disagrees_over_all_events_is_warned_of(problem, monkeypatch):
    learned = Likelihood.of(problem.fit("nle"))
    x = (np.array([0.4, -0.2]) + 0.5 * np.random.default_rng(0).normal(size=(20, 2))).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", qx.errors.EnsembleSpreadWarning)
        found = scan(learned, x, grid={"a": np.linspace(0.1, 0.5, 5), "b": np.linspace(-0.4, 0.1, 3)})
    best = found.best
    assert found.members.shape == (2, 5, 3) and found.spread.shape == (5, 3)
    assert found.plot() is not None
    # a member whose log-ratio is off by a hundredth an event is off by ten over a thousand events
    events = learned.events(x)
    honest = Likelihood.rows

    def disagreeing(self, flat, sample):
        told = honest(self, flat, sample)
        return np.concatenate([told[:, :2], told[:, 1:2] + 20.0 * flat[:, :1]], axis=1)

    monkeypatch.setattr(Likelihood, "rows", disagreeing)
    with pytest.warns(qx.errors.EnsembleSpreadWarning, match="'a'"):
        _tell_spread(learned, events, best, ["a"])


def test_toys_by_a_rate_have_poisson_numbers(bell):
    rated = Likelihood.of(bell.terms.function, WIDE, rate=lambda theta: 4.0 + 0.0 * theta["theta"])
    sets = simulated_sets(rated, gaussian, np.zeros(1), 500, None, key=jax.random.key(0))
    assert abs(np.mean(sets.n) - 4.0) < 4 * (4.0 / 500) ** 0.5


def test_names_that_are_none_are_refused(bell, x_bell):
    with pytest.raises(qx.errors.NameMismatch, match="phi"):
        scan(bell, x_bell, grid={"phi": np.zeros(3)}, fixed={"theta": 0.0})
    with pytest.raises(qx.errors.UsageError, match="both to scan and fixed"):
        scan(bell, x_bell, grid={"theta": np.zeros(3)}, fixed={"theta": 0.0})
    with pytest.raises(qx.errors.UsageError, match="increasing"):
        scan(bell, x_bell, grid={"theta": np.array([1.0, 0.0])})
    with pytest.raises(qx.errors.UsageError, match="n_events"):
        neyman_belt(bell, gaussian, grid={"theta": np.linspace(0, 1, 3)}, key=0)
