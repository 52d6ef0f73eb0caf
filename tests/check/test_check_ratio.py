"""An exact ratio passes, and one that is wrong in one way each fails the test that is made for it, in its words."""

import functools
from dataclasses import replace

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.stats import binom

import quincunx as qx
from quincunx.check import check_ratio, label_shuffle
from quincunx.errors import InvalidSimulations, NoGold, TooFewSimulations, UsageError
from quincunx.infer import calibrate_ratio
from quincunx.infer.gold_ratios import ALICE, ALICES
from quincunx.learn import FitSettings
from quincunx.model import Gold, Prior, Reference, wrap
from quincunx.values import load

PAIR = {"theta": {"theta": 1.0}, "reference": {"theta": 0.0}}
IDENTITIES = ("ratio", "inverse ratio", "ratio closure", "reweighting", "calibration")
CHEAP = ("ratio", "inverse ratio", "ratio closure", "calibration", "score", "joint score closure")


@pytest.fixture(scope="module")
def simulator():
    return qx.gallery.load("gaussian_in_gaussian").simulator


def exact(theta, x):
    """log r(x | theta, 0) = (2 x theta - theta^2) / 10."""
    return (2 * x[:, 0] * theta["theta"] - theta["theta"] ** 2) / 10


def wrong_score(theta, x):
    """Right at theta = 1, with the gradient (x - theta) / 4 there instead of (x - theta) / 5."""
    return exact({"theta": 0 * theta["theta"] + 1.0}, x) + (x[:, 0] - 1.0) * (theta["theta"] - 1.0) / 4


def test_an_exact_ratio_passes_everything_in_one_report(simulator, tmp_path):
    report = check_ratio(exact, simulator, key=0, **PAIR)
    assert report.status == "pass"
    names = [result.name for result in report.results]
    assert names[:7] == [
        "ratio",
        "inverse ratio",
        "ratio closure",
        "reweighting",
        "calibration",
        "score",
        "joint score closure",
    ]
    assert "gold: score closure" in names and len(names) == 13
    effects = report["calibration"].effects
    assert effects["slope of log r"] == pytest.approx(1.0, abs=0.15)
    assert abs(effects["bias of log r per event"]) < 4 * effects["its error"]
    assert effects["events for which it matters"] > 20
    assert report["reweighting"].effects["area under the curve"] == pytest.approx(0.5, abs=0.05)
    assert repr(load(report.save(tmp_path / "report.qx"))) == repr(report)


def test_false_alarms_are_as_rare_as_promised(simulator):
    # Holm over all tests of one report: at most one in twenty does worse than 0.05.
    repeats = 60
    reports = [check_ratio(exact, simulator, key=seed, n=2000, tests=CHEAP, **PAIR) for seed in range(repeats)]
    assert sum(report.status != "pass" for report in reports) <= binom.ppf(0.999, repeats, 0.05)
    # The chi-square is exact enough that its p-values are uniform: as many below 0.2 as a binomial allows.
    low = sum(report["calibration"].p_value < 0.2 for report in reports)
    assert binom.ppf(0.001, repeats, 0.2) <= low <= binom.ppf(0.999, repeats, 0.2)


def test_a_constant_bias_is_told_with_its_size_and_what_it_is_worth(simulator):
    report = check_ratio(lambda theta, x: exact(theta, x) + 0.2, simulator, key=0, tests=IDENTITIES, **PAIR)
    assert all(report[name].p_value < 1e-3 for name in ("ratio", "inverse ratio", "calibration"))
    # the test functions are centred, so that what they see is the shape
    assert report["ratio closure"].p_value > 0.01
    for name in ("ratio", "inverse ratio", "calibration"):
        effects = report[name].effects
        assert effects["bias of log r per event"] == pytest.approx(0.2, abs=4 * effects["its error"])
        assert effects["events for which it matters"] == pytest.approx(5.0, rel=0.3)
    assert report["calibration"].effects["slope of log r"] == pytest.approx(1.0, abs=0.15)
    assert "matters for about" in report.warnings[0] and "calibrate" in report.warnings[0]


def test_a_ratio_too_sure_of_itself_has_the_wrong_slope(simulator):
    def sure(theta, x):
        # averages to one over the reference all the same: x / 5 is N(0, 1 / 5)
        return 0.3 * x[:, 0] - 0.3**2 * 5 / 2

    report = check_ratio(sure, simulator, key=0, tests=IDENTITIES, **PAIR)
    assert report["ratio"].p_value > 0.01
    # log r^ - log r = 0.1 x - 0.125 is -0.025 on average at theta and -0.125 at the reference: the larger is told
    effects = report["calibration"].effects
    assert effects["bias of log r per event"] == pytest.approx(-0.125, abs=4 * effects["its error"])
    assert all(report.statuses[name] == "fail" for name in ("ratio closure", "reweighting", "calibration"))
    assert report["calibration"].effects["slope of log r"] == pytest.approx(2 / 3, abs=0.1)
    assert "histograms say" in report["calibration"].note


