"""Carrying a round out: through deaths, failures, interruptions and second coordinators, with the same table in the end."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor

import numpy as np
import pytest

from quincunx import gallery
from quincunx.errors import (
    CannotTravel,
    ExecutorBroken,
    FailureWarning,
    QuincunxWarning,
    SecondCoordinator,
    SimulatorChanged,
    TooManyFailures,
    UsageError,
)
from quincunx.lab import begin_book, carry_out, open_book, supervisor
from quincunx.model import wrap
from quincunx.run import simulate
from quincunx.run.status import LOST, OK, TIMEOUT

from ..engine_toys import BELL, DEADLY, DROWSY, PICKY, PRIOR, STICKY, TOGETHER, bell


class Fragile(Executor):
    """Runs at once, in this process, until it breaks: at the calls numbered, for good or until it is opened again."""

    calls = 0

    def __init__(self, breaks=lambda call, batch: False):
        self.breaks, self.broken = breaks, False

    def submit(self, fn, *arguments):
        future: Future = Future()
        Fragile.calls += 1
        if self.broken or self.breaks(Fragile.calls, arguments[0]):
            self.broken = True
            future.set_exception(BrokenExecutor("a worker died"))
        else:
            try:
                future.set_result(fn(*arguments))
            except Exception as error:
                future.set_exception(error)
        return future

    def shutdown(self, wait=True, *, cancel_futures=False):
        self.broken = True


@pytest.fixture
def book(tmp_path):
    with begin_book(tmp_path / "run", key=5) as made:
        yield made


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(supervisor, "_LONGEST_PAUSE", 0.01)
    Fragile.calls = 0


def same_as_anywhere(book, simulator, n):
    sims, whole = book.simulations(), simulate(simulator, n, key=5, workers=0)
    good = sims.status == OK
    assert np.array_equal(sims.index, np.arange(n)) and np.array_equal(sims.theta["mu"], whole.theta["mu"])
    assert np.array_equal(sims.x[good], whole.x[good])
    return sims


def test_what_is_done_is_not_done_again_and_a_larger_number_goes_on(book):
    told = []
    first = carry_out(book, BELL, 100, batch=30, workers=0, progress=told.append)
    assert (first.done, first.failed, first.saved, first.rebuilds, first.stopped) == (100, 0, 0, 0, None)
    assert told[-1]["done"] == told[-1]["total"] == 100 and told[-1]["failed"] == 0 and told[-1]["rate"] > 0
    assert carry_out(book, BELL, workers=0).done == 0
    more = carry_out(book, BELL, 150, batch=50, workers=0)
    assert (more.done, more.saved) == (50, 100)
    same_as_anywhere(book, BELL, 150)
    assert [event.facts["done"] for event in book.events("carried out")] == [100, 0, 50]


@pytest.mark.parametrize("simulator", [BELL, TOGETHER], ids=["one by one", "together"])
def test_without_a_size_the_first_few_are_timed(book, simulator):
    carry_out(book, simulator, 5000, workers=0)
    sizes = [batch["n"] for batch in book.batches()]
    assert sizes[0] == 1 and max(sizes) > 1000 and len(sizes) < 20
    assert len(book.events("batch size")) == 1
    same_as_anywhere(book, simulator, 5000)


def test_a_jax_simulator_runs_in_this_process(book):
    assert carry_out(book, gallery.load("two_moons").simulator, 3000).done == 3000
    assert book.simulations().x.shape == (3000, 2)


def test_settings_of_a_round(book):
    carry_out(book, BELL, 20, batch=10, round=1, design={"shift": 2.0}, workers=0)
    assert np.array_equal(book.simulations(1).x, simulate(BELL, 20, key=5, round=1, design={"shift": 2.0}, workers=0).x)
    with pytest.raises(UsageError, match="design"):
        carry_out(book, BELL, 40, batch=10, round=1, design={"shift": 3.0}, workers=0)


def test_a_broken_executor_is_opened_again_and_what_was_lost_is_run_again(book):
    made = carry_out(
        book, BELL, 100, batch=10, executor=lambda: Fragile(lambda call, batch: call in (3, 12)), workers=2
    )
    assert made.rebuilds == 2 and made.done == 100 and made.failed == 0
    same_as_anywhere(book, BELL, 100)
    assert max(batch["attempt"] for batch in book.batches()) == 2


def test_a_broken_executor_that_was_handed_in_ends_the_run_which_goes_on_with_another(book):
    with pytest.raises(ExecutorBroken, match="handed in"):
        carry_out(book, BELL, 100, batch=10, executor=Fragile(lambda call, batch: call == 4), workers=1)
    assert book.state["leased"] == 0 and book.state["done"] == 3
    assert carry_out(book, BELL, 100, workers=0).saved == 30
    same_as_anywhere(book, BELL, 100)


def test_workers_that_never_work_are_given_up(book):
    with pytest.raises(ExecutorBroken, match=r"ended 11 times.*a worker died"):
        carry_out(book, BELL, 400, batch=20, executor=lambda: Fragile(lambda call, batch: True), workers=1)
    assert book.state["leased"] == 0 and book.state["done"] < 10
    carry_out(book, BELL, 400, workers=0)
    same_as_anywhere(book, BELL, 400)


def test_a_simulation_that_kills_its_workers_is_found_alone_and_marked(book):
    poison = np.flatnonzero(simulate(BELL, 60, key=5, workers=0).theta["mu"] > 1.5)

    def kills(call, batch):
        return any(batch.first <= i < batch.first + batch.n for i in poison)

    with pytest.warns(FailureWarning, match="failed"):
        made = carry_out(book, DEADLY, 60, batch=20, executor=lambda: Fragile(kills), workers=1, failure_budget=0.5)
    assert made.failed == len(poison) > 0 and made.rebuilds >= 2
    assert np.flatnonzero(book.simulations().status == LOST).tolist() == poison.tolist()
    failure = book.failures()[0]
    assert failure.index == poison[0] and failure.status == "lost" and failure.theta["mu"] > 1.5
    assert "process" in failure.said


def test_a_failed_simulation_is_kept_and_the_budget_stops_the_run(book):
    with pytest.raises(TooManyFailures, match="no root"):
        carry_out(book, PICKY, 1000, batch=20, workers=0)
    assert 0 < book.state["done"] < 50 and book.state["leased"] == 0
    with pytest.raises(TooManyFailures):
        carry_out(book, PICKY, 1000, batch=20, workers=0)
    with pytest.warns(FailureWarning):
        made = carry_out(book, PICKY, 1000, batch=20, workers=0, failure_budget=1.0)
    sims = book.simulations()
    assert made.done + made.saved == 1000 and np.array_equal(sims.status != OK, sims.theta["mu"] > 0)


def test_an_error_that_is_no_simulations_fault_ends_the_run_which_goes_on_when_it_is_mended(book):
    book.plan(100, size=10, simulator=BELL)
    folder = book.shard_folder
    folder.rename(folder.with_name("away"))
    folder.write_text("in the way")
    with pytest.raises(FileExistsError):
        carry_out(book, BELL, workers=0)
    assert book.state["leased"] == 0
    folder.unlink()
    folder.with_name("away").rename(folder)
    assert carry_out(book, BELL, workers=0).done == 100


def test_a_second_coordinator_and_another_simulator_are_refused(book):
    carry_out(book, BELL, 10, batch=10, workers=0)
    with book.coordinator(owner="Ada"), pytest.raises(SecondCoordinator, match="Ada"):
        carry_out(book, BELL, 20, workers=0)
    with pytest.raises(SimulatorChanged):
        carry_out(book, PICKY, 20, workers=0)


def test_what_makes_no_sense_is_refused(book):
    with pytest.raises(UsageError, match="nothing is planned"):
        carry_out(book, BELL)
    for wrong in ({"n": 0}, {"n": 5, "batch": 0}, {"n": 5, "failure_budget": 2.0}):
        with pytest.raises(UsageError):
            carry_out(book, BELL, **wrong)
    with book.coordinator():
        pass


def test_a_simulator_that_cannot_travel_runs_here_or_is_refused(book):
    stay = wrap(lambda theta, *, rng: bell(theta, rng=rng), PRIOR, name="stay")
    with pytest.raises(CannotTravel, match="'stay'"):
        carry_out(book, stay, 20, batch=10, workers=2)
    with pytest.warns(QuincunxWarning, match="run in this process"):
        assert carry_out(book, stay, 20, batch=10).done == 20
    with ThreadPoolExecutor(2) as executor:
        assert carry_out(book, stay, 40, batch=10, executor=executor).done == 20


def test_others_who_work_on_the_round_are_waited_for(book):
    book.plan(20, size=10, simulator=BELL)
    book.lease("gone", 0.5)
    assert carry_out(book, BELL, workers=0).done == 20


@pytest.mark.slow
def test_a_simulation_that_hangs_is_ended_and_marked(book):
    with pytest.warns(FailureWarning):
        carry_out(book, STICKY, 30, batch=5, workers=1, timeout=10.0, failure_budget=0.5)
    sims = same_as_anywhere(book, BELL, 30)
    assert np.array_equal(sims.status == TIMEOUT, sims.theta["mu"] > 1.5) and (sims.status == TIMEOUT).any()


@pytest.mark.slow
def test_on_dask(book):
    pytest.importorskip("distributed")
    made = carry_out(book, BELL, 60, batch=10, dask="local", workers=1)
    assert made.done == 60 and made.dashboard.startswith("http")
    assert book.events("dashboard")[0].facts["address"] == made.dashboard
    same_as_anywhere(book, BELL, 60)


SLOW = """
import sys
sys.path.insert(0, sys.argv[2])
import engine_toys
from quincunx.lab import begin_book, carry_out, open_book
from pathlib import Path
run = Path(sys.argv[1])
book = open_book(run) if run.exists() else begin_book(run, key=5)
tell = lambda state: print(state["done"], flush=True)
print(carry_out(book, engine_toys.DROWSY, 2000, batch=20, workers=1, progress=tell).stopped, flush=True)
"""


def interrupted(tmp_path, times, number=signal.SIGINT):
    toys = os.path.join(os.path.dirname(__file__), os.pardir)
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, tmp_path / "run", toys], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while int(process.stdout.readline()) < 40:
        pass
    for _ in range(times):
        process.send_signal(number)
        time.sleep(0.3)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_ctrl_c_finishes_what_is_under_way(tmp_path):
    code, out, _ = interrupted(tmp_path, 1)
    assert code == 0 and out.splitlines()[-1] == "interrupted"
    with open_book(tmp_path / "run") as book:
        assert not book.recovered and book.state["leased"] == 0 and 40 <= book.state["done"] * 20 < 2000


def test_a_second_ctrl_c_stops_at_once(tmp_path):
    code, _, err = interrupted(tmp_path, 2)
    assert code != 0 and "KeyboardInterrupt" in err
    with open_book(tmp_path / "run") as book:
        assert book.state["leased"] == 0 and book.state["failed"] == 0
        book.plan(book.state["done"] * 20, size=20, simulator=DROWSY, changed=True)
        with book.coordinator():
            pass


def test_a_killed_coordinator_is_succeeded(tmp_path):
    code, _, _ = interrupted(tmp_path, 1, signal.SIGKILL)
    assert code == -signal.SIGKILL
    with open_book(tmp_path / "run") as book:
        assert book.recovered.expired > 0 and book.state["leased"] == 0
        with book.coordinator():
            pass
