"""Which design is chosen, and what is said of it."""

import numpy as np
import pytest

import quincunx as qx
from quincunx.design import Space, choose
from quincunx.errors import DesignOutsideSpace, NameMismatch, UsageError

from .toys import answer, line, line_information, plane, plane_information


def test_the_best_question_is_in_the_middle():
    choice = choose(answer, Space(d=(-2.0, 2.0)), key=0)
    assert choice.design == {"d": 0.0} and choice.information.value == pytest.approx(0.231138, abs=6e-7)
    assert choice.runner_up is not None and abs(choice.runner_up["d"]) == pytest.approx(0.1)
    assert "edge" not in choice.reason


def test_an_optimum_at_the_edge_is_said_and_information_is_estimated_afresh(tmp_path):
    choice = choose(line, Space(d=(0.0, 5.0)), n=512, inner=256, key=1)
    assert choice.design == {"d": 5.0} and "edge of the space in d" in choice.reason
    assert abs(choice.information.value - line_information(5.0)) < 2 * choice.information.se
    assert choice.information.value != choice.curve.value.max()
    again = qx.load(choice.save(tmp_path / "choice.qx"))
    assert repr(again) == repr(choice) and choice.plot().axes


def test_equal_designs_go_to_the_cheapest():
    choice = choose(line, {"d": [1.0, -1.0, 1.0]}, cost=[3.0, 1.0, 2.0], key=2)
    assert choice.cost == 1.0 and "equal within their errors; the cheapest" in choice.reason
    nothing = choose(line, {"d": [0.0, 0.0]}, key=3)
    assert nothing.information.value == 0.0 and "not known to teach anything" in nothing.reason


def test_costs_count_as_asked():
    designs = {"d": [0.5, 1.0, 2.0, 4.0]}
    settings = {"cost": lambda design: 1.0 + design["d"] ** 2, "key": 4}
    assert choose(line, designs, **settings).design == {"d": 4.0}
    per = choose(line, designs, per_cost=True, **settings)
    assert per.design == {"d": 1.0} and per.per_cost and per.criterion == "information per cost"
    truth = {d: line_information(d) - 0.3 * (1 + d**2) for d in designs["d"]}
    assert choose(line, designs, weight=0.3, **settings).design == {"d": max(truth, key=truth.get)}
    with pytest.raises(UsageError, match="without a cost"):
        choose(line, designs, per_cost=True, key=0)


def test_time_buys_events():
    # an hour at d gives 8 / d events: the information of all of them is 0.5 log(1 + 32 d)
    choice = choose(line, {"d": [1.0, 2.0, 4.0]}, events=lambda design: round(8 / design["d"]), key=5)
    assert choice.design == {"d": 4.0}
    assert abs(choice.information.value - line_information(4.0, 2)) < 2 * choice.information.se


def test_a_batch_is_the_best_of_all():
    times = np.array([-1.0, 0.0, 0.5, 2.0])
    choice = choose(plane, {"t": times}, batch=2, key=6)
    truth = {(s, t): plane_information([s, t]) for s in times for t in times if s <= t}
    assert tuple(sorted(choice.design["t"])) == max(truth, key=truth.get) == (-1.0, 2.0)
    assert abs(choice.information.value - plane_information([-1.0, 2.0])) < 2 * choice.information.se
    assert len(choice.designs) == 2


def test_constraints_and_spaces():
    space = Space(energy=(40.0, 50.0), kind=["a", "b"], constraints=[lambda design: design["energy"] >= 44.0])
    grid = space.grid(6)
    assert grid["energy"].min() == 44.0 and set(grid["kind"]) == {0.0, 1.0} and len(grid["kind"]) == 8
    sobol = space.sobol(64, key=0)
    assert 20 < len(sobol["energy"]) < 60 and np.all(sobol["energy"] >= 44.0)
    back = space.from_unit(space.to_unit(grid))
    np.testing.assert_allclose(back["energy"], grid["energy"])
    np.testing.assert_array_equal(back["kind"], grid["kind"])
    assert space.check({"energy": 45, "kind": 1}) == {"energy": 45.0, "kind": 1.0}
    assert space.edges({"energy": 50.0, "kind": 0.0}) == ("energy",)
    with pytest.raises(DesignOutsideSpace, match="energy = 55"):
        space.check({"energy": 55.0, "kind": 0.0})
    with pytest.raises(DesignOutsideSpace, match="kind = 0.5"):
        space.check({"energy": 45.0, "kind": 0.5})
    with pytest.raises(DesignOutsideSpace, match="constraint forbids"):
        space.check({"energy": 41.0, "kind": 0.0})
    with pytest.raises(NameMismatch, match="enrgy"):
        space.check({"enrgy": 41.0, "kind": 0.0})
    with pytest.raises(DesignOutsideSpace, match="none"):
        choose(line, {"d": [1.0]}, constraint=lambda design: False, key=0)
    with pytest.raises(UsageError, match="low < high"):
        Space(d=(1.0, 1.0))
