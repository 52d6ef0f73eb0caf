"""The local classifier test, with exchanged labels and in base coordinates."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quincunx.check import lc2st, lc2st_base
from quincunx.check.classifier import ClassifierBuilder, first_against_rest

REPEATS = 100


def test_false_alarms_are_nominal(make_trials, nominal):
    p = []
    for seed in range(REPEATS):
        trials = make_trials("exact", seed, n=60, draws=30)
        result = lc2st(trials, key=seed, x_o=trials.x[0], draws_o=trials.position_draws[0], nulls=19, epochs=5)
        p.append(float(result.detail["p_counted"]))
    p = np.array(p)
    # the observed statistic is an ensemble's, less scattered than the single networks of the null: at most nominal
    assert nominal(int(np.sum(p <= 0.05)), REPEATS, 0.05, at_most=True)
    assert nominal(int(np.sum(p <= 0.3)), REPEATS, 0.3, at_most=True)
    assert np.mean(p) < 0.75


@pytest.mark.slow
def test_false_alarms_in_base_coordinates(nominal):
    alarms = 0
    for seed in range(REPEATS):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(80, 2))
        result = lc2st_base(rng.normal(size=(80, 2)), x, x_o=x[0], key=seed, nulls=19, epochs=5)
        alarms += result.detail["p_counted"] <= 0.05
    assert nominal(int(alarms), REPEATS, 0.05, at_most=True)


@pytest.mark.parametrize("kind", ["overconfident", "underconfident", "biased", "prior only"])
def test_each_error_is_caught_globally(make_trials, kind):
    trials = make_trials(kind, 0, n=1000)
    assert lc2st(trials, key=0).p_value < 0.01


def test_the_prior_is_caught_at_an_observation(make_trials):
    trials = make_trials("prior only", 1, n=1000)
    draws = np.random.default_rng(0).normal(size=(500, 2))
    result = lc2st(trials, key=0, x_o=np.array([2.0, -1.5]), draws_o=draws)
    assert result.detail["p_counted"] == pytest.approx(1 / 101)


def test_an_error_that_is_local_is_seen_where_it_is():
    # exact where x_0 < 0, displaced by two sd where x_0 > 0
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 1))
    z = rng.normal(size=(1000, 1)) + 2.0 * (x > 0)
    there, elsewhere = (lc2st_base(z, x, x_o=np.array([at]), key=0) for at in (1.0, -1.0))
    assert there.p_value < 0.01
    # the null supposes an answer that is right everywhere, so the other side is judged by the size of the effect
    margin = "typical margin of the classifier"
    assert there.effects[margin] > 4 * elsewhere.effects[margin]


def test_labels_are_kept_and_are_what_they_say():
    points = jnp.arange(6.0).reshape(2, 3, 1)
    keys = jax.random.split(jax.random.key(0), 200)
    for labels in ("observed", "exchanged"):
        build = ClassifierBuilder((2, 3, 1), 2, 4, 1, labels)
        first = np.array([[build(k).relabelled(points[r], jnp.int32(r))[0, 0] for r in range(2)] for k in keys[:30]])
        assert set(first[:, 0]) == ({0.0} if labels == "observed" else {0.0, 1.0, 2.0})
    member = ClassifierBuilder((2, 3, 1), 2, 4, 1, "normal")(keys[0])
    again = member.relabelled(points[0], jnp.int32(0))
    np.testing.assert_array_equal(again, member.relabelled(points[0], jnp.int32(0)))
    assert again[0, 0] != points[0, 0, 0] and again[1, 0] == points[0, 1, 0]


def test_minimiser_is_the_log_ratio():
    # the loss at d = log p - log q is below that of its multiples and shifts
    rng = np.random.default_rng(0)
    points = jnp.asarray(
        np.stack([1 + rng.normal(size=(20_000, 1)), rng.normal(size=(20_000, 1))], axis=1), jnp.float32
    )

    member = ClassifierBuilder(points.shape, 2, 2, 1, "observed")(jax.random.key(0))

    def loss(slope, offset):
        # relu(h) - relu(-h) = h: a linear logit, slope * theta + offset
        weights = [jnp.array([[1.0, 0.0], [-1.0, 0.0]]), jnp.array([[slope, -slope]])]
        known = eqx.tree_at(lambda m: (m.weights, m.biases), member, (weights, [jnp.zeros(2), jnp.array([offset])]))
        batch = {"points": points, "x": jnp.zeros((20_000, 1)), "row": jnp.arange(20_000)}
        return float(first_against_rest(known, batch, key=jax.random.key(0)))

    best = loss(1.0, -0.5)
    assert best < min(loss(0.7, -0.35), loss(1.4, -0.7), loss(1.0, -0.2), loss(1.0, -0.8))