def test_a_wrong_gradient_fails_the_closure_of_the_joint_score_only(simulator):
    report = check_ratio(wrong_score, simulator, key=0, tests=(*IDENTITIES, "score", "joint score closure"), **PAIR)
    assert [name for name, status in report.statuses.items() if status == "fail"] == ["joint score closure"]
    closure = report["joint score closure"]
    assert closure.p_value < 1e-6
    assert closure.effects["learned score over joint score"] == pytest.approx(1.25, abs=0.05)
    assert "in theta" in closure.note


def test_a_gradient_with_an_offset_fails_the_score(simulator):
    def tilted(theta, x):
        return exact(theta, x) + 0.1 * (theta["theta"] - 1.0)

    report = check_ratio(tilted, simulator, key=0, tests=CHEAP, **PAIR)
    assert report["score"].p_value < 1e-6 and report["joint score closure"].p_value < 1e-6
    assert "the mean in theta" in report["joint score closure"].note
    assert report["ratio"].p_value > 0.01


def test_a_wrong_gradient_is_found_without_gold_too(simulator):
    silent = wrap(simulator.function, simulator.prior, name="silent")
    right, wrong = (check_ratio(f, silent, key=0, tests="score closure", **PAIR) for f in (exact, wrong_score))
    assert right.status == "pass" and wrong["score closure"].p_value < 1e-3
    assert wrong["score closure"].effects["slope told over slope found"] == pytest.approx(1.25, abs=0.1)
    names = [r.name for r in check_ratio(exact, silent, key=0, **PAIR).results]
    assert names == ["ratio", "inverse ratio", "ratio closure", "reweighting", "calibration", "score", "score closure"]


def test_a_simulator_that_tells_a_wrong_score_is_caught_in_the_same_report(simulator):
    def joint_log_prob(theta, x, z):
        return -((x[0] - theta["theta"]) ** 2) / 8

    liar = wrap(simulator.function, simulator.prior, name="liar", gold=Gold(simulator.gold.trace, joint_log_prob))
    report = check_ratio(wrong_score, liar, key=0, tests=("joint score closure", "gold"), **PAIR)
    # what was learned agrees with what was told; that it was told wrongly is the gold's own failure
    assert report["joint score closure"].p_value > 0.01
    assert report["gold: score closure"].p_value < 1e-6


def test_a_mixture_is_a_reference(simulator):
    mixture = Reference.mixture({"theta": np.array([-1.0, 0.0, 1.0], np.float32)})

    class Exact:
        """A likelihood known up to a factor of x."""

        @staticmethod
        def log_likelihood(theta, x):
            return (
                2 * x[:, :1] * np.reshape(theta["theta"], (len(x), -1)) - np.reshape(theta["theta"], (len(x), -1)) ** 2
            ).reshape(np.shape(theta["theta"])) / 10

    report = check_ratio(Exact(), simulator, key=0, theta={"theta": 1.0}, reference=mixture, tests=CHEAP)
    assert report.status == "pass"


def test_far_apart_nothing_is_decided(simulator):
    report = check_ratio(
        exact, simulator, key=0, n=1000, theta={"theta": 9.0}, reference={"theta": -9.0}, tests=("ratio", "calibration")
    )
    assert np.isnan(report["ratio"].p_value) and report.status == "warn"
    assert "too far apart" in report.warnings[0]


def test_a_step_function_has_no_score(simulator):
    mended = calibrate_ratio(exact, simulator, {"theta": 0.0}, theta={"theta": 1.0}, key=1)
    names = [result.name for result in check_ratio(mended, simulator, key=0).results]
    assert "score" not in names and "joint score closure" not in names and "calibration" in names
    with pytest.raises(UsageError, match="step function"):
        check_ratio(mended, simulator, key=0, tests="score")


def test_what_makes_no_sense_is_refused(simulator):
    silent = wrap(simulator.function, simulator.prior, name="silent")
    with pytest.raises(UsageError, match="expected some of ratio"):
        check_ratio(exact, simulator, key=0, tests="ratios", **PAIR)
    with pytest.raises(UsageError, match="at least 1000"):
        check_ratio(exact, simulator, key=0, n=10, **PAIR)
    with pytest.raises(UsageError, match="no reference"):
        check_ratio(exact, simulator, key=0)
    with pytest.raises(UsageError, match="as a ratio"):
        check_ratio(3, simulator, key=0, **PAIR)
    with pytest.raises(NoGold):
        check_ratio(exact, silent, key=0, tests="joint score closure", **PAIR)
    with pytest.raises(InvalidSimulations, match="log r"):
        check_ratio(lambda theta, x: np.full(len(x), np.inf), simulator, key=0, **PAIR)


