"""Functionals of gold over a family that contains their minimiser: z ~ N(theta, 2), x ~ N(z, 1), against theta = 0."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quincunx.learn.fit import FitSettings, fit
from quincunx.learn.functionals import (
    JointCrossEntropy,
    JointRatioRegression,
    JointScoreRegression,
    NegativeLogDensity,
    ReferenceCrossEntropy,
    WithJointScore,
)

N = 12_000
# log r(x | theta, 0) = (2 x theta - theta^2) / 10 in the features 1, theta, u, theta^2, theta u, u^2, u = x / 3 of unit size
LOG_RATIO = np.array([0, 0, 0, -0.1, 0.6, 0])
SETTINGS = FitSettings(epochs=150, batch_size=540, learning_rate=0.02, weight_decay=0.0, patience=150)


class Quadratic(eqx.Module):
    """A log-ratio that is a quadratic polynomial of theta and x."""

    weight: jax.Array

    def __call__(self, theta, x):
        t, u = theta[0], x[0] / 3
        return jnp.dot(self.weight, jnp.stack([jnp.ones_like(u), t, u, t**2, t * u, u**2]))


class Normal(eqx.Module):
    """log N(x; w_0 + w_1 theta, exp(w_2)), the condition being theta and a setting that does nothing."""

    weight: jax.Array

    def log_prob(self, y, c):
        return jax.scipy.stats.norm.logpdf(y[0], self.weight[0] + self.weight[1] * c[0], jnp.exp(self.weight[2]))


class Linear(eqx.Module):
    """t(x) = w_0 + w_1 x."""

    weight: jax.Array

    def __call__(self, x):
        return self.weight[:1] + self.weight[1:] * x


def normal_log_prob(z, mean):
    return -0.125 * (z - mean) ** 2


@pytest.fixture(scope="module")
def gold():
    """Half of the rows at theta, half at the reference; the joint score is (z - theta) / 4."""
    rng = np.random.default_rng(0)
    theta = rng.uniform(-2, 2, N)
    label = (np.arange(N) % 2 == 0).astype(float)
    z = label * theta + 2 * rng.normal(size=N)
    x = z + rng.normal(size=N)
    columns = {
        "theta": theta[:, None],
        "x": x[:, None],
        "label": label,
        "log_ratio": normal_log_prob(z, theta) - normal_log_prob(z, 0.0),
        "score": (z - theta)[:, None] / 4,
        "weight": label[:, None],
    }
    return {name: value.astype(np.float32) for name, value in columns.items()}


def sandwich(functional, model, truth, data, rows):
    """Standard errors of the minimiser from `rows` rows: H^-1 G H^-1 / rows, G the variance of the losses' gradients at the truth."""

    def loss(weight, row):
        batch = jax.tree.map(lambda a: a[None], row)
        return functional(model(weight), batch, key=jax.random.key(0))

    truth = jnp.asarray(truth, jnp.float32)
    gradients = np.asarray(jax.jit(jax.vmap(jax.grad(loss), (None, 0)))(truth, data), np.float64)
    mean = jax.jit(jax.hessian(lambda weight: jnp.mean(jax.vmap(lambda row: loss(weight, row))(data))))
    inverse = np.linalg.inv(np.asarray(mean(truth), np.float64))
    return np.sqrt(np.diag(inverse @ np.cov(gradients.T) @ inverse) / rows)


def fitted(functional, model, size, data):
    result = fit(
        functional, lambda key: model(jnp.zeros(size)), data, key=jax.random.key(1), settings=SETTINGS, members=1
    )
    # where training ended, not its best epoch: that one is chosen by the few rows held out, whose own minimiser is farther off
    return np.asarray(result.state.parameters[0], np.float64)


RATIOS = {
    "rolr": JointRatioRegression(),
    "alice": JointCrossEntropy(),
    "cascal": WithJointScore(ReferenceCrossEntropy(), alpha=1.0),
    "rascal": WithJointScore(JointRatioRegression(), alpha=1.0),
    "alices": WithJointScore(JointCrossEntropy(), alpha=1.0),
}


