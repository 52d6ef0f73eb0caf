"""Distorted ratios are repaired, exact ones left alone, and what is calibrated saves and loads."""

import numpy as np
import pytest

import quincunx as qx
from quincunx.errors import ShapeMismatch, TooFewSimulations, UsageError
from quincunx.infer import CalibratedRatio, Ratio, RatioTo, calibrate_ratio
from quincunx.learn import FitSettings
from quincunx.model import Reference
from quincunx.values import load

N = 20_000
ZERO = {"theta": 0.0}
ONE = {"theta": 1.0}


@pytest.fixture(scope="module")
def simulator():
    return qx.gallery.load("gaussian_in_gaussian").simulator


@pytest.fixture(scope="module")
def fresh(simulator):
    """Outcomes at theta = 1 in the bulk of both classes, where histograms have something to say."""
    x = np.asarray(qx.simulate(simulator, theta={"theta": np.ones(4000, np.float32)}, key=9).x)
    return x[np.abs(x[:, 0] - 0.5) < 3.0]


def exact(theta, x):
    return (2 * x[:, 0] * theta["theta"] - theta["theta"] ** 2) / 10


def distorted(theta, x):
    return 1.5 * exact(theta, x) + 0.2


def truth(theta, x):
    return (2 * x[:, 0] * theta - theta**2) / 10


@pytest.mark.parametrize("method", ["histogram", "isotonic"])
@pytest.mark.parametrize("ratio", [exact, distorted])
def test_a_monotone_function_of_the_ratio_becomes_the_ratio(simulator, fresh, method, ratio):
    mended = calibrate_ratio(ratio, simulator, ZERO, theta=ONE, method=method, n=N, key=0)
    found, true = mended.log_ratio(ONE, fresh), truth(1.0, fresh)
    # In each of at most 50 bins log r has the standard error of two counts of N / 50, and a bin is a few hundredths wide;
    # level sets of an isotonic fit hold at least 200 draws, and so do not do better than 0.1 each.
    noise = np.sqrt(2 / (N / 50)) if method == "histogram" else np.sqrt(2 / 200)
    assert np.sqrt(np.mean((found - true) ** 2)) < 3 * noise
    assert abs(np.mean(found - true)) < 4 * np.sqrt(2 / N) + 0.01
    assert np.sqrt(np.mean((distorted({"theta": 1.0}, fresh) - true) ** 2)) > 0.25
    slope = np.polyfit(true, found, 1)[0]
    assert slope == pytest.approx(1.0, abs=0.1)


def test_an_offset_that_depends_on_theta_is_removed_within_the_pools_error(simulator, fresh):
    def shifted(theta, x):
        return exact(theta, x) + np.sin(3 * theta["theta"])

    theta = np.linspace(-2.0, 2.0, 9)
    mended = calibrate_ratio(shifted, simulator, ZERO, method="normalisation", n=N, key=0)
    plain = calibrate_ratio(exact, simulator, ZERO, method="normalisation", n=N, key=0)
    value, error = mended.log_normaliser({"theta": theta})
    # With the same pool exact and shifted ratios become the same function, whatever the pool.
    assert value - np.sin(3 * theta) == pytest.approx(plain.log_normaliser({"theta": theta})[0], abs=1e-5)
    # The exact ratio's normaliser is one within the stated error, which is sqrt((exp(theta^2 / 5) - 1) / N).
    assert np.all(np.abs(value - np.sin(3 * theta)) < 4 * error + 1e-6)
    assert error == pytest.approx(np.sqrt((np.exp(theta**2 / 5) - 1) / N), rel=0.2, abs=1e-9)
    rows = np.resize(theta, len(fresh))
    found = mended.log_ratio({"theta": rows}, fresh)
    assert np.all(np.abs(found - truth(rows, fresh)) < 4 * np.resize(error, len(fresh)) + 1e-5)


def test_the_mean_over_fresh_reference_events_is_one(simulator):
    x = np.asarray(qx.simulate(simulator, theta={"theta": np.zeros(N, np.float32)}, key=3).x)
    mended = calibrate_ratio(distorted, simulator, ZERO, method="normalisation", n=N, key=0)
    weight = np.exp(mended.log_ratio(ONE, x))
    error = weight.std() / np.sqrt(N)
    # both the pool and the fresh events scatter
    assert weight.mean() == pytest.approx(1.0, abs=4 * np.sqrt(2) * error)
    before = np.exp(distorted({"theta": 1.0}, x)).mean()
    assert abs(before - 1.0) > 20 * error


