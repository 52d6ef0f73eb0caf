"""Standardisation: exact inverses, right Jacobians, tails tamed, constant columns named."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quincunx import values
from quincunx.errors import ConstantColumnWarning, UsageError
from quincunx.learn import Scale

RNG = np.random.default_rng(0)
COLUMNS = np.column_stack(
    [
        RNG.normal(3.0, 2.0, 4000),
        RNG.lognormal(0.0, 1.5, 4000),
        RNG.poisson(3.0, 4000),
        RNG.standard_t(2, 4000),
        RNG.normal(size=4000),
    ]
)


@pytest.fixture(scope="module", params=["zscore", "robust", "auto", "none"])
def scale(request):
    return Scale.fit(COLUMNS, method=request.param, probit=np.array([False] * 4 + [request.param == "auto"]))


def test_inverse_undoes_forward(scale):
    x = COLUMNS[:200].astype(np.float32)
    np.testing.assert_allclose(scale.inverse(scale.forward(x)), x, rtol=2e-4, atol=2e-4)


def test_log_det_is_that_of_the_jacobian(scale):
    for x in COLUMNS[:5].astype(np.float32):
        jacobian = jax.jacfwd(scale.forward)(jnp.asarray(x))
        np.testing.assert_allclose(scale.log_det(x), np.linalg.slogdet(jacobian)[1], rtol=1e-4, atol=1e-4)


def test_auto_takes_the_logarithm_of_skewed_and_asinh_of_heavy_columns():
    z = np.asarray(Scale.fit(COLUMNS, method="auto").forward(COLUMNS))
    assert np.abs(z.mean(axis=0)).max() < 1e-3 and np.abs(z.std(axis=0) - 1).max() < 1e-3
    # the standard error of the sample kurtosis of a normal is sqrt(24 / n)
    kurtosis = np.mean(z[:, 1] ** 4) - 3
    assert abs(kurtosis) < 4 * np.sqrt(24 / len(z))
    assert np.abs(z[:, 3]).max() < 10 < np.abs(COLUMNS[:, 3]).max()


def test_constant_column_is_named_and_left_alone():
    with pytest.warns(ConstantColumnWarning, match="dose"):
        scale = Scale.fit(np.column_stack([COLUMNS[:, 0], np.full(4000, 7.0)]), names=("time", "dose"))
    assert np.all(np.isfinite(scale.forward(np.array([1.0, 7.0]))))


def test_dropped_columns_do_not_matter(tmp_path):
    kept = np.array([True, False, True, False, True])
    scale = Scale.fit(COLUMNS, method="auto").keeping(kept)
    other = COLUMNS[:3].copy()
    other[:, ~kept] = -5.0
    np.testing.assert_array_equal(scale.forward(COLUMNS[:3]), scale.forward(other))
    assert scale.size == 3 and scale.forward(COLUMNS[:3]).shape == (3, 3)
    again = values.load(values.save(scale, tmp_path / "scale.qx"))
    np.testing.assert_array_equal(again.forward(other), scale.forward(other))


def test_unknown_method_is_refused():
    with pytest.raises(UsageError, match="minmax"):
        Scale.fit(COLUMNS, method="minmax")


def test_a_column_that_ends_abruptly_on_both_sides_is_read_between_its_ends():
    cosines = np.random.default_rng(1).uniform(-1.0, 1.0, (20_000, 1))
    scale = Scale.fit(cosines, method="bounded")
    x = cosines[:500].astype(np.float32)
    # the quantile function of a logistic law: its kurtosis is 4.2, that of a uniform one 1.8
    z = np.asarray(scale.forward(cosines.astype(np.float32)))
    assert abs(np.mean(z**4) - 4.2) < 4 * np.std(z**4) / np.sqrt(len(z))
    np.testing.assert_allclose(scale.inverse(scale.forward(x)), x, atol=1e-5)
    slope = jax.vmap(jax.grad(lambda c: scale.forward(c[None])[0]))(jnp.asarray(x[:, 0]))
    np.testing.assert_allclose(scale.log_det(x), np.log(np.asarray(slope)), rtol=1e-3, atol=1e-3)
    beyond = np.asarray(scale.forward(np.array([[-1.5], [-1.0], [1.5]], np.float32)))
    assert np.isfinite(beyond).all() and beyond[0, 0] <= beyond[1, 0] and np.abs(beyond).max() < np.abs(z).max() + 1
    # draws come back within what was seen, whatever a density says of its tails
    assert np.abs(np.asarray(scale.inverse(jnp.array([[-50.0], [50.0]])))).max() < 1.001


def test_columns_with_tails_are_not_taken_for_bounded_ones():
    bounded, auto = (Scale.fit(COLUMNS, method=method) for method in ("bounded", "auto"))
    np.testing.assert_array_equal(bounded.warp, auto.warp)
