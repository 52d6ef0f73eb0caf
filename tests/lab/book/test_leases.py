"""Leases: every batch is somebody's, for a time; the first report counts; the dead and the late lose theirs."""

import subprocess
import sys
import threading
import time

import pytest

from quincunx.errors import (
    ChecksumMismatch,
    DataFileError,
    LeaseLost,
    SecondCoordinator,
    SimulatorChanged,
    UnknownRun,
    UsageError,
)
from quincunx.lab.book.owner import _machine
from quincunx.model import wrap

from ..conftest import PRIOR, SIMULATOR, done

GONE = 999_999_999


def test_batches_are_given_out_in_order_each_once(book):
    held = [book.lease("a", 60.0) for _ in range(10)]
    assert [lease.first for lease in held] == list(range(0, 100, 10))
    assert all(lease.attempt == 1 and lease.n == 10 for lease in held)
    assert book.lease("b", 60.0) is None
    assert book.state == {"todo": 0, "leased": 10, "done": 0, "failed": 0}


def test_planning_again_changes_nothing_and_a_larger_number_goes_on(book):
    assert book.plan(100, size=10, simulator=SIMULATOR) == 0
    assert book.plan(125, size=10, simulator=SIMULATOR) == 3
    assert [(b["first"], b["n"]) for b in book.batches()[-3:]] == [(100, 10), (110, 10), (120, 5)]
    assert book.plan(20, size=20, simulator=SIMULATOR, round=1, design={"beam": 91.2}, decided_by="Ada") == 1
    one, two = book.rounds
    assert (one.round, one.n, one.simulator, one.decided_by) == (0, 125, "bell", None)
    assert (two.round, two.n, two.design, two.decided_by) == (1, 20, {"beam": 91.2}, "Ada")
    with pytest.raises(UsageError, match="design"):
        book.plan(40, size=20, simulator=SIMULATOR, round=1, design={"beam": 10.0})
    with pytest.raises(UsageError, match="at least 1"):
        book.plan(0, size=10, simulator=SIMULATOR)
    assert book.lease("a", 60.0, round=1).round == 1 and book.lease("a", 60.0, round=1) is None


def test_the_first_report_counts_and_the_second_does_no_harm(book):
    held = book.lease("a", 60.0)
    shard = done(book, held)
    assert book.complete(held, shard) is True
    assert book.complete(held, shard) is False
    other = done(book, held, shift=1e-6)
    assert other.name != shard.name and book.complete(held.batch, other) is False
    assert [path.name for path in book.shard_folder.iterdir()] == [shard.name]
    assert book.state["done"] == 1 and book.shards().shards == (shard,)


def test_a_lease_that_ran_out_goes_to_another_and_both_reports_are_welcome(book):
    late = book.lease("late", 0.05)
    while (taken := book.lease("b", 60.0)).batch != late.batch:
        time.sleep(0.01)
    assert taken.attempt == 2
    with pytest.raises(LeaseLost, match="attempt 1"):
        book.renew(late, 60.0)
    assert book.release(late) is False and book.fail(late, "no") is False
    assert book.complete(late, done(book, late)) is True
    assert book.complete(taken, done(book, taken)) is False
    with pytest.raises(LeaseLost):
        book.renew(taken, 60.0)


def test_renewing_makes_it_last(book):
    held = book.lease("a", 0.2)
    longer = book.renew(held, 60.0)
    assert longer.until > held.until + 50
    time.sleep(0.25)
    assert book.lease("b", 60.0).batch != held.batch
    assert book.renew(longer, 60.0).attempt == 1


def test_giving_back_is_as_if_it_had_not_begun(book):
    held = book.lease("a", 60.0)
    assert book.release(held) is True and book.release(held) is False
    again = book.lease("b", 60.0)
    assert (again.batch, again.attempt) == (held.batch, 1)


def test_failing(book):
    held = book.lease("a", 60.0)
    assert book.fail(held, "Traceback ...", again=True)
    held = book.lease("a", 60.0)
    assert held.attempt == 2
    assert book.fail(held, "Traceback ...")
    assert book.state["failed"] == 1 and book.batches()[0]["said"] == "Traceback ..."
    assert book.requeue() == 1 and book.state["failed"] == 0


