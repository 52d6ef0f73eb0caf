"""Narrow posteriors, learned densities, and Laplace's approximation."""

import jax
import numpy as np
import pytest

import quincunx as qx
from quincunx.design import eig, eig_curve
from quincunx.errors import NoDensity, UsageError
from quincunx.infer import NPE, NRE
from quincunx.learn import FitSettings

from .test_information import holds
from .toys import COLLISIONS, PLANE, X, answer, collision, line, line_information, plane, plane_targeted

TRAINING = FitSettings(epochs=12, batch_size=200)


@pytest.fixture(scope="module")
def curve_by_proposals():
    return eig_curve(line, {"d": np.array([2.0, 50.0, 5000.0])}, method="proposal", n=1024, inner=128, key=0)


def test_proposals_close_the_bracket_where_posteriors_are_narrow(curve_by_proposals):
    for d, one in zip((2.0, 50.0, 5000.0), curve_by_proposals.eigs, strict=True):
        holds(one, line_information(d))
        assert one.upper - one.lower < 0.1 and one.ess > 50


def test_auto_turns_to_proposals_when_the_bracket_stays_open(curve_by_proposals):
    one = eig(line, {"d": 5000.0}, n=1024, inner=128, key=0)
    assert one.estimator == "proposal"
    holds(one, line_information(5000.0))


def test_proposals_need_a_density_of_the_belief():
    with pytest.raises(NoDensity, match="expected the prior"):
        eig(line, {"d": 2.0}, belief={"a": np.zeros(100)}, method="proposal", key=0)


def test_laplace_is_exact_for_the_linear_gaussian_experiment():
    one = eig(plane, {"t": X[:, 1]}, method="fisher", key=1)
    assert abs(one.value - PLANE) <= 2 * one.se < 0.1
    assert one.lower is None and one.upper is None
    assert eig(line, {"d": 0.0}, method="fisher", key=0).value == 0.0


@pytest.fixture(scope="module")
def ratio():
    designs = {"d": np.random.default_rng(0).uniform(0.5, 4.0, 2000)}
    sims = qx.simulate(line, 2000, key=10, design=designs)
    network = {"width": 16, "depth": 2}
    return NRE(settings=TRAINING, network=network).fit(sims, line.prior, key=11)


@pytest.mark.slow
def test_a_learned_ratio_bounds_from_below_only(ratio):
    for method in ("auto", "nwj"):
        one = eig(line, {"d": 2.0}, estimator=ratio, method=method, n=256, inner=128, key=12)
        assert one.upper is None and not one.is_bracketed
        assert one.value == one.lower <= line_information(2.0) + 3 * one.se
        assert one.value > 0.2
    assert eig(line, {"d": 2.0}, estimator=ratio, n=256, inner=128, key=12).estimator == "contrastive"
    plugged = eig(line, {"d": 2.0}, estimator=ratio, method="nested", n=256, inner=128, key=12)
    assert plugged.upper is None and "plug-in" in plugged.estimator and any("no bound" in w for w in plugged.warnings)


@pytest.mark.slow
def test_a_learned_posterior_bounds_from_below_on_fresh_pairs():
    """Of b alone, with a as nuisance: the information is that about the target."""
    times = np.random.default_rng(1).uniform(-2.0, 2.0, 2000)
    sims = qx.simulate(plane, 2000, key=13, design={"t": times})
    target = qx.Prior({"b": plane.prior.distributions["b"]})
    alone = qx.Simulations.of({"b": sims.theta["b"]}, sims.x, prior=target, design=sims.design)
    estimator = NPE(density="gaussian", settings=TRAINING, members=1).fit(alone, target, key=14)
    truth = plane_targeted([2.0])
    one = eig(plane, {"t": 2.0}, estimator=estimator, target="b", n=1024, inner=64, key=15)
    assert one.estimator == "posterior" and one.upper is None
    assert one.value <= truth + 3 * one.se and one.value > truth - 0.1 - 3 * one.se
    with pytest.raises(UsageError, match="target"):
        eig(plane, {"t": 2.0}, estimator=estimator, target="a", key=0)
    with pytest.raises(NoDensity, match="contrastive"):
        eig(plane, {"t": 2.0}, estimator=estimator, belief={"a": np.zeros(50), "b": np.zeros(50)}, key=0)


def test_nothing_is_compiled_for_another_design_or_another_call():
    settings = {"n": 256, "inner": 64, "tolerance": 10.0}
    eig(line, {"d": 1.0}, key=20, **settings)
    counted = []
    jax.monitoring.register_event_duration_secs_listener(lambda name, *_, **__: counted.append(name))
    eig_curve(line, {"d": np.linspace(0.1, 1.0, 7)}, key=21, **settings)
    assert not [name for name in counted if name.endswith("backend_compile_duration")], counted


def test_a_fitted_marginal_bounds_from_above_and_is_exact_where_outcomes_are_gaussian():
    # y ~ N(0, 4 + 0.25) at d = 2, and five of them together: the mixture holds the marginal
    for events in (1, 5):
        found = eig(line, {"d": 2.0}, method="marginal", events=events, n=4096, key=1)
        assert found.lower is None and found.upper == found.value
        assert abs(found.upper - line_information(2.0, events)) < 3 * found.se
    with pytest.raises(UsageError, match="whole numbers"):
        eig(answer, {"d": 0.0}, method="marginal", key=0)


def test_a_fitted_marginal_is_above_where_outcomes_are_not_gaussian():
    exact = COLLISIONS[50.0][0]
    found = eig(collision, {"energy": 50.0}, method="marginal", events=20, n=4096, key=2)
    # 20 cosines at once are no Gaussian: the gap is what the mixture misses of their density
    assert found.upper > exact - 3 * found.se
