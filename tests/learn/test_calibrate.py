"""Calibration turns any monotone score into the ratio, against two Gaussians of equal variance."""

import jax.numpy as jnp
import numpy as np
import pytest

from quincunx.errors import InvalidSimulations, TooFewSimulations, UsageError
from quincunx.learn.calibrate import calibrate, pool_adjacent_violators
from quincunx.values import load, save

N = 40_000


@pytest.fixture(scope="module")
def draws():
    """x ~ N(1, 1) and x ~ N(0, 1): log r(x) = x - 1/2."""
    rng = np.random.default_rng(0)
    return rng.normal(1, 1, N), rng.normal(0, 1, N), rng.normal(0, 1, N)


@pytest.mark.parametrize("method", ["histogram", "isotonic"])
@pytest.mark.parametrize(
    "score", [lambda x: x - 0.5, lambda x: 4 * x + 3, lambda x: np.arctan(x)], ids=["exact", "sure", "bent"]
)
def test_a_monotone_score_becomes_the_ratio(draws, method, score):
    numerator, reference, fresh = draws
    calibration = calibrate(score(numerator), score(reference), method=method)
    x = np.linspace(-0.5, 1.5, 21)
    # three standard errors of a log-ratio of counts in the narrowest bin, and the width of a bin
    assert np.max(np.abs(np.asarray(calibration(score(x))) - (x - 0.5))) < 0.25
    ratio = np.exp(np.asarray(calibration(score(fresh)), np.float64))
    assert abs(np.mean(ratio) - 1) < 3 * np.sqrt(2 * (np.e - 1) / N)


@pytest.mark.parametrize("method", ["histogram", "isotonic"])
def test_the_reference_mean_is_one_on_the_calibration_draws(draws, method):
    numerator, reference, _ = draws
    # in float32, so that a score at an edge falls on the same side as when it was counted
    numerator, reference = numerator.astype(np.float32), reference.astype(np.float32)
    calibration = calibrate(numerator, reference, method=method)
    assert float(jnp.mean(jnp.exp(calibration(reference)))) == pytest.approx(1.0, abs=1e-3)


def test_an_uninformative_score_is_worth_nothing_and_empty_bins_are_finite():
    rng = np.random.default_rng(1)
    calibration = calibrate(rng.normal(size=4000), rng.normal(size=4000), method="histogram", bins=8)
    # counts of about 500 a class and bin: three standard errors of the log of their ratio
    assert float(jnp.max(jnp.abs(calibration.log_ratio))) < 3.5 * np.sqrt(2 / 500)
    separated = calibrate(np.linspace(5, 6, 100), np.linspace(-6, -5, 100))
    assert bool(jnp.isfinite(separated(jnp.array([-9.0, 0.0, 9.0]))).all())


def test_the_isotonic_ratio_never_falls(draws):
    calibration = calibrate(draws[0], draws[1], method="isotonic")
    assert bool((jnp.diff(calibration.log_ratio) >= -1e-6).all())


def test_pooling_agrees_with_scikit_learn():
    isotonic = pytest.importorskip("sklearn.isotonic")
    rng = np.random.default_rng(2)
    values, weights = rng.normal(size=300).cumsum(), rng.uniform(0.1, 2, 300)
    np.testing.assert_allclose(
        pool_adjacent_violators(values, weights), isotonic.isotonic_regression(values, sample_weight=weights), atol=1e-9
    )


def test_it_saves_and_bad_input_is_refused(draws, tmp_path):
    calibration = calibrate(draws[0], draws[1])
    again = load(save(calibration, tmp_path / "calibration.qx"))
    np.testing.assert_array_equal(again.log_ratio, calibration.log_ratio)
    assert again.expected_ratio == calibration.expected_ratio and again.method == "isotonic"
    with pytest.raises(UsageError, match="isotonic"):
        calibrate(draws[0], draws[1], method="platt")
    with pytest.raises(TooFewSimulations):
        calibrate(draws[0][:5], draws[1])
    with pytest.raises(InvalidSimulations):
        calibrate(np.full(20, np.nan), draws[1])