SMALL = {
    "network": {"width": 32, "depth": 1},
    "settings": FitSettings(learning_rate=1e-2, weight_decay=0.0, epochs=80, batch_size=500),
}


def mined(simulator, n, *, score=None):
    sims = qx.simulate(simulator, n, gold=Reference.at({"theta": 0.0}), key=5)
    if score is None:
        return sims
    return replace(sims, gold={**sims.gold, "joint_score": score(sims)})


@pytest.mark.slow
def test_a_trained_ratio_is_told_how_wrong_it_is_and_one_with_the_wrong_label_is_caught(simulator):
    method = ALICES(reference=Reference.at({"theta": 0.0}), **SMALL)
    right = method.fit(mined(simulator, 8_000), simulator.prior, key=0)
    wrong = method.fit(mined(simulator, 8_000, score=lambda s: (s.x - s.theta_flat()) / 4), simulator.prior, key=0)
    tests = (*IDENTITIES, "score", "joint score closure")
    good, bad = (check_ratio(estimator, simulator, key=0, tests=tests, **PAIR) for estimator in (right, wrong))
    sizes = [report["joint score closure"].effects["learned score over joint score"] for report in (good, bad)]
    assert sizes[0] == pytest.approx(1.0, abs=0.06)
    assert bad["joint score closure"].p_value < 1e-6 and sizes[1] > 1.1
    assert good["joint score closure"].p_value > bad["joint score closure"].p_value
    assert abs(good["calibration"].effects["bias of log r per event"]) < 0.05


def test_shuffled_labels_teach_nothing(simulator):
    method = ALICE(
        reference=Reference.at({"theta": 0.0}), network={"width": 16, "depth": 1}, settings=FitSettings(epochs=10)
    )
    sims = mined(simulator, 2000)
    result = label_shuffle(method, sims, simulator.prior, key=0, refits=3)
    assert result.p_value > 0.01
    assert result.effects["spread of log r^"] < 0.5


def test_a_method_that_leans_to_one_class_is_caught_on_shuffled_labels(simulator):
    class Leaning:
        """Noise of a training, with a constant that it should not have and a slope in x of either sign."""

        term = "ratio"

        def __init__(self, constant, slope):
            self.constant, self.slope = constant, slope

        def log_likelihood(self, theta, x):
            return self.constant + self.slope * x[:, 0] + 0.0 * theta["theta"]

    def fit(sims, prior, *, key, lean):
        constant, slope = 0.05 * np.asarray(jax.random.normal(key, (2,)))
        return Leaning(lean + constant, slope)

    sims = qx.simulate(simulator, 2000, key=5)
    fair, leaning = (
        label_shuffle(functools.partial(fit, lean=lean), sims, simulator.prior, key=0, refits=6) for lean in (0.0, 1.0)
    )
    assert fair.p_value > 0.01
    assert leaning.p_value < 0.01 and "the mean" in leaning.note
    # four standard errors of the mean of six constants
    assert leaning.effects["bias of log r per event"] == pytest.approx(1.0, abs=4 * 0.05 / 6**0.5)


def test_shuffles_need_enough(simulator):
    sims = qx.simulate(simulator, 100, key=0)
    with pytest.raises(TooFewSimulations):
        label_shuffle("nre", sims, simulator.prior, key=0)
    with pytest.raises(UsageError, match="at least 3"):
        label_shuffle("nre", sims, simulator.prior, key=0, refits=1)


def test_two_parameters_and_a_dictionary_of_outcomes():
    prior = Prior(a=dist.Uniform(0.0, 1.0), b=dist.Normal(np.zeros(2), 1.0).to_event(1))

    def bells(theta, *, key):
        noise = jax.random.normal(key, (3,))
        return {"first": theta["a"] + noise[:1], "rest": theta["b"] + noise[1:]}

    def log_r(theta, x):
        at = np.concatenate([np.asarray(theta["a"])[:, None], theta["b"]], axis=1)
        seen = np.concatenate([x["first"], x["rest"]], axis=1)
        return np.sum(0.5 * (seen - np.array([0.5, 0.0, 0.0])) ** 2 - 0.5 * (seen - at) ** 2, axis=1)

    report = check_ratio(
        log_r,
        wrap(bells, prior),
        key=0,
        theta={"a": 0.99, "b": np.array([0.2, -0.3])},
        reference={"a": 0.5, "b": np.zeros(2)},
        tests=("ratio", "ratio closure", "calibration", "score", "score closure"),
    )
    assert report.status == "pass"
