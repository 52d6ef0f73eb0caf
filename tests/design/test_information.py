"""Expected information against closed forms and sums over outcomes, within its own errors."""

import numpy as np
import numpyro.distributions as dist
import pytest

import quincunx as qx
from quincunx.design import EIG, Belief, Curve, eig, eig_curve
from quincunx.errors import ImproperBelief, NoDensity, UnsupportedPrior, UsageError

from .toys import (
    ANSWER,
    COLLISION,
    COLLISIONS,
    DEATH,
    PLANE,
    X,
    answer,
    collision,
    death,
    line,
    line_information,
    plane,
    plane_information,
    plane_targeted,
)


def holds(one: EIG, truth: float, z: float = 2.0) -> None:
    """The value within its errors, and the truth inside the bracket widened by its own."""
    assert abs(one.value - truth) <= z * one.se + 1e-12, (one, truth)
    assert one.lower - z * one.lower_se <= truth <= one.upper + z * one.upper_se, (one, truth)


DESIGNS = {"d": np.array([0.0, 1.0, 2.0, 5.0])}


@pytest.fixture(scope="module")
def line_curve() -> Curve:
    return eig_curve(line, DESIGNS, key=0)


def test_the_scalar_line(line_curve):
    for d, one in zip(DESIGNS["d"], line_curve.eigs, strict=True):
        holds(one, line_information(d))
    assert line_curve.eigs[0].value == 0.0 and line_curve.eigs[0].se == 0.0


def test_a_curve_is_its_single_designs(line_curve):
    one = eig(line, {"d": 2.0}, key=0)
    assert one.value == line_curve.value[2] and one.lower == line_curve.lower[2]


def test_differences_are_known_better_than_values(line_curve):
    gap, error = line_curve.difference(3, 2)
    assert error < 0.5 * np.hypot(line_curve.se[2], line_curve.se[3])
    assert (
        abs(gap - (line_information(5.0) - line_information(2.0)))
        <= 3 * error + line_curve.eigs[3].upper - line_curve.eigs[3].lower
    )


def test_the_linear_gaussian_experiment_is_a_batch_of_its_rows():
    one = eig(plane, {"t": X[:, 1]}, key=1)
    assert abs(plane_information(X[:, 1]) - PLANE) < 1e-6
    holds(one, PLANE)


def test_inner_draws_grow_until_the_bracket_closes():
    one = eig(line, {"d": 50.0}, key=2)
    assert one.n_inner == 16 * 1024 and one.upper - one.lower < 0.1
    holds(one, line_information(50.0))
    few = eig(line, {"d": 50.0}, inner=2, method="nested", key=2)
    assert few.value == few.lower < np.log(few.n_inner + 1) and any("open" in said for said in few.warnings)
    assert any("ceiling" in said for said in few.warnings)


def test_answers_to_a_question_are_added_up_exactly():
    curve = eig_curve(answer, {"d": np.array(list(ANSWER))}, key=0)
    assert curve.eigs.estimator == "enumerated"
    np.testing.assert_allclose(curve.value, list(ANSWER.values()), atol=6e-7)
    np.testing.assert_array_equal(curve.lower, curve.upper)


def test_several_answers_are_counted_and_concave_in_their_number():
    values = [eig(answer, {"d": 0.0}, events=n, key=0).value for n in (1, 2, 3, 4)]
    gains = np.diff([0.0, *values])
    assert np.all(gains > 0) and np.all(np.diff(gains) < 0)
    holds(eig(answer, {"d": 0.0}, events=3, method="nested", key=3), values[2])


def test_the_death_process():
    process = death(50)
    curve = eig_curve(process, {"tau": np.array([*DEATH, 1.2758])}, key=0)
    np.testing.assert_allclose(curve.value, [*DEATH.values(), 1.355920], atol=6e-6)
    assert abs(eig(death(10), {"tau": 1.4660}, key=0).value - 0.704825) < 6e-7


def test_draws_of_a_belief_bracket_what_quadrature_gives():
    process = death(50)
    belief = Belief(process.prior, np.asarray(process.prior.sample_flat(4096, key=1), float))
    one = eig(process, {"tau": 1.2758}, belief=belief, key=0)
    assert one.se > 0
    holds(one, 1.355920)


def test_one_collision_and_its_symmetry():
    curve = eig_curve(collision, {"energy": np.array(list(COLLISION))}, key=4)
    for truth, one in zip(COLLISION.values(), curve.eigs, strict=True):
        # the truth is given to five digits
        assert abs(one.value - truth) <= 2 * one.se + 5e-6
    assert curve.value[4] == 0.0


