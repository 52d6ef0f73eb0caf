"""The value: slices, joins, files, frames."""

import os

import numpy as np
import numpyro.distributions as dist
import pytest

from quincunx.errors import CorruptFile, DataFileError, NameMismatch, ShapeMismatch, UnsafeFile
from quincunx.model import Prior
from quincunx.run import Simulations
from quincunx.values import load

PRIOR = Prior(b=dist.Normal(0.0, 1.0), a=dist.Normal(np.zeros(2, np.float32), 1.0), units={"b": "m"})


@pytest.fixture
def sims():
    rng = np.random.default_rng(0)
    x = {"y": rng.normal(size=(6, 3)), "n": rng.normal(size=6)}
    x["y"][4, 1] = np.nan
    theta = {"b": rng.normal(size=6), "a": rng.normal(size=(6, 2))}
    design = {"dose": np.broadcast_to(np.float32(2.0), 6), "time": np.arange(6.0)}
    return Simulations.of(theta, x, prior=PRIOR, design=design, gold={"score": rng.normal(size=(6, 3))}, simulator="s")


def equal(a, b):
    np.testing.assert_array_equal(a.x_flat(), b.x_flat())
    np.testing.assert_array_equal(a.theta_flat(), b.theta_flat())
    np.testing.assert_array_equal(a.status, b.status)
    np.testing.assert_array_equal(a.index, b.index)
    assert a.outcome == b.outcome and a.names == b.names and a.simulator == b.simulator and a.messages == b.messages
    for group in ("design", "gold"):
        for name in getattr(a, group):
            np.testing.assert_array_equal(getattr(a, group)[name], getattr(b, group)[name])


def test_flat_views(sims):
    assert sims.columns == ("b", "a[0]", "a[1]")
    np.testing.assert_array_equal(sims.theta_flat()[:, 0], sims.theta["b"])
    assert sims.x_flat().shape == (6, 4) and sims.outcome.columns == ("n[0]", "y[0]", "y[1]", "y[2]")
    assert list(sims.status) == [0, 0, 0, 0, 1, 0] and sims.failure_rate == pytest.approx(1 / 6)
    assert len(sims.valid()) == 5


def test_slices_join_again(sims):
    equal(sims[:2].concatenate(sims[2:]), sims)
    equal(Simulations.concatenate(sims[:1], sims[1:3], sims[3:]), sims)
    assert list(sims[[3, 1]].index) == [3, 1]
    assert len(sims[sims.failed]) == 1
    joined = sims[:2].concatenate(sims[2:])
    assert joined.design["dose"].strides == (0,)


def test_messages_follow_their_rows(sims):
    from dataclasses import replace

    spoken = replace(sims, messages={1: "one", 4: "four"})
    assert spoken[1:5].messages == {0: "one", 3: "four"}
    assert spoken.concatenate(spoken).messages == {1: "one", 4: "four", 7: "one", 10: "four"}


def test_what_does_not_fit_is_not_joined(sims):
    other = Simulations.of({"b": np.zeros(2), "c": np.zeros((2, 2))}, {"y": np.zeros((2, 3)), "n": np.zeros(2)})
    with pytest.raises(NameMismatch, match="'c'"):
        sims.concatenate(other)
    other = Simulations.of({"b": np.zeros(2), "a": np.zeros((2, 2))}, np.zeros((2, 3)))
    with pytest.raises(ShapeMismatch):
        sims.concatenate(other)


def test_unequal_lengths_are_refused():
    with pytest.raises(ShapeMismatch, match="leading axes"):
        Simulations.of({"a": np.zeros(3)}, np.zeros((4, 2)))


@pytest.mark.parametrize("name", ["sims.qx", "sims.npz"])
def test_what_is_written_is_read_back(sims, tmp_path, name):
    path = sims.save(tmp_path / name)
    again = Simulations.load(path)
    equal(again, sims)
    assert again.prior.units == PRIOR.units and again.prior.names == PRIOR.names
    assert os.listdir(tmp_path) == [name]
    if name.endswith(".qx"):
        equal(load(path), sims)
    else:
        with np.load(path) as stored:
            np.testing.assert_array_equal(stored["theta/b"], sims.theta["b"])


def test_events_survive(tmp_path):
    sims = Simulations.of({"a": np.zeros(3)}, np.ones((3, 4, 2)), events=True)
    again = Simulations.load(sims.save(tmp_path / "e.qx"))
    assert again.events and again.x_flat().shape == (3, 4, 2)


@pytest.mark.parametrize("name", ["sims.qx", "sims.npz"])
def test_a_file_cut_short_is_corrupt(sims, tmp_path, name):
    path = sims.save(tmp_path / name)
    whole = path.read_bytes()
    for cut in (0, 50, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(CorruptFile):
            Simulations.load(path)


def test_an_npz_of_others_is_read_by_its_names(tmp_path):
    np.savez(tmp_path / "o.npz", **{"theta/a": np.zeros(4), "x": np.ones((4, 2))})
    assert Simulations.load(tmp_path / "o.npz").names == ("a",)
    np.savez(tmp_path / "p.npz", parameters=np.zeros(4))
    with pytest.raises(DataFileError, match="parameters"):
        Simulations.load(tmp_path / "p.npz")
    np.savez(tmp_path / "q.npz", **{"theta/a": np.array([object()] * 2)})
    with pytest.raises(UnsafeFile):
        Simulations.load(tmp_path / "q.npz")
    with pytest.raises(DataFileError):
        Simulations.load(tmp_path / "none.npz")


def test_a_prior_that_cannot_be_written_does_not_cost_the_simulations(tmp_path):
    class Mine(dist.Normal):
        pass

    sims = Simulations.of({"a": np.zeros(3)}, np.ones((3, 2)), prior=Prior(a=Mine(0.0, 1.0)))
    again = Simulations.load(sims.save(tmp_path / "s.qx"))
    assert again.prior is None and again.names == ("a",)


def test_frames(sims):
    pandas = pytest.importorskip("pandas")
    frame = sims.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == ["simulation", "b", "a[0]", "a[1]", "n[0]", "y[0]", "y[1]", "y[2]", "status"]
    events = Simulations.of({"a": np.arange(3.0)}, np.ones((3, 4, 2)), events=True).to_pandas()
    assert len(events) == 12 and list(events["event"][:5]) == [0, 1, 2, 3, 0]


def test_it_prints(sims):
    assert repr(sims).splitlines()[0] == "Simulations of s: 6, 16.7 % failed"
    assert "dose" in repr(sims) and "<table>" in sims._repr_html_()
