"""Pull workers: several at once on either database, in time before the end, and giving back what they cannot finish."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from quincunx.errors import SimulatorChanged, TooManyFailures, UsageError
from quincunx.lab import begin_book, carry_out, open_book, simulator_of, work
from quincunx.run import simulate
from quincunx.run.parcel import parcel_of

from ..engine_toys import BELL, DROWSY, PICKY


@pytest.fixture
def book(place):
    with begin_book(**place[0], key=5) as made:
        made.plan(100, size=5, simulator=BELL)
        yield made


def test_several_at_once_make_the_table_that_one_makes(book, again):
    made = []

    def one():
        with again() as own:
            made.append(work(own, BELL, workers=0).done)

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(made) == 100 and book.state["done"] == 20
    assert np.array_equal(book.simulations().x, simulate(BELL, 100, key=5, workers=0).x)
    assert len({batch["owner"] for batch in book.batches()}) > 1


def test_what_a_dead_worker_held_is_done_by_another(book):
    held = book.lease("gone", 0.3)
    assert work(book, BELL, workers=0).done == 100
    assert next(b for b in book.batches() if b["id"] == held.batch)["attempt"] == 2


def test_nothing_is_begun_that_might_not_be_finished(tmp_path):
    with begin_book(tmp_path / "run", key=5) as book:
        book.plan(1000, size=10, simulator=DROWSY)
        began = time.monotonic()
        made = work(book, DROWSY, workers=0, seconds=5.0)
        assert made.stopped == "time" and made.done > 0 and time.monotonic() - began < 5.0
        assert book.state["leased"] == 0 and book.state["todo"] > 0


def test_the_book_says_what_to_simulate(tmp_path):
    with begin_book(tmp_path / "run", key=5) as book:
        with pytest.raises(UsageError, match="does not say what its simulator is"):
            work(book)
        carry_out(book, BELL, 10, batch=5, workers=0)
        assert simulator_of(book).name == "bell"
        book.plan(20, size=5, simulator=BELL)
        assert work(book, workers=0).done == 10


def test_another_simulator_and_an_empty_run_are_refused(tmp_path):
    with begin_book(tmp_path / "run", key=5) as book:
        with pytest.raises(UsageError, match="nothing is planned"):
            work(book, BELL)
        book.plan(20, size=5, simulator=BELL)
        with pytest.raises(SimulatorChanged, match="put the same code"):
            work(book, PICKY)


def test_the_failure_budget_holds_for_workers_too(tmp_path):
    with begin_book(tmp_path / "run", key=5) as book:
        book.plan(1000, size=20, simulator=PICKY)
        with pytest.raises(TooManyFailures, match="no root"):
            work(book, PICKY, workers=0)
        assert book.state["leased"] == 0


def start(run, *more):
    # The toys' folder, where a worker of its own finds them.
    environment = {**os.environ, "PYTHONPATH": os.path.join(os.path.dirname(__file__), os.pardir)}
    argv = [sys.executable, "-m", "quincunx.cli", "worker", str(run), *more]
    return subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def drowsy(tmp_path):
    with begin_book(tmp_path / "run", key=5) as book:
        book.plan(2000, size=50, simulator=DROWSY)
        book.note("simulator", parcel=parcel_of(DROWSY))
        yield book


def done(book):
    return book.state["done"]


def test_sigterm_gives_the_batch_back_and_exits_with_four(drowsy):
    process = start(drowsy.folder)
    until = time.monotonic() + 120
    while not done(drowsy):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 4 and f"quincunx worker {drowsy.folder}" in err
    assert drowsy.state["leased"] == 0


def test_when_its_time_is_up_it_exits_with_zero(drowsy):
    process = start(drowsy.folder, "--max-time", "8s", "--json", "--n", "0")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert '"stopped": "time"' in out and drowsy.state["leased"] == 0
    with open_book(drowsy.folder) as again:
        assert not again.recovered