def test_twenty_collisions():
    curve = eig_curve(
        collision, {"energy": np.array(list(COLLISIONS))}, events=20, n=512, inner=128, tolerance=0.1, key=5
    )
    for (truth, error), one in zip(COLLISIONS.values(), curve.eigs, strict=True):
        assert abs(one.value - truth) <= 2 * np.hypot(one.se, error)


def test_events_may_depend_on_the_design():
    curve = eig_curve(line, {"d": np.array([1.0, 2.0])}, events=lambda design: round(4 / design["d"]), key=6)
    for d, n, one in zip((1.0, 2.0), (4, 2), curve.eigs, strict=True):
        holds(one, line_information(d, n))


def test_information_about_some_of_the_parameters():
    one = eig(plane, {"t": X[:, 1]}, target=["b"], key=7)
    holds(one, plane_targeted(X[:, 1]))
    with pytest.raises(NoDensity, match="not the prior"):
        eig(plane, {"t": 1.0}, target="b", belief=Belief(plane.prior, np.zeros((100, 2))), key=0)


def test_history_enters_by_draws():
    # after y at d = 2 the posterior has variance 1 / (1 + 16), whatever y was
    sd = (1.0 + 16.0) ** -0.5
    draws = {"a": 0.3 + sd * np.random.default_rng(0).normal(size=6000)}
    one = eig(line, {"d": 2.0}, belief=draws, key=8)
    holds(one, line_information(2.0, 2) - line_information(2.0))


def test_weighted_draws_are_resampled():
    rng = np.random.default_rng(1)
    wide = 2.0 * rng.normal(size=20_000)
    belief = Belief.of({"a": wide}, 8192, 0, prior=line.prior, weights=np.exp(-0.5 * wide**2 * (1 - 0.25)))
    assert abs(belief.draws.var() - 1.0) < 4 * np.sqrt(2 / 8192) * 1.5
    holds(eig(line, {"d": 2.0}, belief=belief, key=9), line_information(2.0))


def test_a_plain_python_simulator_with_a_density():
    def log_likelihood(theta, x, design):
        return -0.5 * ((x[0] - design["d"] * theta["a"]) / 0.5) ** 2

    @qx.simulator(qx.Prior(a=dist.Normal(0.0, 1.0)))
    def plain(theta, *, rng, design):
        return design["d"] * theta["a"] + 0.5 * rng.normal()

    holds(eig(plain, {"d": 2.0}, estimator=log_likelihood, n=512, inner=512, key=10), line_information(2.0))


def test_refusals():
    with pytest.raises(UsageError, match="expected one of auto"):
        eig(line, {"d": 1.0}, method="magic", key=0)
    with pytest.raises(UnsupportedPrior):
        qx.Prior(a=dist.ImproperUniform(dist.constraints.real, (), ()))
    with pytest.raises(ImproperBelief, match="proper"):
        eig(line, {"d": 1.0}, belief=dist.ImproperUniform(dist.constraints.real, (), ()), key=0)
    with pytest.raises(ImproperBelief, match="finite"):
        Belief(line.prior, np.full((10, 1), np.inf))
    with pytest.raises(UsageError, match="lengths"):
        eig_curve(line, {"d": [1.0, 2.0], "e": [1.0]}, key=0)
    with pytest.raises(UsageError, match="at least 1"):
        eig(line, {"d": 1.0}, events=0, key=0)
    with pytest.raises(NoDensity, match="add up"):
        eig(answer, {"d": 1.0}, outcomes=np.array([0.0]), key=0)

    @qx.simulator(line.prior)
    def implicit(theta, *, key, design):
        return theta["a"] * design["d"]

    with pytest.raises(NoDensity, match="fit NPE, NLE or NRE"):
        eig(implicit, {"d": 1.0}, key=0)


def test_values_are_saved_and_shown(line_curve, tmp_path):
    one = line_curve.eigs[2]
    again = qx.load(one.save(tmp_path / "one.qx"))
    assert again == one and "nats in [" in repr(one) and repr(one).splitlines()[0][:10] in one._repr_html_()
    assert one.bits == pytest.approx(one.value / np.log(2))
    back = qx.load(line_curve.save(tmp_path / "curve.qx"))
    np.testing.assert_array_equal(back.contributions, line_curve.contributions)
    assert back.best() == line_curve.best() == {"d": 5.0} and repr(back) == repr(line_curve)
    adjusted = line_curve.cost_adjusted(lambda design: 1.0 + design["d"] ** 2)
    assert adjusted.best() == {"d": 1.0}
    assert line_curve.plot(past={"d": [1.0]}).axes