def test_theta_may_have_any_leading_axes(simulator, fresh):
    mended = calibrate_ratio(exact, simulator, ZERO, method="normalisation", n=2000, key=0)
    x = fresh[:5]
    table = mended.log_ratio({"theta": np.tile([0.5, 1.0], (5, 1))}, x)
    assert table.shape == (5, 2)
    assert table[:, 1] == pytest.approx(mended.log_ratio(ONE, x), abs=1e-6)
    assert table[:, 0] == pytest.approx(mended.log_ratio({"theta": np.full(5, 0.5)}, x), abs=1e-6)
    with pytest.raises(ShapeMismatch):
        mended.log_ratio({"theta": np.zeros(3)}, x)


def test_labelled_simulations_do_as_well_as_a_simulator(simulator, fresh):
    at = {"theta": np.ones(2 * N, np.float32)}
    sims = qx.simulate(simulator, theta=at, gold=Reference.at(ZERO), key=4)
    mended = calibrate_ratio(distorted, sims, ZERO, method="histogram", key=0)
    found, true = mended.log_ratio(ONE, fresh), truth(1.0, fresh)
    assert np.sqrt(np.mean((found - true) ** 2)) < 3 * np.sqrt(2 / (N / 50))
    several = qx.simulate(simulator, 1000, gold=Reference.at(ZERO), key=4)
    with pytest.raises(UsageError, match="several theta"):
        calibrate_ratio(distorted, several, ZERO, key=0)
    normalised = calibrate_ratio(exact, several, ZERO, method="normalisation", key=0)
    assert abs(normalised.log_normaliser(ONE)[0]) < 4 * normalised.log_normaliser(ONE)[1]
    with pytest.raises(UsageError, match="without labels"):
        calibrate_ratio(exact, qx.simulate(simulator, 1000, key=0), ZERO, key=0)


@pytest.fixture(scope="module")
def estimator(problem):
    settings = FitSettings(epochs=10, batch_size=500, learning_rate=1e-2)
    return Ratio(network={"width": 32, "depth": 1}, settings=settings).fit(problem.sims, problem.prior, key=2)


@pytest.mark.parametrize("method", ["histogram", "normalisation"])
def test_an_estimator_with_its_calibration_saves_and_loads(problem, estimator, tmp_path, method):
    reference = Reference.mixture({"a": np.array([-1.0, 1.0]), "b": np.zeros(2)})
    theta = {"a": 0.3, "b": -0.2}
    at = theta if method == "histogram" else None
    mended = calibrate_ratio(estimator, problem.simulator, reference, theta=at, method=method, n=2000, key=0)
    x = np.asarray(problem.fresh.x)[:20]
    again = load(mended.save(tmp_path / "calibrated.qx"))
    assert isinstance(again, CalibratedRatio)
    assert again.log_ratio(theta, x) == pytest.approx(mended.log_ratio(theta, x), abs=1e-6)
    if method == "normalisation":
        # one number for all x is what it changes, and the learned ratio is near enough normalised
        learned = RatioTo.of(estimator, problem.prior, reference)(np.tile([0.3, -0.2], (20, 1)), x)
        change = mended.log_ratio(theta, x) - learned
        assert np.ptp(change) < 1e-4 and abs(change[0]) < 0.5


def test_what_makes_no_sense_is_refused(simulator, fresh):
    with pytest.raises(UsageError, match="expected one of histogram"):
        calibrate_ratio(exact, simulator, ZERO, method="platt", key=0)
    with pytest.raises(UsageError, match="got no theta"):
        calibrate_ratio(exact, simulator, ZERO, key=0)
    with pytest.raises(UsageError, match="fixed points"):
        calibrate_ratio(exact, simulator, Reference.each(), method="normalisation", key=0)
    with pytest.raises(ShapeMismatch, match="one point"):
        calibrate_ratio(exact, simulator, ZERO, theta={"theta": np.zeros(3)}, key=0)
    with pytest.raises(TooFewSimulations):
        calibrate_ratio(exact, simulator, ZERO, method="normalisation", n=50, key=0)
    mended = calibrate_ratio(exact, simulator, ZERO, theta=ONE, n=1000, key=0)
    with pytest.raises(UsageError, match="calibrated by histogram"):
        mended.log_ratio({"theta": 2.0}, fresh)
    with pytest.raises(UsageError, match="normalisation"):
        mended.log_normaliser(ONE)
    with pytest.raises(UsageError, match="cannot be saved"):
        mended.save("/nowhere/at/all")
    with pytest.raises(UsageError, match="expected one reference"):
        RatioTo.of(mended, simulator.prior, ONE)
