"""Gold that is right passes, gold that is wrong in one way each is caught by name, and what cannot be judged is not."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from quincunx.check import Report, check_gold
from quincunx.check.averages import judge
from quincunx.check.mined import Mined
from quincunx.check.reweighted import reweighting
from quincunx.check.witnesses import Witnesses
from quincunx.errors import NameMismatch, NoGold, NonFiniteGold, OutsideReference, ShapeMismatch, UsageError
from quincunx.model import Gold, Prior, Reference, wrap
from quincunx.values import load

PRIOR = Prior(theta=dist.Normal(0.0, 3.0))
PAIR = {"theta": {"theta": 1.0}, "reference": {"theta": 2.0}}
AVERAGES = ("ratio", "inverse ratio", "score")
CLOSURES = ("ratio closure", "score closure")


def simulator_of(trace, joint_log_prob, prior=PRIOR):
    return wrap(lambda theta, *, key: trace(theta, key=key)[0], prior, name="toy", gold=Gold(trace, joint_log_prob))


def nested(theta, *, key):
    hidden, noise = jax.random.normal(key, (2,))
    z = theta["theta"] + 2.0 * hidden
    return (z + noise)[None], z


def right(theta, x, z):
    return -((z - theta["theta"]) ** 2) / 8


def wrong(theta, x, z):
    """Its score is (x - theta) / 4, whose mean given x is not (x - theta) / 5."""
    return -((x[0] - theta["theta"]) ** 2) / 8


def test_the_right_label_passes_and_the_well_known_wrong_one_is_caught():
    good, bad = (
        check_gold(simulator_of(nested, label), key=0, n=10_000, tests=(*AVERAGES, *CLOSURES), **PAIR)
        for label in (right, wrong)
    )
    assert good.status == "pass"
    assert bad.status == "fail" and bad["score closure"].p_value < 1e-6
    # A mean of zero says nothing of it, and the size of the mistake is told.
    assert bad["score"].p_value > 0.01
    assert bad["score closure"].effects["slope told over slope found"] == pytest.approx(1.25, abs=0.05)
    assert good["score closure"].effects["slope told over slope found"] == pytest.approx(1.0, abs=0.05)


def test_a_parameter_that_reaches_x_past_the_draws_is_caught():
    def scaled(theta, *, key):
        z = 1.0 + jax.random.normal(key)
        return (theta["theta"] * z)[None], z

    report = check_gold(simulator_of(scaled, lambda theta, x, z: 0.0 * theta["theta"]), key=0, n=10_000, **PAIR)
    assert all(report[name].p_value == 1.0 for name in AVERAGES)
    assert all(report[name].p_value < 1e-6 for name in (*CLOSURES, "reweighting"))
    assert report["score closure"].effects["slope told over slope found"] == pytest.approx(0.0, abs=1e-6)


def moving(theta, *, key):
    z = theta["theta"] + jax.random.uniform(key)
    return z[None], z


def test_a_support_that_moves_is_caught():
    silent = simulator_of(moving, lambda theta, x, z: 0.0 * theta["theta"])
    report = check_gold(silent, key=0, n=10_000, theta={"theta": 1.0}, reference={"theta": 1.2}, tests=CLOSURES)
    assert all(report[name].p_value < 1e-6 for name in CLOSURES)


def test_a_support_that_moves_and_says_so_is_refused():
    def joint_log_prob(theta, x, z):
        return jnp.where((z >= theta["theta"]) & (z < theta["theta"] + 1), 0.0, -jnp.inf)

    with pytest.raises(OutsideReference, match=r"cannot happen under the reference.*mixture"):
        check_gold(simulator_of(moving, joint_log_prob), key=0, n=1000, theta={"theta": 1.0}, reference={"theta": 1.2})


def test_a_trace_that_is_not_the_simulator_is_caught():
    other = wrap(lambda theta, *, key: 1.3 * nested(theta, key=key)[0], PRIOR, gold=Gold(nested, right))
    report = check_gold(other, key=0, n=10_000, tests=CLOSURES, **PAIR)
    assert all(report[name].p_value < 1e-6 for name in CLOSURES)


@pytest.mark.parametrize("value", [jnp.nan, jnp.inf])
def test_gold_that_is_not_finite_is_refused(value):
    def joint_log_prob(theta, x, z):
        return right(theta, x, z) + jnp.where(z > 3.0, value, 0.0)

    with pytest.raises(NonFiniteGold, match="NaN or infinite in"):
        check_gold(simulator_of(nested, joint_log_prob), key=0, n=1000, **PAIR)


def test_a_score_that_is_not_finite_is_refused():
    def joint_log_prob(theta, x, z):
        return right(theta, x, z) + jnp.sqrt(jnp.maximum(theta["theta"] - 1.0, 0.0))

    with pytest.raises(NonFiniteGold, match="joint score is NaN"):
        check_gold(simulator_of(nested, joint_log_prob), key=0, n=1000, **PAIR)


def test_what_makes_no_sense_is_refused():
    plain, golden = wrap(lambda theta, *, key: theta["theta"], PRIOR), simulator_of(nested, right)
    with pytest.raises(NoGold, match="tells nothing"):
        check_gold(plain, key=0)
    with pytest.raises(UsageError, match="expected some of ratio"):
        check_gold(golden, key=0, tests="ratios")
    with pytest.raises(UsageError, match="at least 1000"):
        check_gold(golden, key=0, n=10)
    with pytest.raises(UsageError, match="fixed points"):
        check_gold(golden, key=0, reference=Reference.each())
    with pytest.raises(NameMismatch):
        check_gold(golden, key=0, theta={"mu": 1.0})
    with pytest.raises(ShapeMismatch, match="one"):
        check_gold(golden, key=0, theta={"theta": np.zeros(3)})
    bounded = simulator_of(nested, right, Prior(theta=dist.Uniform(-1.0, 1.0)))
    with pytest.raises(OutsideReference, match="outside the prior's support"):
        check_gold(bounded, key=0, theta={"theta": 2.0})


def test_heavy_tails_decide_nothing_and_say_so():
    """Twelve standard deviations of z apart: a handful of simulations carry every average of r."""
    report = check_gold(
        simulator_of(nested, right), key=0, n=10_000, theta={"theta": 0.0}, reference={"theta": 24.0}, tests=AVERAGES
    )
    assert report.status == "warn"
    assert np.isnan(report["ratio"].p_value) and "too few effective terms" in report["ratio"].note
    assert not np.isnan(report["score"].p_value)
    assert "too far apart" in report.warnings[0]


def test_a_mixture_that_includes_theta_bridges_them():
    """r <= 2; but 1 / r is never seen where it is large, so that its average is not judged."""
    mixture = Reference.mixture([{"theta": 0.0}, {"theta": 24.0}])
    report = check_gold(
        simulator_of(nested, right),
        key=0,
        n=10_000,
        theta={"theta": 0.0},
        reference=mixture,
        tests=(*AVERAGES, *CLOSURES),
    )
    assert [name for name, p in report.adjusted.items() if not p > 0.05] == ["inverse ratio"]
    assert np.isnan(report["inverse ratio"].p_value) and not report.warnings
    assert report["ratio"].effects["effective simulations"] > 4000


def test_outcomes_by_name_settings_and_failures():
    """A dict of arrays, a setting, and one simulation in ten that fails: gold knows nothing of failures, and need not."""

    def trace(theta, *, key, design=None):
        first, second = jax.random.split(key)
        z = theta["theta"] + 2.0 * jax.random.normal(first, (2,))
        failing = jax.random.uniform(second) < 0.1
        return {"far": jnp.where(failing, jnp.nan, z[0] * design["scale"]), "near": jnp.sin(z)}, z

    def joint_log_prob(theta, x, z):
        return jnp.sum(right(theta, x, z))

    toy = wrap(
        lambda theta, *, key, design: trace(theta, key=key, design=design)[0], PRIOR, gold=Gold(trace, joint_log_prob)
    )
    report = check_gold(toy, key=0, n=10_000, theta={"theta": 1.0}, reference={"theta": 1.5}, design={"scale": 2.0})
    assert report.status == "pass"
    # Four times 10,000 simulations, of which a tenth fail, within four standard errors.
    assert abs(report.failed - 4000) < 4 * np.sqrt(40_000 * 0.09)


def test_the_report_is_kept(tmp_path):
    report = check_gold(simulator_of(nested, right), key=3, n=1000, tests=AVERAGES)
    again = load(report.save(tmp_path / "gold.qx"))
    assert isinstance(again, Report) and again.adjusted == report.adjusted and again.seed == (0, 3)
    assert repr(check_gold(simulator_of(nested, right), key=3, n=1000, tests=AVERAGES)) == repr(report)


def test_a_gap_without_a_spread_is_rounding_or_a_contradiction():
    terms = np.full(2, 1000.0)
    for gap, p_value in ((1e-7, 1.0), (0.1, 0.0)):
        found = judge("a", "?", np.array([gap, 0.0]), np.zeros(2), terms, ("one", "two"), n=1000)
        assert found.p_value == p_value


def test_witnesses_of_many_columns_and_of_none():
    rng = np.random.default_rng(0)
    wide = Witnesses.fit(rng.normal(size=(500, 40)), seed=0)
    assert wide(rng.normal(size=(3, 40))).shape == (3, len(wide.names)) and len(wide.names) < 120
    constant = Witnesses.fit(np.ones((500, 2)), seed=0)
    assert constant(np.ones((3, 2))).shape == (3, 0)


def test_the_classifier_sees_a_dependence_that_no_margin_has():
    """Two independent normals against two correlated ones."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8000, 2))
    fresh = rng.normal(size=(8000, 2))
    fresh[:, 1] = 0.6 * fresh[:, 0] + 0.8 * fresh[:, 1]
    square = x[:, 1] - 0.6 * x[:, 0]
    log_ratio = -0.5 * (square / 0.8) ** 2 + 0.5 * x[:, 1] ** 2 - np.log(0.8)
    nothing = np.zeros(8000)
    assert reweighting(Mined(x, log_ratio, nothing, x), fresh, key=0).p_value > 0.01
    assert reweighting(Mined(x, nothing, nothing, x), fresh, key=0).p_value < 1e-6


@pytest.mark.slow
def test_false_alarms_are_as_rare_as_the_report_says(nominal):
    """Holm's correction bounds the chance of a failing report by 0.01, and of one that at least warns by 0.05."""
    toy, repeats = simulator_of(nested, right), 200
    reports = [
        check_gold(toy, key=seed, n=10_000, theta={"theta": 1.0}, reference={"theta": 1.5}) for seed in range(repeats)
    ]
    smallest = np.array([np.nanmin(list(report.adjusted.values())) for report in reports])
    alarms = [int((smallest < level).sum()) for level in (0.01, 0.05)]
    print(f"{alarms[0]} of {repeats} failed, {alarms[1]} failed or warned")
    assert nominal(alarms[0], repeats, 0.01, at_most=True) and nominal(alarms[1], repeats, 0.05, at_most=True)
    # One test alone keeps its level from both sides.
    for name in ("ratio", "inverse ratio", "score", "reweighting"):
        p = np.array([report[name].p_value for report in reports])
        assert nominal(int((p < 0.05).sum()), repeats, 0.05), name
