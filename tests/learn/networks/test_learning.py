"""Every embedding can learn a small task that needs what it is for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quincunx.learn.build import build
from quincunx.learn.fit import FitSettings, fit

N = 1024


def rows(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=(N, *shape)).astype(np.float32)


def sets():
    """The standard deviation of each set, of 2 to 8 events."""
    count = np.random.default_rng(1).integers(2, 9, (N, 1))
    mask = jnp.arange(8) < count
    spread = jnp.exp(0.5 * rows(1, seed=2))
    events = spread[:, :, None] * rows(8, 1)
    mean_square = jnp.sum(jnp.where(mask, events[..., 0] ** 2, 0), 1) / count[:, 0]
    return {"events": events, "mask": mask}, jnp.log(mean_square)[:, None]


def bump(image):
    """Where a bump stands in noise."""
    place = np.random.default_rng(3).uniform(size=(N, 1)).astype(np.float32)
    grid = jnp.linspace(0, 1, 12)
    series = 2 * jnp.exp(-(((grid - place) / 0.15) ** 2)) + 0.05 * rows(12)
    return (series[:, :, None] * jnp.ones(5) if image else series), 4 * place - 2


def first_and_last():
    """The first number of a sequence times the last."""
    x = rows(5, 1)
    return x, x[:, 0] * x[:, -1]


def product():
    x = rows(2)
    return x, x[:, :1] * x[:, 1:]


TASKS = {
    "mlp": ({"in_size": 2, "out_size": 1, "width": 32}, product),
    "resmlp": ({"in_size": 2, "out_size": 1, "width": 32}, product),
    "deepset": ({"in_size": 1, "out_size": 1, "width": 24, "depth": 1}, sets),
    "conv1d": ({"out_size": 1, "width": 8, "depth": 2}, lambda: bump(image=False)),
    "conv2d": ({"out_size": 1, "width": 4, "depth": 2}, lambda: bump(image=True)),
    "gru": ({"in_size": 1, "out_size": 1, "width": 24}, first_and_last),
    "attention": ({"in_size": 1, "out_size": 1, "width": 24, "heads": 2, "depth": 1}, first_and_last),
}


def squared_error(model, batch, *, key):
    return jnp.mean((jax.vmap(model)(batch["x"]) - batch["y"]) ** 2)


# the others take 10 to 20 CPU-seconds each, most of it compilation
QUICK = ("mlp", "deepset")


@pytest.mark.parametrize("kind", [k if k in QUICK else pytest.param(k, marks=pytest.mark.slow) for k in TASKS])
def test_it_learns(kind):
    options, task = TASKS[kind]
    x, y = task()
    settings = FitSettings(epochs=30, batch_size=128, learning_rate=1e-2)
    result = fit(
        squared_error,
        lambda k: build({"kind": kind, **options}, key=k),
        {"x": x, "y": y},
        key=jax.random.key(0),
        settings=settings,
    )
    # at least four fifths of the variance, on rows held out
    assert float(result.best_loss[0]) < 0.2 * float(jnp.var(y))
