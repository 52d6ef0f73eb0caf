"""Distributions written as names and numbers come back the same, and nothing else can be built from a file."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from quincunx.errors import CorruptFile, UnsupportedPrior
from quincunx.model.distributions import distribution_from_state, distribution_to_state

T = dist.transforms
MEMBERS = {
    "normal": dist.Normal(0.5, 2.0),
    "numpy numbers": dist.Normal(np.float32(0.5), np.array(2.0)),
    "vector": dist.Normal(jnp.arange(3.0), 1.0).to_event(1),
    "expanded": dist.Normal(0.0, 1.0).expand((2, 3)).to_event(2),
    "lognormal": dist.LogNormal(0.0, 1.0),
    "beta": dist.Beta(2.0, 3.0),
    "gamma": dist.Gamma(2.0, 3.0),
    "chi2": dist.Chi2(3.0),
    "half normal": dist.HalfNormal(2.0),
    "half cauchy": dist.HalfCauchy(2.0),
    "student": dist.StudentT(3.0, 1.0, 2.0),
    "truncated": dist.TruncatedNormal(0.0, 1.0, low=-1.0, high=2.0),
    "left truncated": dist.TruncatedNormal(0.0, 1.0, low=-1.0),
    "multivariate": dist.MultivariateNormal(jnp.ones(2), jnp.array([[2.0, 0.5], [0.5, 1.0]])),
    "precision": dist.MultivariateNormal(jnp.ones(2), precision_matrix=2.0 * jnp.eye(2)),
    "multivariate student": dist.MultivariateStudentT(4.0, jnp.ones(2), jnp.eye(2)),
    "low rank": dist.LowRankMultivariateNormal(jnp.zeros(3), jnp.ones((3, 1)), jnp.ones(3)),
    "dirichlet": dist.Dirichlet(jnp.array([1.0, 2.0, 3.0])),
    "correlations": dist.LKJCholesky(3, 2.0),
    "von Mises": dist.VonMises(0.0, 2.0),
    "log uniform": dist.LogUniform(1.0, 10.0),
    "affine": dist.TransformedDistribution(dist.Beta(2.0, 2.0), T.AffineTransform(3.0, 2.0)),
    "chain": dist.TransformedDistribution(dist.Normal(0.0, 1.0), [T.AffineTransform(1.0, 0.5), T.ExpTransform()]),
    "mixture": dist.MixtureSameFamily(
        dist.Categorical(jnp.array([0.3, 0.7])), dist.Normal(jnp.array([-2.0, 2.0]), 0.5)
    ),
}


@pytest.mark.parametrize("name", MEMBERS)
def test_what_is_written_is_read_back(name):
    distribution = MEMBERS[name]
    spec, arrays = distribution_to_state("a", distribution)
    again = distribution_from_state(spec, {path: np.array(array) for path, array in arrays.items()})
    assert type(again) is type(distribution)
    draws = distribution.sample(jax.random.key(0), (3,))
    np.testing.assert_array_equal(again.sample(jax.random.key(0), (3,)), draws)
    np.testing.assert_allclose(again.log_prob(draws), distribution.log_prob(draws), rtol=1e-6)


def test_a_private_distribution_cannot_be_written():
    class Mine(dist.Normal):
        pass

    with pytest.raises(UnsupportedPrior, match=r"(?s)Mine.*'a'"):
        distribution_to_state("a", Mine(0.0, 1.0))


@pytest.mark.parametrize(
    "spec",
    [
        {"distribution": "os", "with": {}},
        {"distribution": "biject_to", "with": {}},
        {"distribution": "__class__", "with": {}},
        {"constraint": "__builtins__"},
        {"transform": "__import__", "with": {}},
        {},
    ],
)
def test_only_listed_classes_are_built(spec):
    with pytest.raises(CorruptFile):
        distribution_from_state(spec, {})
