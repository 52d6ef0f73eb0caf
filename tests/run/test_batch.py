"""The unit of work: the same simulations as anywhere, in a shard, with failures as data."""

import json
import pickle
import warnings
from functools import partial

import numpy as np
import pytest

from quincunx import gallery
from quincunx.run import ShardedSimulations, simulate
from quincunx.run.batch import Batch, Resident, run_batch, run_batch_alone
from quincunx.run.parcel import parcel_of
from quincunx.run.status import LOST, NON_FINITE, OK, RAISED, TIMEOUT

from ..engine_toys import BELL, DEADLY, PICKY, STICKY, TOGETHER


def made(batch, done):
    return ShardedSimulations.of(batch.folder, [done.shard]).load()


@pytest.mark.parametrize("simulator", [BELL, TOGETHER, gallery.load("slcp").simulator], ids=lambda s: s.name)
def test_a_batch_is_that_part_of_the_whole(simulator, tmp_path):
    batch = Batch(parcel_of(simulator), "5", 2, 30, 20, str(tmp_path), facts={"fingerprint": "abc"})
    sims = made(batch, run_batch(batch))
    whole = simulate(simulator, 60, key=5, round=2, workers=0)
    assert np.array_equal(sims.index, whole.index[30:50])
    # A program compiled for another number of rows may round differently in the last place.
    same = np.array_equal if simulator.kind == "host" else partial(np.allclose, rtol=1e-5, atol=1e-5)
    assert same(sims.x, whole.x[30:50])
    for name in whole.theta:
        assert np.array_equal(sims.theta[name], whole.theta[name][30:50])


def test_the_same_batch_twice_is_one_file(tmp_path):
    batch = Batch(Resident(BELL), "5", 0, 0, 10, str(tmp_path))
    assert run_batch(batch).shard == run_batch(batch).shard
    assert len(list(tmp_path.iterdir())) == 1


def test_settings_are_those_of_all_also_when_they_are_as_many_as_the_batch(tmp_path):
    batch = Batch(parcel_of(BELL), "5", 0, 0, 4, str(tmp_path), json.dumps({"shift": 3.0}))
    sims = made(batch, run_batch(batch))
    assert np.array_equal(sims.x, simulate(BELL, 4, key=5, design={"shift": 3.0}, workers=0).x)
    assert sims.design["shift"].tolist() == [3.0] * 4


def test_failures_are_data_also_when_all_fail(tmp_path):
    batch = Batch(parcel_of(PICKY), "5", 0, 0, 40, str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = run_batch(batch)
    sims = made(batch, done)
    assert (
        np.array_equal(sims.status == RAISED, sims.theta["mu"] > 0) and done.shard.failed == (sims.status != OK).sum()
    )
    assert all("no root" in said for said in sims.messages.values())
    worst = int(np.flatnonzero(sims.status)[0])
    one = Batch(parcel_of(PICKY), "5", 0, worst, 1, str(tmp_path))
    assert run_batch(one).shard.failed == 1


def test_what_comes_back_is_small(tmp_path):
    assert len(pickle.dumps(run_batch(Batch(Resident(BELL), "5", 0, 0, 500, str(tmp_path))))) < 1000


def test_alone_a_simulation_that_ends_its_process_is_found(tmp_path):
    batch = Batch(parcel_of(DEADLY), "3", 0, 0, 40, str(tmp_path))
    sims = made(batch, run_batch_alone(batch))
    bad = sims.theta["mu"] > 1.5
    assert 0 < bad.sum() < 40 and np.array_equal(sims.status == LOST, bad)
    assert np.isnan(sims.x[bad]).all() and not (sims.status == NON_FINITE).any()
    assert np.array_equal(sims.x[~bad], simulate(BELL, 40, key=3, workers=0).x[~bad])


def test_alone_a_simulation_that_hangs_is_found(tmp_path):
    first = int(np.flatnonzero(simulate(BELL, 100, key=3, workers=0).theta["mu"] > 1.5)[0])
    batch = Batch(parcel_of(STICKY), "3", 0, first - 1, 3, str(tmp_path))
    sims = made(batch, run_batch_alone(batch, timeout=8.0))
    assert sims.status[1] == TIMEOUT and "8 s" in sims.messages[1]
    assert sims.status[0] == OK
