"""Runs in their shards: any row by its number, all rows at once, and minibatches that depend on the seed alone."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quincunx.errors import ChecksumMismatch, DataFileError, ShapeMismatch, UnknownRun, UsageError
from quincunx.run import ShardedSimulations, Simulations, write_shard


def part(first: int, n: int, failed: tuple[int, ...] = ()) -> Simulations:
    numbers = np.arange(first, first + n, dtype=np.float32)
    x = np.stack([numbers, -numbers], axis=1)
    x[[i - first for i in failed]] = np.nan
    return replace(Simulations.of({"mu": numbers}, x), index=np.arange(first, first + n))


@pytest.fixture
def run(tmp_path):
    """Two rounds: 0 ... 99 in shards of different sizes, and 0 ... 29 of which two failed."""
    cuts = [0, 10, 45, 46, 80, 100]
    shards = [write_shard(part(a, b - a), tmp_path, key=0) for a, b in zip(cuts, cuts[1:])]
    shards += [write_shard(part(i, 15, (i + 3,)), tmp_path, key=0, round=1) for i in (15, 0)]
    return ShardedSimulations.of(tmp_path, shards)


def test_all_rows_in_order(run):
    sims = run.load()
    assert len(run) == len(sims) == 130 and run.rounds == (0, 1)
    np.testing.assert_array_equal(sims.index, [*range(100), *range(30)])
    assert sims.failed.sum() == 2 and run.failure_rate == pytest.approx(2 / 130)
    np.testing.assert_array_equal(np.concatenate([piece.index for piece in run]), sims.index)


def test_the_folder_alone_tells_the_same(run):
    assert ShardedSimulations.of(run.folder).shards == run.shards


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_any_rows(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("run")
    ends = sorted(data.draw(st.sets(st.integers(1, 40), min_size=1, max_size=6)))
    run = ShardedSimulations.of(folder, [write_shard(part(a, b - a), folder, key=0) for a, b in zip([0, *ends], ends)])
    numbers = data.draw(st.lists(st.integers(0, ends[-1] - 1), min_size=1, max_size=20))
    np.testing.assert_array_equal(run[0, numbers].index, numbers)
    np.testing.assert_array_equal(run[0, numbers].theta["mu"], numbers)
    a, b = sorted(data.draw(st.tuples(st.integers(0, 50), st.integers(0, 50))))
    np.testing.assert_array_equal(run[a:b].index, np.arange(ends[-1])[a:b])


def test_a_simulation_by_round_and_number(run):
    assert run[1, 17].theta["mu"] == 17 and run[1, 17].index == 17
    for round, index in ((1, 30), (2, 0), (0, 100), (0, -1)):
        with pytest.raises(UnknownRun, match="no simulation"):
            run[round, index]
    with pytest.raises(UsageError):
        run[3]


def test_an_empty_folder_is_no_run(tmp_path):
    with pytest.raises(UnknownRun, match="no shards"):
        ShardedSimulations.of(tmp_path)


def test_shards_of_different_simulators_are_not_joined(tmp_path):
    other = Simulations.of({"mu": np.zeros(5)}, np.zeros((5, 3)))
    shards = [write_shard(part(0, 5), tmp_path, key=0), write_shard(other, tmp_path, key=0, round=1)]
    with pytest.raises(ShapeMismatch):
        ShardedSimulations.of(tmp_path, shards).load()


@pytest.mark.parametrize("buffer", [1, 6000, 10**6])
def test_an_epoch_has_every_row_once_but_the_ragged_rest(run, buffer):
    stream = run.stream(8, seed=3, groups=("theta", "x", "index"), buffer=buffer)
    batches = list(stream.epoch(0))
    assert len(batches) == len(stream) == 16
    assert all(batch["x"].shape == (8, 2) for batch in batches)
    seen = np.concatenate([batch["x"][:, 0] for batch in batches])
    alike = np.concatenate([batch["theta"]["mu"] for batch in batches])
    np.testing.assert_array_equal(seen[~np.isnan(seen)], alike[~np.isnan(seen)])
    times = np.bincount(alike.astype(int), minlength=100)
    assert times.sum() == 128 and (times[:30] <= 2).all() and (times[30:] <= 1).all()


@pytest.mark.parametrize("buffer", [1, 6000, 10**6])
def test_an_epoch_can_be_entered_anywhere(run, buffer):
    stream = run.stream(9, seed=0, buffer=buffer)
    whole = [batch["theta"]["mu"] for batch in stream.epoch(2)]
    for start in range(len(stream) + 1):
        again = [batch["theta"]["mu"] for batch in stream.epoch(2, start=start)]
        assert len(again) == len(whole) - start
        for one, other in zip(again, whole[start:]):
            np.testing.assert_array_equal(one, other)


def test_batches_larger_than_the_buffer_are_filled_from_several_windows(run):
    batches = list(run.stream(120, seed=0, buffer=1).epoch(0))
    assert [len(batch["x"]) for batch in batches] == [120]


def test_the_seed_and_the_epoch_make_the_order(run):
    def order(seed, epoch):
        return np.concatenate([batch["theta"]["mu"] for batch in run.stream(10, seed=seed).epoch(epoch)])

    np.testing.assert_array_equal(order(0, 0), order(0, 0))
    assert (order(0, 0) != order(0, 1)).any() and (order(0, 0) != order(1, 0)).any()


def test_a_stream_takes_the_memory_of_its_buffer(tmp_path):
    """Forty shards of a megabyte, a buffer of four: the peak stays below two buffers, a shard and some batches."""
    sims = Simulations.of({"mu": np.zeros(5000)}, np.ones((5000, 50)))
    shards = [write_shard(sims, tmp_path, key=0, round=r) for r in range(40)]
    stream = ShardedSimulations.of(tmp_path, shards).stream(500, seed=0, buffer=4 * 2**20)
    tracemalloc.start()
    try:
        assert sum(1 for _ in stream.epoch(0)) == 400
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()


def test_every_row_comes_everywhere(tmp_path):
    """Where a row comes in an epoch is uniform: mean and variance over 400 epochs, within 4.5 standard errors, and every place once."""
    run = ShardedSimulations.of(tmp_path, [write_shard(part(i, 4), tmp_path, key=0) for i in range(0, 24, 4)])
    stream = run.stream(1, seed=0, buffer=2 * run.shards[0].size + 1)
    places = np.zeros((400, 24))
    for epoch in range(400):
        for place, batch in enumerate(stream.epoch(epoch)):
            places[epoch, int(batch["theta"]["mu"][0])] = place
    error = np.sqrt((24**2 - 1) / 12 / 400)
    assert np.abs(places.mean(axis=0) - 11.5).max() < 4.5 * error
    assert all(len(set(column)) == 24 for column in places.T)


def test_valid_rows_alone(run):
    stream = run.stream(8, seed=0, valid=True)
    assert stream.rows == 128 and len(stream) == 16
    assert all(np.isfinite(batch["x"]).all() and sorted(batch) == ["theta", "x"] for batch in stream.epoch(0))


def test_bad_shards_are_named_when_they_are_reached(run):
    path = run.paths()[2]
    damaged = bytearray(path.read_bytes())
    damaged[damaged.index(np.float32(-45).tobytes())] ^= 1
    path.write_bytes(bytes(damaged))
    with pytest.raises(ChecksumMismatch):
        list(run.stream(8, seed=0).epoch(0))
    path.unlink()
    with pytest.raises(DataFileError):
        run.load()


def test_more_rows_than_there_are(run):
    with pytest.raises(UsageError, match="smaller batches"):
        run.stream(131, seed=0)
    with pytest.raises(UsageError, match="holds no gold"):
        next(run.stream(8, seed=0, groups=("gold",)).epoch(0))
