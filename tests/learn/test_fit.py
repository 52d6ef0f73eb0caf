"""The one training loop: it reaches the minimiser, keeps the best, resumes to the bit, and survives Ctrl-C."""

import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quincunx import values
from quincunx.learn import FitSettings, Surrogate, build, fit
from quincunx.learn.functionals import NegativeLogDensity

SPEC = {"kind": "gaussian", "dim": 1, "condition_dim": 1, "width": 8, "depth": 1}
SETTINGS = FitSettings(epochs=12, batch_size=100, learning_rate=1e-2)


def make(key):
    return build(SPEC, key=key)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    c = rng.normal(size=(2000, 1)).astype(np.float32)
    y = (2 * c + 0.5 * rng.normal(size=(2000, 1))).astype(np.float32)
    return {"y": jnp.asarray(y), "c": jnp.asarray(c)}


def run(data, **options):
    return fit(NegativeLogDensity(), make, data, key=jax.random.key(1), settings=SETTINGS, members=2, **options)


@pytest.fixture(scope="module")
def whole(data):
    return run(data)


def test_reaches_the_conditional_entropy(whole):
    # -E log p(y | c) of a normal of standard deviation 1/2, whose estimate over 200 held-out rows has this error
    entropy = 0.5 * np.log(2 * np.pi * np.e * 0.25)
    assert np.all(np.abs(whole.best_loss - entropy) < 4 * np.sqrt(0.5 / 200))


def test_history_and_best_epoch_agree(whole):
    assert whole.history["validation"].shape == (12, 2)
    assert np.all(np.isfinite(whole.history["train"]))
    np.testing.assert_array_equal(whole.history["validation"].min(axis=0), whole.best_loss)
    np.testing.assert_array_equal(whole.history["validation"].argmin(axis=0) + 1, whole.best_epoch)


def test_members_differ(whole):
    leaf = jax.tree.leaves(whole.model)[0]
    assert leaf.shape[0] == 2 and not np.allclose(leaf[0], leaf[1])


def test_interrupted_returns_the_best_so_far_and_resumes_to_the_bit(data, whole, tmp_path):
    def stop(report):
        if report["epoch"] == 5:
            raise KeyboardInterrupt

    part = run(data, progress=stop)
    assert part.stopped == "interrupted" and part.epochs == 5
    np.testing.assert_array_equal(part.history["validation"], whole.history["validation"][:5])
    path = values.save(part.state, tmp_path / "state.qx")
    rest = run(data, state=values.load(path))
    assert rest.stopped == "budget" and rest.epochs == 12
    for a, b in zip(jax.tree.leaves(whole.model), jax.tree.leaves(rest.model), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_signal_ends_the_epoch_under_way(data, whole):
    part = run(data, progress=lambda report: report["epoch"] == 3 and signal.raise_signal(signal.SIGINT))
    assert part.stopped == "interrupted" and part.epochs == 3
    np.testing.assert_array_equal(part.history["validation"], whole.history["validation"][:3])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_same_key_same_bits(data, whole):
    for a, b in zip(jax.tree.leaves(whole.model), jax.tree.leaves(run(data).model), strict=True):
        np.testing.assert_array_equal(a, b)


def test_patience_ends_a_run_that_no_longer_improves(data):
    shuffled = {"y": data["y"], "c": jnp.zeros_like(data["c"])}
    settings = FitSettings(epochs=200, batch_size=100, learning_rate=1e-2, patience=3)
    result = fit(NegativeLogDensity(), make, shuffled, key=jax.random.key(0), settings=settings)
    assert result.stopped == "patience" and result.epochs - result.best_epoch[0] == 4


def test_settings_fill_in_enough_steps():
    for n in (50, 2000, 10_000, 1_000_000):
        settings = FitSettings().resolved(n)
        train = n - settings.validation_rows(n)
        assert settings.batch_size <= train
        assert settings.epochs * (train // settings.batch_size) >= 2000


def test_surrogate_round_trip(data, whole, tmp_path):
    surrogate = Surrogate.of(whole, SPEC, "negative_log_density", {})
    again = values.load(values.save(surrogate, tmp_path / "s.qx"))
    first = jax.tree.map(lambda leaf: leaf[0] if hasattr(leaf, "ndim") else leaf, again.model)
    member = jax.tree.map(lambda leaf: leaf[0] if hasattr(leaf, "ndim") else leaf, whole.model)
    y, c = data["y"][0], data["c"][0]
    assert first.log_prob(y, c) == member.log_prob(y, c)
    assert again.spec == SPEC and again.members == 2


def test_rows_that_belong_together_are_held_out_together():
    """Fifty rows have one condition and one mean, which do not go by each other: to know the mean of held-out rows is to have seen others of it."""
    rng = np.random.default_rng(3)
    c, mean = rng.permutation(np.linspace(-2, 2, 20)), rng.normal(size=20)
    rows = {"c": np.repeat(c, 50), "y": np.repeat(mean, 50) + 0.1 * rng.normal(size=1000)}
    data = {name: jnp.asarray(value[:, None], jnp.float32) for name, value in rows.items()}
    settings = FitSettings(
        epochs=100, batch_size=100, learning_rate=3e-2, weight_decay=0.0, validation=0.25, patience=100
    )

    def wide(key):
        return build({**SPEC, "width": 64, "depth": 2}, key=key)

    alone, together = (
        fit(NegativeLogDensity(), wide, data, key=jax.random.key(0), settings=settings, block=block)
        for block in (1, 50)
    )
    # knowing nothing but the law of the means: the entropy of a normal of variance 1.01
    nothing = 0.5 * np.log(2 * np.pi * np.e * 1.01)
    assert alone.best_loss[0] < nothing - 0.5
    assert together.best_loss[0] > nothing - 0.5 and together.history["validation"][-1, 0] > together.best_loss[0]
