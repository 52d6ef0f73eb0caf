"""Optimisers on functions whose maximum is known."""

import numpy as np
import numpyro.distributions as dist
import pytest

import quincunx as qx
from quincunx.design import Space, ascend, choose, fit_process, maximise, propose
from quincunx.design.gaussian_process import _log_h
from quincunx.errors import DesignOutsideSpace, UsageError

from .toys import answer, plane, plane_information, truth


def test_a_noisy_function_of_one_setting():
    rng = np.random.default_rng(0)
    noise = 0.1

    def function(design):
        return np.sin(3 * design["x"]) * np.exp(-design["x"] / 4) + noise * rng.normal(), noise

    found = maximise(function, Space(x=(0.0, 4.0)), budget=25, key=0)
    grid = np.linspace(0.0, 4.0, 4001)
    values = np.sin(3 * grid) * np.exp(-grid / 4)
    at = found.design["x"]
    regret = values.max() - np.sin(3 * at) * np.exp(-at / 4)
    assert regret < noise and len(found.values) == 25
    assert abs(found.mean - values.max()) < 3 * found.sd + noise
    # the recommendation has the highest mean of those looked at, not the highest noisy value
    mean, _ = found.process.predict(Space(x=(0.0, 4.0)).to_unit(found.designs))
    assert found.mean == mean.max()


def test_levels_and_constraints_are_kept():
    space = Space(x=(0.0, 1.0), kind=["a", "b", "c"], constraints=[lambda design: design["x"] > 0.2])

    def function(design):
        return -((design["x"] - 0.6) ** 2) + 0.5 * (design["kind"] == 1.0)

    found = maximise(function, space, budget=18, key=1)
    assert found.design["kind"] == 1.0 and abs(found.design["x"] - 0.6) < 0.1
    assert found.designs["x"].min() > 0.2 and set(found.designs["kind"]) <= {0.0, 1.0, 2.0}
    more = propose(space, [{"x": 0.3, "kind": 0.0}, {"x": 0.7, "kind": 1.0}], [(0.1, 0.0), (0.5, 0.0)], batch=2, key=2)
    assert len(more) == 2 and more[0] != more[1]
    with pytest.raises(DesignOutsideSpace):
        maximise(function, space, constraint=lambda design: False, budget=5, key=0)


def test_the_process_interpolates_and_knows_what_it_does_not_know():
    u = np.array([[0.1], [0.3], [0.5], [0.7]])
    process = fit_process(u, np.cos(4 * u[:, 0]), np.full(4, 1e-8))
    mean, sd = process.predict(np.array([[0.3], [1.0]]))
    assert abs(mean[0] - np.cos(1.2)) < 0.05 and sd[1] > 3 * sd[0]
    z = np.array([-30.0, -6.0, -5.9, 0.0, 3.0])
    assert np.all(np.diff(_log_h(z)) > 0) and _log_h(z)[3] == pytest.approx(-0.5 * np.log(2 * np.pi))


def _ridge(theta, x, design):
    gain = np.sqrt(8.0) * _height(design)
    return -0.5 * (x[0] - gain * theta["a"]) ** 2


def _height(design):
    return 1.0 / (1.0 + (design["u"] - 0.3) ** 2 + 4.0 * (design["v"] + 0.5) ** 2)


@qx.simulator(qx.Prior(a=dist.Normal(0.0, 1.0)), tractable=truth(log_likelihood=_ridge))
def ridge(theta, *, key, design):
    """y ~ N(g a, 1), with the gain g highest at u = 0.3, v = -0.5."""
    import jax

    return np.sqrt(8.0) * _height(design) * theta["a"] + jax.random.normal(key)


def test_climbing_the_bound_through_the_design():
    space = Space(u=(-2.0, 2.0), v=(-2.0, 2.0))
    designs, values = ascend(ridge, space, starts=4, steps=150, n=128, inner=128, key=3)
    assert abs(designs["u"][0] - 0.3) < 0.3 and abs(designs["v"][0] + 0.5) < 0.15
    assert values[0] == values.max() and values[0] == pytest.approx(0.5 * np.log(9.0), abs=0.15)
    with pytest.raises(UsageError, match="levels"):
        ascend(ridge, Space(u=(0.0, 1.0), v=[0.0, 1.0]), key=0)


def test_choosing_by_bayesian_optimisation():
    choice = choose(answer, Space(d=(-3.0, 3.0)), optimiser="bayes", key=4)
    # the curve is flat to second order: 0.01 nats around its top
    assert abs(choice.design["d"]) < 0.35 and choice.information.value > 0.231138 - 0.01


def test_a_batch_put_together_greedily_is_near_the_best():
    times = np.linspace(-2.0, 2.0, 26)
    choice = choose(plane, {"t": times}, batch=2, n=256, inner=256, tolerance=0.1, key=5)
    best = plane_information([-2.0, 2.0])
    assert "one design after another" in choice.reason
    assert plane_information(choice.design["t"]) > (1 - 1 / np.e) * best
    assert abs(choice.information.value - plane_information(choice.design["t"])) < 2 * choice.information.se
