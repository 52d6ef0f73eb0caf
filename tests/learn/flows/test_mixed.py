"""The density of whole and continuous numbers: cells are exact, probabilities sum to one, draws follow them, gradients stay finite."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from quincunx.learn import FitSettings, build, fit
from quincunx.learn.flows import describe_columns
from quincunx.learn.flows.mixed import _log_cell
from quincunx.learn.functionals import NegativeLogDensity

COUNTS = {
    "log": True,
    "offset": 1.0,
    "low": 0.0,
    "high": 40.0,
    "open_low": True,
    "open_high": False,
    "shift": 1.5,
    "spread": 0.8,
}
BIT = {
    "log": False,
    "offset": 1.0,
    "low": 0.0,
    "high": 1.0,
    "open_low": True,
    "open_high": True,
    "shift": 0.5,
    "spread": 0.5,
}


def shaken(columns):
    model = build(
        {"kind": "mixed", "dim": len(columns), "condition_dim": 1, "width": 8, "depth": 1, "columns": columns},
        key=jax.random.key(0),
    )
    trunk, rest = eqx.partition(model.trunk, eqx.is_inexact_array)
    leaves, structure = jax.tree.flatten(trunk)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    moved = [leaf + 0.2 * jax.random.normal(k, leaf.shape) for leaf, k in zip(leaves, keys)]
    return eqx.tree_at(lambda m: m.trunk, model, eqx.combine(jax.tree.unflatten(structure, moved), rest))


def test_cells_are_those_of_double_precision():
    rng = np.random.default_rng(0)
    low = rng.normal(size=(4000, 1)).astype(np.float32) * 4
    high = low + 10 ** rng.uniform(-3, 1, size=low.shape).astype(np.float32)
    a, b = low.astype(float), high.astype(float)
    low, high, closed = jnp.asarray(low), jnp.asarray(high), jnp.zeros(low.shape, bool)
    got = np.asarray(_log_cell(low, high, closed, closed))
    flip = a > 0
    a, b = np.where(flip, -b, a), np.where(flip, -a, b)
    expected = stats.norm.logcdf(b) + np.log1p(-np.exp(stats.norm.logcdf(a) - stats.norm.logcdf(b)))
    # roundings of both ends, each times the slope of the logarithm, relative to the width
    bound = 4e-7 * (1 + np.abs(a)) ** 2 / np.minimum(b - a, 1) + 1e-5
    assert np.all(np.abs(got - expected) < bound)
    open_ = ~closed
    np.testing.assert_allclose(
        _log_cell(low, high, open_, closed), stats.norm.logcdf(np.asarray(high, float)), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        _log_cell(low, high, closed, open_), stats.norm.logsf(np.asarray(low, float)), rtol=1e-4, atol=1e-6
    )
    assert np.all(_log_cell(low, high, open_, open_) == 0)


def test_probabilities_sum_to_one_and_draws_follow_them():
    model = shaken([COUNTS, BIT])
    # what draws leave out and the density has, the broad part, is a ten-thousandth
    cells = np.stack(np.meshgrid(np.arange(4000.0), np.arange(2.0), indexing="ij"), -1).reshape(-1, 2)
    condition = jnp.array([0.7])
    p = np.exp(np.asarray(jax.jit(jax.vmap(lambda y: model.log_prob(y, condition)))(cells), np.float64))
    assert p.sum() == pytest.approx(1.0, abs=1e-3)
    n = 4000
    draws = np.asarray(
        jax.jit(jax.vmap(lambda k: model.sample(condition, key=k)))(jax.random.split(jax.random.key(2), n))
    )
    assert np.all(draws == np.round(draws)) and draws.min() >= 0 and draws[:, 1].max() == 1
    seen = np.bincount((2 * draws[:, 0] + draws[:, 1]).astype(int), minlength=len(cells))
    common = n * p > 5
    observed, expected = np.append(seen[common], seen[~common].sum()), np.append(n * p[common], n * p[~common].sum())
    assert stats.chisquare(observed, expected * n / expected.sum()).pvalue > 1e-3


def test_gradients_are_finite_wherever_an_outcome_lies():
    model = shaken([COUNTS, BIT, None])
    gradient = jax.jit(
        jax.vmap(lambda y: jax.tree.leaves(eqx.filter_grad(lambda m: m.log_prob(y, jnp.ones(1)))(model)))
    )
    rows = jnp.array([[0.0, 0, 0], [0, 1, 50.0], [40, 1, -3.0], [1e6, 0, 0.0], [1.0, 5.0, 1e4]])
    for leaf in gradient(rows):
        assert np.isfinite(leaf).all()


def test_the_minimiser_is_the_distribution_of_the_counts():
    """x ~ Poisson(exp(c)), y ~ Normal(x / 10, 0.5): the loss reaches the entropy, and probabilities are the Poisson's."""
    rng = np.random.default_rng(3)
    n = 6000
    c = rng.uniform(-1, 3, size=(n, 1)).astype(np.float32)
    counts = rng.poisson(np.exp(c[:, 0]))
    y = np.stack([counts, counts / 10 + 0.5 * rng.normal(size=n)], axis=1).astype(np.float32)
    spec = {
        "kind": "mixed",
        "dim": 2,
        "condition_dim": 1,
        "width": 32,
        "columns": describe_columns(y, np.array([True, False])),
    }
    settings = FitSettings(learning_rate=1e-2, weight_decay=0.05, epochs=60)
    result = fit(
        NegativeLogDensity(), lambda k: build(spec, key=k), {"y": y, "c": c}, key=jax.random.key(0), settings=settings
    )
    model = jax.tree.map(lambda a: a[0] if eqx.is_array(a) else a, result.model)
    counts = rng.poisson(np.exp(c[:, 0]))
    test = np.stack([counts, counts / 10 + 0.5 * rng.normal(size=n)], axis=1).astype(np.float32)
    ours = np.asarray(jax.jit(jax.vmap(model.log_prob))(test, c), np.float64)
    exact = stats.poisson.logpmf(counts, np.exp(c[:, 0])) + stats.norm.logpdf(test[:, 1], counts / 10, 0.5)
    gap = exact - ours
    # the gap is a Kullback-Leibler divergence: not negative beyond its error, and small beside the entropy of 2.7 nats
    assert -3 * gap.std() / n**0.5 < gap.mean() < 0.03
