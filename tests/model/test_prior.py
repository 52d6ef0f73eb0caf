"""Priors by name: shapes, densities, what they refuse, and what they look like."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

from quincunx.errors import NameMismatch, ShapeMismatch, UnsupportedPrior
from quincunx.model.prior import Prior
from quincunx.values import load, save


@pytest.fixture(scope="module")
def prior():
    return Prior(
        beta=dist.LogNormal(-0.9, 0.5),
        angle=dist.Uniform(-2.0, 3.0),
        v=dist.Normal(jnp.zeros(3), 1.0),
        units={"beta": "1/day"},
    )


def test_names_shapes_and_columns(prior):
    assert prior.names == ("beta", "angle", "v")
    assert prior.shapes == {"beta": (), "angle": (), "v": (3,)}
    assert prior.columns == ("beta", "angle", "v[0]", "v[1]", "v[2]")
    assert (prior.dim, prior.unconstrained_dim) == (5, 5)
    np.testing.assert_array_equal(prior.low, [0, -2, -np.inf, -np.inf, -np.inf])
    np.testing.assert_array_equal(prior.high, [np.inf, 3, np.inf, np.inf, np.inf])
    assert prior.units == {"beta": "1/day"}


def test_names_that_are_no_identifiers_come_in_a_mapping():
    assert Prior({"R 0": dist.Uniform(0.0, 1.0)}, b=dist.Normal(0.0, 1.0)).names == ("R 0", "b")


def test_draws_have_leading_axes(prior):
    assert {name: v.shape for name, v in prior.sample(key=0).items()} == prior.shapes
    assert prior.sample(4, key=0)["v"].shape == (4, 3)
    assert prior.sample_flat(4, key=0).shape == (4, 5)


def test_the_density_is_scipys(prior):
    theta = prior.sample(20, key=1)
    expected = (
        stats.lognorm(0.5, scale=np.exp(-0.9)).logpdf(theta["beta"])
        + stats.uniform(-2, 5).logpdf(theta["angle"])
        + stats.norm.logpdf(theta["v"]).sum(-1)
    )
    np.testing.assert_allclose(prior.log_prob(theta), expected, rtol=1e-5, atol=1e-5)


def test_the_density_is_zero_outside_with_finite_gradients(prior):
    flat = jnp.array([[-1.0, 0.0, 0, 0, 0], [1.0, 3.1, 0, 0, 0], [1.0, jnp.nan, 0, 0, 0]])
    assert np.array_equal(prior.log_prob_flat(flat), np.full(3, -np.inf))
    gradient = jax.jit(jax.vmap(jax.grad(prior.log_prob_flat)))(flat)
    assert np.isfinite(gradient).all()


def test_a_uniform_box_is_exactly_standard_normal():
    box = Prior(a=dist.Uniform(-3.0, 5.0), b=dist.Uniform(100.0, 100.5))
    u = jnp.linspace(-6, 6, 50).reshape(25, 2)
    np.testing.assert_allclose(box.log_prob_unconstrained(u), stats.norm.logpdf(u).sum(-1), rtol=1e-5)
    z = np.asarray(box.to_unconstrained(box.sample_flat(2000, key=0)))
    assert stats.kstest(z[:, 0], "norm").pvalue > 1e-3
    assert stats.kstest(z[:, 1], "norm").pvalue > 1e-3


def test_draws_follow_the_density():
    prior = Prior(g=dist.Gamma(3.0, 2.0))
    draws = np.asarray(prior.sample(2000, key=3)["g"])
    assert stats.kstest(draws, stats.gamma(3, scale=0.5).cdf).pvalue > 1e-3


def test_it_can_be_an_argument_of_a_compiled_function(prior):
    calls = []

    @eqx.filter_jit
    def density(prior, flat):
        calls.append(1)
        return prior.log_prob_flat(flat), prior.to_unconstrained(flat)

    flat = prior.sample_flat(6, key=2)
    np.testing.assert_allclose(density(prior, flat)[0], prior.log_prob_flat(flat), rtol=1e-5)
    density(prior, flat + 0.01)
    assert len(calls) == 1


def test_double_precision_inside_its_scope(prior):
    flat = np.asarray(prior.sample_flat(3, key=0), np.float64)
    with jax.enable_x64(True):
        u = prior.to_unconstrained(flat)
        assert u.dtype == jnp.float64
        np.testing.assert_allclose(prior.to_constrained(u), flat, rtol=1e-12)


def test_missing_and_unknown_names_are_named(prior):
    theta = prior.sample(key=0)
    with pytest.raises(NameMismatch, match=r"missing \['beta'\].*unknown \['bta'\].*rename 'bta' to 'beta'"):
        prior.log_prob({"bta": 1.0, "angle": theta["angle"], "v": theta["v"]})
    with pytest.raises(NameMismatch, match="gamma"):
        prior.truncate(gamma=(0, 1))
    with pytest.raises(NameMismatch, match="gamma"):
        Prior(a=dist.Normal(0.0, 1.0), units={"gamma": "m"})


def test_wrong_shapes_are_named(prior):
    theta = dict(prior.sample(4, key=0))
    with pytest.raises(ShapeMismatch, match="'v'"):
        prior.flatten({**theta, "v": jnp.zeros((4, 2))})
    with pytest.raises(ShapeMismatch, match="leading axes"):
        prior.flatten({**theta, "angle": jnp.zeros(3)})
    with pytest.raises(ShapeMismatch, match="5"):
        prior.unflatten(jnp.zeros((2, 4)))
    with pytest.raises(ShapeMismatch, match="5"):
        prior.to_constrained(jnp.zeros((2, 6)))


@pytest.mark.parametrize(
    ("distribution", "said"),
    [
        (dist.Poisson(3.0), "discrete"),
        (dist.Categorical(jnp.ones(3) / 3), "discrete"),
        (dist.ImproperUniform(dist.constraints.real, (), ()), "proper"),
        (dist.Uniform(2.0, 2.0), "low < high"),
        (3.0, "float"),
    ],
)
def test_unsupported_distributions_are_refused_by_name(distribution, said):
    with pytest.raises(UnsupportedPrior, match=f"(?s)'bad'.*{said}"):
        Prior(good=dist.Normal(0.0, 1.0), bad=distribution)


def test_no_parameters_are_refused():
    with pytest.raises(UnsupportedPrior, match="no parameters"):
        Prior()


def test_the_table_prints(prior):
    text = repr(prior)
    assert text.splitlines()[0] == "Prior of 3 parameters, 5 numbers"
    assert "beta" in text and "LogNormal" in text and "1/day" in text and "[-2, 3]" in text
    page = Prior({"<b>": dist.Normal(0.0, 1.0)})._repr_html_()
    assert "<table>" in page and "&lt;b&gt;" in page


def test_units_survive_the_file(prior, tmp_path):
    again = load(save(prior, tmp_path / "prior.qx"))
    assert again.units == prior.units and again.columns == prior.columns
