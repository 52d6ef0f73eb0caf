"""Runs with gold: the same as without a run, wherever batches are done, gone on with to the bit, and what answers learn from."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import quincunx as qx
from quincunx.errors import NoGold, UsageError
from quincunx.infer import method_named
from quincunx.lab import answer, begin_book, carry_out, open_book, simulator_of, work
from quincunx.lab.mined import Mined, mined_in
from quincunx.learn import FitSettings
from quincunx.model import Reference
from quincunx.run import simulate

from ..engine_toys import BELL
from ..gold_toys import FOREIGN, GOLDEN, PRIOR

MIXTURE = Reference.mixture([{"mu": -1.0}, {"mu": 3.0}])
QUICK = FitSettings(epochs=2, min_steps=10)


def same(one, other):
    for part in ("theta", "gold"):
        assert set(getattr(one, part)) == set(getattr(other, part))
        for name, value in getattr(one, part).items():
            np.testing.assert_array_equal(value, getattr(other, part)[name])
    np.testing.assert_array_equal(one.x_flat(), other.x_flat())


@pytest.fixture
def book(tmp_path):
    with begin_book(tmp_path / "run", key=5) as made:
        yield made


def test_a_run_is_that_of_simulate_also_after_a_stop(book, tmp_path):
    whole = simulate(GOLDEN, 300, key=5, gold=MIXTURE, latents=True)
    # The first call ends after some batches.
    carry_out(book, GOLDEN, 100, batch=50, gold=MIXTURE, latents=True)
    assert mined_in(book, 0) == Mined('{"mu": [-1.0, 3.0]}', True)
    book.close()
    with open_book(tmp_path / "run") as again:
        # What the run was begun with need not be said again.
        made = carry_out(again, GOLDEN, 300, batch=50)
        assert (made.saved, made.done) == (100, 200)
        same(again.simulations(), whole)
        np.testing.assert_array_equal(again.simulations().latents["z"], whole.latents["z"])
        with pytest.raises(UsageError, match="with which it was begun"):
            carry_out(again, GOLDEN, 400, gold=True)
        assert carry_out(again, GOLDEN, 20, round=1, batch=10, gold=True).done == 20
        assert set(again.simulations(1).gold) == {"joint_score"}


def test_workers_that_come_for_work_mine_what_the_book_says(book):
    # The coordinator makes the first two batches; the rest is left to a worker that knows the run alone.
    carry_out(book, GOLDEN, 100, batch=50, gold=Reference.each())
    book.plan(200, size=50, simulator=GOLDEN)
    assert simulator_of(book).gold == GOLDEN.gold
    assert work(book).done == 100
    same(book.simulations(), simulate(GOLDEN, 200, key=5, gold=Reference.each()))


def test_in_processes_and_by_an_executor_of_ones_own(book):
    whole = simulate(FOREIGN, 60, key=5, gold=True, workers=0)
    carry_out(book, FOREIGN, 40, batch=20, gold=True, workers=1)
    carry_out(book, FOREIGN, 60, batch=20, executor=ThreadPoolExecutor(1))
    same(book.simulations(), whole)


@pytest.mark.slow
def test_on_dask(book):
    pytest.importorskip("distributed")
    carry_out(book, FOREIGN, 20, batch=10, gold=True, dask="local", workers=1)
    same(book.simulations(), simulate(FOREIGN, 20, key=5, gold=True, workers=0))


def test_nothing_is_planned_for_a_simulator_without_gold(book):
    with pytest.raises(NoGold):
        carry_out(book, BELL, 20, batch=10, gold=True)
    assert not book.rounds and mined_in(book, 0) == Mined()
    carry_out(book, BELL, 20, batch=10, workers=0)
    with pytest.raises(UsageError, match="leave them out"):
        carry_out(book, BELL, 20, latents=True)


@pytest.mark.parametrize("name", ["alices", pytest.param("sally", marks=pytest.mark.slow)])
def test_the_answer_is_learned_from_the_runs_gold(name, book):
    method = method_named(name, settings=QUICK, **({"then": qx.NRE(settings=QUICK)} if name == "sally" else {}))
    study = qx.Study(GOLDEN, experiment=[0.5], method=method, budget=300)
    carry_out(book, GOLDEN, 300, batch=300, gold=method.mines(PRIOR))
    posterior, sha256 = answer(book, study)
    assert answer(book, study)[1] == sha256 and posterior.estimator.method["method"] == name
    if name == "alices":
        same(book.simulations(), simulate(GOLDEN, 300, key=5, gold=method.mines(PRIOR)))


def test_an_answer_without_the_gold_it_needs_is_refused(book):
    carry_out(book, GOLDEN, 100, batch=100)
    with pytest.raises(NoGold):
        answer(book, qx.Study(GOLDEN, experiment=[0.5], method=method_named("alices", settings=QUICK)))