def test_what_is_done_is_not_put_back(book):
    held = book.lease("a", 60.0)
    book.complete(held, done(book, held))
    assert book.requeue([held.batch]) == 0 and book.state["done"] == 1


def test_reports_are_checked(book):
    held, other = book.lease("a", 60.0), book.lease("a", 60.0)
    shard = done(book, held)
    with pytest.raises(UsageError, match="report the shard of this batch"):
        book.complete(other, shard)
    with pytest.raises(UnknownRun, match="no batch"):
        book.complete(10**6, shard)
    path = book.shard_folder / shard.name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ChecksumMismatch):
        book.complete(held, shard)
    path.unlink()
    with pytest.raises(DataFileError):
        book.complete(held, shard)
    assert book.state == {"todo": 8, "leased": 2, "done": 0, "failed": 0}


def test_failed_simulations_are_written_down(book):
    held = book.lease("a", 60.0)
    book.complete(held, done(book, held, failed=(3, 7)))
    first, second = book.failures()
    assert (first.round, first.index, first.theta, first.status, first.said) == (
        0,
        3,
        {"mu": 3.0},
        "not finite",
        "diverged",
    )
    assert second.index == 7 and book.failures(round=1) == []
    assert "2 failed" in repr(book)


def test_many_at_once_take_each_batch_once(book, again):
    """Four threads with books of their own, as workers have."""
    taken: list = []

    def work(name):
        with again() as own:
            while held := own.lease(name, 60.0):
                own.complete(held, done(own, held))
                taken.append(held.batch)

    threads = [threading.Thread(target=work, args=(f"w{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted({b["id"] for b in book.batches()})
    assert book.state["done"] == 10 and len(book.simulations()) == 100


def test_a_second_coordinator_is_refused(book, again):
    with book.coordinator(duration=60.0) as leader:
        assert leader.stay() > time.time() + 30
        with again() as other, pytest.raises(SecondCoordinator, match="has a coordinator"), other.coordinator():
            pass
    with again() as other, other.coordinator(duration=0.05) as late:
        time.sleep(0.1)
        with book.coordinator() as leader:
            assert leader.owner != late.owner
            with pytest.raises(LeaseLost, match="another coordinates"):
                late.stay()
    with book.coordinator():
        pass


def test_a_coordinator_that_died_here_is_succeeded_at_once(book):
    with book.coordinator(duration=1e6, owner=f"{_machine()}/{GONE}/0"), book.coordinator() as leader:
        assert leader.stay()


def test_leases_of_the_dead_are_found_on_opening(book, again):
    book.lease(f"{_machine()}/{GONE}/0", 1e6)
    book.lease(f"elsewhere/0-0/{GONE}/0", 1e6)
    with again() as other:
        assert other.recovered.expired == 1
        assert other.state == {"todo": 9, "leased": 1, "done": 0, "failed": 0}


def test_a_changed_simulator_is_refused_unless_told_and_written_down_either_way(book):
    def other(theta, *, rng):
        return rng.normal(theta["mu"], 2.0, 2)

    changed = wrap(other, PRIOR, name="bell", version="2")
    with pytest.raises(SimulatorChanged, match="changed=True"):
        book.plan(10, size=10, simulator=changed, round=1)
    assert [e.facts["let pass"] for e in book.events("simulator changed")] == [False]
    assert book.plan(10, size=10, simulator=changed, round=1, changed=True) == 1
    assert [e.facts["let pass"] for e in book.events("simulator changed")] == [False, True]
    assert book.use(changed) != 1
    with pytest.raises(UsageError, match="simulator"):
        book.plan(200, size=10, simulator=changed)


_FORK = """
import os, sys
from quincunx.lab import open_book
book = open_book(sys.argv[1], run=sys.argv[2])
if (child := os.fork()) == 0:
    print(book.lease("child", 60.0).first, flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(book.lease("parent", 60.0).first, len(book.ledger.database._inherited))
"""


def test_no_connection_is_carried_across_a_fork(book, place):
    """A child finds the book with connections of its own, and leaves the parent's alone."""
    arguments = [sys.executable, "-c", _FORK, str(place[1]["where"]), book.name]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["0", "10", "0"]
