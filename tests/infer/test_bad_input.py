"""Every bad input of this room is refused, or warned about, by name and within seconds."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import quincunx as qx
from quincunx.errors import (
    AllSimulationsFailed,
    ConstantColumnWarning,
    FailureWarning,
    FewSimulationsWarning,
    MisspecificationWarning,
    NameMismatch,
    NonFiniteObservation,
    QuincunxWarning,
    ShapeMismatch,
    TooFewSimulations,
    UnknownMethod,
)
from quincunx.infer import NLE, NPE, method_named
from quincunx.learn import FitSettings
from quincunx.run import Simulations

GAUSSIAN = {"kind": "gaussian", "width": 16, "depth": 1}
BRIEF = FitSettings(epochs=2, batch_size=150)
METHOD = NPE(density=GAUSSIAN, members=2, settings=BRIEF)


FEW = 300
"""Every brief fit has this many usable rows, so that they share one compiled program."""


def rows(problem, n=FEW, **changes):
    sims = problem.sims[:n]
    return Simulations.of(
        changes.get("theta", sims.theta), changes.get("x", sims.x), prior=changes.get("prior", problem.prior)
    )


@pytest.mark.parametrize("x_o", [np.zeros(3), np.zeros((2, 2, 2)), 1.0, np.zeros((0, 2)), "text"])
def test_an_observation_of_the_wrong_shape(problem, x_o):
    with pytest.raises(ShapeMismatch, match="got an"):
        problem.fit("npe").posterior(x_o)


def test_an_observation_of_the_wrong_shape_is_refused_before_anything_is_simulated(problem):
    with pytest.raises(ShapeMismatch):
        qx.infer(problem.simulator, np.zeros(3), budget=10**9, key=0)


def test_an_observation_with_nan_names_the_column(problem):
    with pytest.raises(NonFiniteObservation, match=r"x\[1\]"):
        problem.fit("npe").posterior(np.array([0.0, np.nan]))


def test_an_observation_with_names_where_none_are_expected(problem):
    with pytest.raises((NameMismatch, ShapeMismatch)):
        problem.fit("npe").posterior({"y": np.zeros(2)})


def test_an_observation_fifty_deviations_away_warns_before_any_draw(problem):
    with pytest.warns(MisspecificationWarning, match=r"'x\[1\]' is .* standard deviations"):
        posterior = problem.fit("npe").posterior(np.array([0.0, 55.0]))
    assert posterior.warnings and "unlike the simulations" in posterior.warnings[0]
    assert np.isfinite(posterior.sample(100, key=0)["a"]).all()


def test_an_ordinary_observation_does_not_warn(problem):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert problem.fit("npe").posterior(problem.x_o).warnings == ()


def test_all_simulations_failed(problem):
    with pytest.raises(AllSimulationsFailed, match="all 100 simulations"):
        METHOD.fit(rows(problem, 100, x=np.full((100, 2), np.nan)), problem.prior, key=0)


def test_five_per_cent_failed_are_left_out_by_npe_which_says_so(problem):
    n = FEW + 16
    x = problem.sims.x[:n].copy()
    x[:16] = np.nan
    with pytest.warns(FailureWarning, match=r"5\.1 %"):
        estimator = METHOD.fit(rows(problem, n, x=x), problem.prior, key=0)
    assert "left out" in estimator.posterior(problem.x_o).warnings[0]


def test_failures_enter_the_likelihood(problem):
    """Where the simulator fails for a > 1, the potential loses the parameters that make it fail."""
    fails = problem.sims.theta["a"] > 1
    n = int(np.flatnonzero(np.cumsum(~fails) == FEW)[0]) + 1
    x = np.where(fails[:n, None], np.float32(np.nan), problem.sims.x[:n])
    with pytest.warns(FailureWarning):
        method = NLE(density=GAUSSIAN, members=2, settings=BRIEF)
        estimator = method.fit(rows(problem, n, x=x), problem.prior, key=0)
    assert "chance of a finite outcome" in estimator.notes[0]
    log_valid = jax.jit(lambda u: estimator.core.validity.log_valid(u, jnp.zeros(0)))
    assert float(log_valid(jnp.array([0.0, 0.0]))) > np.log(0.9)
    assert float(log_valid(jnp.array([2.0, 0.0]))) < np.log(0.1)


def test_ten_simulations_only(problem):
    with pytest.warns(FewSimulationsWarning, match="only 10 simulations"):
        estimator = METHOD.fit(rows(problem, 10), problem.prior, key=0)
    assert np.isfinite(estimator.posterior(problem.x_o).sample(100, key=0)["a"]).all()
    with pytest.raises(TooFewSimulations, match="9 usable"):
        METHOD.fit(rows(problem, 9), problem.prior, key=0)


def test_a_column_without_variance(problem):
    x = problem.sims.x[:FEW].copy()
    x[:, 1] = 3.0
    with pytest.warns(ConstantColumnWarning, match=r"x\[1\]"):
        estimator = METHOD.fit(rows(problem, x=x), problem.prior, key=0)
    with pytest.warns(MisspecificationWarning, match=r"x\[1\]"):
        estimator.posterior(np.array([0.0, 4.0]))


def test_prior_and_simulations_that_disagree(problem):
    other = qx.Prior(a=dist.Normal(0.0, 1.0), c=dist.Normal(0.0, 1.0))
    with pytest.raises(NameMismatch, match="'c'"):
        METHOD.fit(problem.sims, other, key=0)
    wide = qx.Prior(a=dist.Normal(jnp.zeros(2), 1.0), b=dist.Normal(0.0, 1.0))
    with pytest.raises(ShapeMismatch, match="'a'"):
        METHOD.fit(problem.sims, wide, key=0)


def test_control_c_in_training_returns_the_best_so_far(problem):
    def interrupt(report):
        if report["epoch"] == 3:
            raise KeyboardInterrupt

    method = NPE(density=GAUSSIAN, members=2, settings=FitSettings(epochs=25, batch_size=150, patience=1000))
    with pytest.warns(QuincunxWarning, match="interrupted after 3 epochs"):
        estimator = method.fit(problem.sims, problem.prior, key=0, progress=interrupt)
    posterior = estimator.posterior(problem.x_o)
    assert any("interrupted" in note for note in posterior.warnings)
    assert np.isfinite(posterior.sample(100, key=0)["a"]).all()


def test_parameters_outside_the_support_have_no_density(problem):
    box = qx.Prior(a=dist.Uniform(-4.0, 4.0), b=dist.Uniform(-4.0, 4.0))
    estimator = METHOD.fit(rows(problem, prior=box), box, key=0)
    posterior = estimator.posterior(problem.x_o)
    draws = posterior.sample(2000, key=0)
    assert all(np.all((v >= -4.0) & (v <= 4.0)) for v in draws.values())
    values = posterior.log_prob({"a": np.array([0.0, 4.1]), "b": np.array([0.0, 0.0])})
    assert np.isfinite(values[0]) and values[1] == -np.inf
    # the density integrates to one over the box: its Jacobian is there
    axis = np.linspace(-3.99, 3.99, 200)
    a, b = np.meshgrid(axis, axis)
    total = np.exp(np.asarray(posterior.log_prob({"a": a, "b": b}), float)).sum() * (axis[1] - axis[0]) ** 2
    assert abs(total - 1) < 0.02


def test_unknown_names(problem):
    with pytest.raises(UnknownMethod, match="did you mean 'npe'"):
        method_named("npee")
    with pytest.raises(qx.errors.UnknownKind, match="spline"):
        NPE(density="splin").fit(problem.sims[:300], problem.prior, key=0)
    with pytest.raises(qx.errors.NameMismatch):
        problem.fit("npe").posterior(problem.x_o).log_prob({"a": 0.0})
