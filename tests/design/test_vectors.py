"""Settings that are vectors: a straight line whose slopes are chosen, with pencil and paper beside it."""

import jax
import numpy as np
import pytest

import quincunx as qx
from quincunx import gallery
from quincunx.design import Space, ascend, choose, eig, eig_curve
from quincunx.design.experiment import Slots, outcomes_at
from quincunx.design.space import plain_design, stack_designs
from quincunx.errors import DesignOutsideSpace, UsageError

from .toys import plane, plane_information

SMALL = {"n": 256, "inner": 256}


@pytest.fixture(scope="module")
def slopes():
    return gallery.load("linear_gaussian_design", slopes=(1.0, 1.0), prior_sd=(2.0, 1.0))


def test_a_space_of_vectors_goes_to_the_unit_cube_and_back():
    space = Space(times=(0.0, 24.0, 3), dose=(1.0, 2.0), kind=["a", "b"], increasing=["times"])
    assert space.columns == ("times[0]", "times[1]", "times[2]", "dose", "kind") and space.intervals == 4
    drawn = space.sobol(16, key=1)
    assert drawn["times"].shape == (16, 3) and np.all(np.diff(drawn["times"], axis=1) >= 0)
    for name, values in space.from_unit(space.to_unit(drawn)).items():
        np.testing.assert_allclose(values, drawn[name])
    # 10 increasing triples of 3 times, 3 doses, 2 kinds
    assert len(space.grid(3)["times"]) == 10 * 3 * 2
    design = space.check({"times": np.array([1, 2, 24]), "dose": 1, "kind": 0})
    assert design == {"times": (1.0, 2.0, 24.0), "dose": 1.0, "kind": 0.0} and space.edges(design) == (
        "times[2]",
        "dose",
    )
    for times, why in (
        ((2.0, 1.0, 3.0), "increasing"),
        ((1.0, 2.0), "shape"),
        ((1.0, 2.0, 25.0), "25"),
        (1.0, "shape"),
    ):
        with pytest.raises(DesignOutsideSpace, match=why):
            space.check({**design, "times": times})
    with pytest.raises(UsageError, match="increasing"):
        Space(dose=(0.0, 1.0), increasing=["dose"])


def test_a_batch_of_a_space_is_a_space_that_keeps_its_constraints():
    space = Space(times=(0.0, 1.0, 2), increasing=["times"], constraints=[lambda design: design["times"][1] < 0.5])
    pair = space.repeated(2)
    drawn = pair.sobol(64, key=2)
    assert 2 <= len(drawn["times[0]"]) < 20 and drawn["times[1]"].max() < 0.5
    first = {name: values[0] for name, values in drawn.items()}
    assert space.parted(first, 2) == [plain_design({"times": drawn[f"times[{k}]"][0]}) for k in (0, 1)]


def test_one_vector_is_one_design_and_an_array_is_several(slopes):
    one = eig(slopes.simulator, {"slopes": (3.0, -1.0)}, key=0, **SMALL)
    assert abs(one.value - slopes.truth.eig({"slopes": (3.0, -1.0)})) < 3 * one.se
    designs = np.array([[0.0, 0.0], [1.0, 1.0], [3.0, -1.0]])
    curve = eig_curve(slopes.simulator, {"slopes": designs}, key=0, **SMALL)
    assert curve.rows[2] == {"slopes": (3.0, -1.0)}
    for found, design in zip(curve.eigs, designs, strict=True):
        assert abs(found.value - slopes.truth.eig({"slopes": design})) < 3 * found.se + 1e-12
    both = eig(slopes.simulator, {"slopes": designs[1:]}, key=1, **SMALL)
    together = gallery.load(
        "linear_gaussian_design", slopes=tuple(map(tuple, designs[1:].tolist())), prior_sd=(2.0, 1.0)
    )
    assert abs(both.value - together.truth.eig({"slopes": designs[1:]})) < 3 * both.se


def test_an_outcome_in_a_slot_is_that_of_its_own_vector(slopes):
    slots = Slots.of([{"slopes": (1.0, 0.0)}, {"slopes": (0.0, 1.0)}], [2, 1], 4)
    theta = np.tile([1.0, 10.0], (500, 1))
    x, ok = outcomes_at(slopes.simulator, theta, slots, key=jax.random.key(0))
    assert ok.all() and np.all(np.abs(x.mean(axis=0)[:3, 0] - [1.0, 1.0, 10.0]) < 4 * 0.5 / np.sqrt(500))


def test_the_best_vector_is_chosen_and_the_choice_saves(slopes, tmp_path):
    space = Space(slopes.space)
    designs = [{"slopes": corner} for corner in ((5.0, -5.0), (5.0, 0.0), (0.0, 5.0), (1.0, 1.0))]
    best = max(designs, key=slopes.truth.eig)
    choice = choose(slopes.simulator, stack_designs(designs), n=128, inner=128, key=2)
    assert choice.design == best and space.edges(best) == ("slopes[0]", "slopes[1]")
    again = qx.load(choice.save(tmp_path / "choice.qx"))
    assert again.design == choice.design and again.runner_up == choice.runner_up and not again.is_batch
    assert again.curve.rows == choice.curve.rows and len(choice.plot().axes) == 2
    pair = choose(slopes.simulator, {"slopes": [[5.0, 5.0], [5.0, -5.0], [0.0, 1.0]]}, batch=2, n=128, inner=128, key=3)
    back = qx.load(pair.save(tmp_path / "pair.qx"))
    assert back.designs == pair.designs and {design["slopes"] for design in back.designs} == {(5.0, 5.0), (5.0, -5.0)}


def test_designs_along_an_interval_are_chosen_together_and_one_after_another():
    space = Space(t=(-2.0, 2.0))
    best = plane_information([-2.0, 2.0])
    designs, bound = ascend(plane, space, batch=2, starts=4, steps=150, n=128, inner=256, key=0)
    # of two slopes the two ends say most; the starts that climb to the same end stay below
    assert sorted([float(designs["t[0]"][0]), float(designs["t[1]"][0])]) == pytest.approx([-2.0, 2.0], abs=0.1)
    for optimiser in ("gradient", "bayes"):
        choice = choose(plane, space, batch=2, optimiser=optimiser, n=128, inner=128, key=1)
        assert choice.is_batch and "together" in choice.reason
        found = plane_information(choice.design["t"])
        assert found > 0.95 * best and abs(choice.information.value - found) < 3 * choice.information.se


def test_more_than_ten_numbers_are_chosen_one_after_another():
    choice = choose(
        plane, Space(t=(-2.0, 2.0), idle=[0.0]), batch=6, n=32, inner=32, tolerance=1.0, key=1, optimiser="bayes"
    )
    assert "one design after another" in choice.reason and len(choice.designs) == 6
    best = max(plane_information([-2.0] * k + [2.0] * (6 - k)) for k in range(7))
    # greedy is within 1 - 1/e of the best, whatever the outcomes, and much nearer here
    assert plane_information(choice.design["t"]) > (1 - np.exp(-1)) * best