@pytest.mark.parametrize("name", RATIOS)
def test_the_minimiser_is_the_log_ratio(gold, name):
    weight = fitted(RATIOS[name], Quadratic, 6, gold)
    errors = sandwich(RATIOS[name], Quadratic, LOG_RATIO, gold, 0.9 * N)
    np.testing.assert_array_less(np.abs(weight - LOG_RATIO), 4 * errors)


def test_gold_knows_more_than_labels(gold):
    """Standard errors at equal size: the joint ratio beats the label, and the score beats both."""
    known = {"carl": ReferenceCrossEntropy(), **RATIOS}
    slope = {name: sandwich(f, Quadratic, LOG_RATIO, gold, N)[4] for name, f in known.items()}
    assert slope["alice"] < slope["rolr"] < slope["carl"]
    assert slope["alice"] < 0.25 * slope["carl"]
    assert slope["cascal"] < 0.5 * slope["carl"]
    assert slope["rascal"] < slope["rolr"]


def test_unequal_numbers_of_labels_are_accounted_for(gold):
    keep = (gold["label"] == 1) | (np.arange(N) % 6 == 1)
    some = {name: value[keep] for name, value in gold.items()}
    functional = JointCrossEntropy(odds=float(some["label"].sum() / (1 - some["label"]).sum()))
    weight = fitted(functional, Quadratic, 6, some)
    errors = sandwich(functional, Quadratic, LOG_RATIO, some, 0.9 * keep.sum())
    np.testing.assert_array_less(np.abs(weight - LOG_RATIO), 4 * errors)


def test_scores_of_rows_that_were_not_drawn_there_do_not_count(gold):
    wild = {**gold, "score": np.where(gold["weight"] > 0, gold["score"], 1e3)}
    functional = WithJointScore(JointCrossEntropy())
    model = Quadratic(jnp.asarray(LOG_RATIO, jnp.float32))
    value = [float(functional(model, data, key=jax.random.key(0))) for data in (gold, wild)]
    assert value[0] == pytest.approx(value[1])


def test_the_score_helps_a_density_and_leaves_its_minimiser(gold):
    own = gold["label"] == 1
    theta, x = gold["theta"][own], gold["x"][own]
    condition = np.concatenate([theta, np.random.default_rng(1).normal(size=theta.shape).astype(np.float32)], axis=1)
    data = {"y": x, "c": condition, "score": gold["score"][own], "weight": np.ones_like(theta)}
    truth = np.array([0.0, 1.0, 0.5 * np.log(5.0)])
    errors = {}
    for name, functional in (
        ("nle", NegativeLogDensity()),
        ("scandal", WithJointScore(NegativeLogDensity(), alpha=5.0, density=True)),
    ):
        weight = fitted(functional, Normal, 3, data)
        errors[name] = sandwich(functional, Normal, truth, data, 0.9 * own.sum())
        np.testing.assert_array_less(np.abs(weight - truth), 4 * errors[name])
    assert errors["scandal"][1] < errors["nle"][1]


def test_the_score_is_the_conditional_mean_of_the_joint_score():
    rng = np.random.default_rng(2)
    z = 0.5 + 2 * rng.normal(size=(N, 1))
    x = z + rng.normal(size=(N, 1))
    data = {"x": x.astype(np.float32), "score": ((z - 0.5) / 4).astype(np.float32)}
    weight = fitted(JointScoreRegression(), Linear, 2, data)
    truth = np.array([-0.1, 0.2])
    errors = sandwich(JointScoreRegression(), Linear, truth, data, 0.9 * N)
    np.testing.assert_array_less(np.abs(weight - truth), 4 * errors)
    # (x - theta) / 4, the score of z read at x, is not it
    assert abs(weight[1] - 0.25) > 10 * errors[1]


def test_a_heavy_tail_is_cut_and_not_infinite(gold):
    extreme = {**gold, "log_ratio": np.full(N, 500.0, np.float32)}
    model = Quadratic(jnp.zeros(6))
    for functional in (JointRatioRegression(), JointCrossEntropy()):
        assert np.isfinite(float(functional(model, extreme, key=jax.random.key(0))))
