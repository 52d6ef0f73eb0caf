"""Plain simulators in worker processes: the same numbers, whatever dies."""

import os
import signal
import time

import numpy as np
import numpyro.distributions as dist
import pytest

from quincunx.errors import FailureWarning, QuincunxWarning
from quincunx.model import Prior, simulator, wrap
from quincunx.run import host, pool, simulate
from quincunx.run.address import address_of
from quincunx.run.status import LOST

PRIOR = Prior(mu=dist.Normal(0.0, 1.0))


@simulator(PRIOR)
def walk(theta, *, rng, design=None):
    return theta["mu"] + rng.normal(size=3).cumsum()


@simulator(PRIOR)
def where(theta, *, rng):
    return [os.getpid() % 100_000, rng.normal()]


@simulator(PRIOR)
def deadly(theta, *, rng):
    if theta["mu"] > 1.9 and os.environ.get("QUINCUNX_TEST_PARENT") != str(os.getpid()):
        os.kill(os.getpid(), signal.SIGKILL)
    return theta["mu"] + rng.normal(size=2)


@simulator(PRIOR)
def killed_twice(theta, *, rng):
    """Its process is ended at one parameter, once in the pool and once alone, and then no more."""
    mark = os.environ["QUINCUNX_TEST_MARK"]
    if theta["mu"] > 1.9 and (not os.path.exists(mark) or os.path.getsize(mark) < 2):
        with open(mark, "a") as stream:
            stream.write("x")
        os.kill(os.getpid(), signal.SIGKILL)
    return theta["mu"] + rng.normal(size=2)


@pytest.fixture
def eager_pool(monkeypatch):
    """Any run is worth a pool."""
    monkeypatch.setattr(host, "_WORTH_A_POOL_SECONDS", 0.0)


def test_processes_give_the_same_numbers(eager_pool):
    pooled = simulate(walk, 60, key=0, workers=2)
    np.testing.assert_array_equal(pooled.x, simulate(walk, 60, key=0, workers=0).x)


def test_it_is_done_elsewhere(eager_pool):
    pids = simulate(where, 40, key=0, workers=2).x[:, 0]
    assert (pids[8:] != os.getpid() % 100_000).all()


def test_a_simulation_that_kills_its_process_is_found_and_the_others_kept(eager_pool, monkeypatch):
    monkeypatch.setenv("QUINCUNX_TEST_PARENT", str(os.getpid()))
    theta = {"mu": np.zeros(24)}
    theta["mu"][17] = 2.5
    with pytest.warns(FailureWarning, match="process"):
        sims = simulate(deadly, key=0, theta=theta, workers=2)
    assert list(np.flatnonzero(sims.failed)) == [17] and sims.status[17] == LOST
    theta["mu"][17] = 0.0
    np.testing.assert_array_equal(
        np.delete(sims.x, 17, 0), np.delete(simulate(deadly, key=0, theta=theta, workers=0).x, 17, 0)
    )


def test_a_worker_killed_by_somebody_else_costs_no_simulation(eager_pool, monkeypatch, tmp_path):
    monkeypatch.setenv("QUINCUNX_TEST_MARK", str(tmp_path / "mark"))
    theta = {"mu": np.zeros(24)}
    theta["mu"][17] = 2.5
    sims = simulate(killed_twice, key=0, theta=theta, workers=2)
    assert (tmp_path / "mark").read_text() == "xx" and not sims.failed.any()


def test_workers_that_cannot_start_leave_the_work_to_this_process(eager_pool, monkeypatch):
    nowhere = pool.Address("no_such_module", None, "walk", "walk")
    monkeypatch.setattr(host, "address_of", lambda simulator: nowhere)
    with pytest.warns(QuincunxWarning, match="no_such_module"):
        sims = simulate(walk, 20, key=0, workers=2)
    np.testing.assert_array_equal(sims.x, simulate(walk, 20, key=0, workers=0).x)


def test_addresses():
    assert address_of(walk).qualname == "walk"
    assert address_of(wrap(lambda theta, *, rng: rng.normal(), PRIOR)) is None

    def local(theta, *, rng):
        return rng.normal()

    assert address_of(wrap(local, PRIOR)) is None


def test_what_has_no_address_runs_here(eager_pool):
    sim = wrap(lambda theta, *, rng: [os.getpid() % 100_000, rng.normal()], PRIOR)
    with pytest.warns(match="same value"):
        assert (simulate(sim, 20, key=0).x[:, 0] == os.getpid() % 100_000).all()


def test_cheap_work_starts_no_processes(monkeypatch):
    monkeypatch.setattr(host, "run_pool", None)
    began = time.monotonic()
    simulate(walk, 100, key=0)
    assert time.monotonic() - began < 60


def test_a_call_that_is_dear_to_begin_gets_many_rows():
    calls = []

    def slow_start(theta, *, rngs):
        calls.append(len(rngs))
        time.sleep(0.4)
        return np.stack([mu + rng.normal(size=2) for mu, rng in zip(theta["mu"], rngs)])

    simulate(wrap(slow_start, PRIOR), 300, key=0)
    # Five calls are the look at it; the rest would be 300 if each row were a call.
    assert sum(calls[5:]) >= 290 and len(calls) < 20
