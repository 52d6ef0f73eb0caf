"""Whatever moment the last process ended at, opening the run makes the ledger and the folder agree, and says what it did."""

import errno
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import tomllib
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from quincunx.errors import (
    CorruptFile,
    DiskFull,
    LedgerBusy,
    LedgerUnreachable,
    MissingExtra,
    NetworkFolder,
    OutputNotEmpty,
    ReadOnlyFolder,
    RecoveryWarning,
    SchemaTooNew,
    UnknownRun,
    UsageError,
)
from quincunx.lab.book import begin_book, database, open_book
from quincunx.run import durable, write_shard

from ..conftest import SIMULATOR, done, rows

OLD = 1_000_000_000


@pytest.fixture
def half(book):
    """The run with four batches done, one with a shard that was not reported, and one leased."""
    for _ in range(4):
        held = book.lease("a", 60.0)
        book.complete(held, done(book, held))
    done(book, book.lease("a", 60.0))
    book.lease("a", 60.0)
    return book


def test_a_whole_shard_that_nobody_reported_is_adopted(half, again):
    with again() as book:
        assert len(book.recovered.adopted) == 1 and book.recovered.lost == ()
        assert book.state == {"todo": 4, "leased": 1, "done": 5, "failed": 0}
        np.testing.assert_array_equal(book.simulations().theta["mu"], np.arange(50))
        assert [event.facts["adopted"] for event in book.events("recovered")] == [list(book.recovered.adopted)]
    with again() as book:
        assert not book.recovered


def test_missing_and_damaged_shards_are_done_again_and_reported(half, again):
    first, second, *_ = half.shards().paths()
    first.unlink()
    second.write_bytes(second.read_bytes()[:-7])
    with pytest.warns(RecoveryWarning, match="2 shards on record were missing or damaged"):
        book = again()
    assert set(book.recovered.lost) == {first.name, second.name} and book.recovered.damaged == (second.name,)
    assert second.with_name(second.name + ".damaged").exists()
    assert [event.facts["count"] for event in book.events("lost")] == [2]
    for expected in (0, 10):
        held = book.lease("b", 60.0)
        assert held.first == expected
        assert book.complete(held, done(book, held))
    assert len(book.simulations()) == 50
    book.close()


def test_bytes_that_turned_without_a_trace_are_found_by_a_thorough_look(half, again):
    path = half.shards().paths()[0]
    seen = path.stat()
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(bytes(whole))
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    with again() as book:
        assert book.recovered.lost == ()
    with pytest.warns(RecoveryWarning), again(thorough=True) as book:
        assert book.recovered.lost == (path.name,)


def test_a_copied_folder_is_hashed_once_and_believed_again(half, again):
    for path in half.shards().paths():
        os.utime(path, (OLD, OLD))
    with again() as book:
        assert book.recovered.lost == ()
        assert {batch["mtime"] for batch in book.batches() if batch["state"] == "done"} >= {OLD * 10**9}


def test_old_drafts_and_duplicates_go_and_young_ones_stay(half, again):
    held = half.batches()[0]
    duplicate = write_shard(rows(held["first"], held["n"], shift=1.0), half.shard_folder, key=half.key)
    old, young = (half.shard_folder / f"{durable.DRAFT}{name}" for name in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"half")
    for path in (old, half.shard_folder / duplicate.name):
        os.utime(path, (OLD, OLD))
    with again() as book:
        assert set(book.recovered.removed) == {old.name, duplicate.name}
        assert young.exists() and not old.exists()
        assert set(book.recover(grace=0.0).removed) == {young.name}


def test_strangers_are_left_alone(half, again):
    other_key = write_shard(rows(60, 10), half.shard_folder, key=77)
    other_cut = write_shard(rows(60, 5), half.shard_folder, key=half.key)
    other_code = write_shard(rows(70, 10), half.shard_folder, key=half.key, facts={"fingerprint": "0"})
    strangers = {other_key.name, other_cut.name, other_code.name}
    with pytest.warns(RecoveryWarning, match="3 files belong to no batch"), again() as book:
        assert set(book.recovered.strangers) == strangers
    assert all((half.shard_folder / name).exists() for name in strangers)


def test_a_torn_shard_that_nobody_reported_is_set_aside(half, again):
    shard = done(half, half.lease("a", 60.0))
    path = half.shard_folder / shard.name
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.warns(RecoveryWarning, match="1 damaged files"), again() as book:
        assert book.recovered.damaged == (shard.name,)


def test_the_folder_says_what_was_run_and_where(place):
    with begin_book(**place[0], key=5, config={"budget": 1000, "method": {"name": "npe"}}) as book:
        config = tomllib.loads((book.folder / "config.toml").read_text())
        assert book.config == {"budget": 1000, "method": {"name": "npe"}}
        assert (config["key"], config["budget"], config["method"]) == ("5", 1000, {"name": "npe"})
        env = json.loads((book.folder / "env.json").read_text())
        assert env["packages"]["sqlalchemy"] and env["command"] and env["platform"]
        with pytest.raises(OutputNotEmpty):
            begin_book(**place[0], key=5)
        with pytest.raises(UnknownRun, match="no simulations"):
            book.simulations()


def test_a_beginning_that_was_killed_can_be_begun_again(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("quincunx.lab.book.beginning.to_toml", lambda settings: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            begin_book(tmp_path / "run", key=0)
    with pytest.raises(UnknownRun):
        open_book(tmp_path / "run")
    begin_book(tmp_path / "run", key=0).close()
    with pytest.raises(OutputNotEmpty, match="holds the run 'run' already"):
        begin_book(tmp_path / "run", key=0)


def test_the_settings_of_another_program_are_left_alone(tmp_path):
    (tmp_path / "config.toml").write_text("[server]\nport = 80\n")
    with pytest.raises(OutputNotEmpty, match="another program's"):
        begin_book(tmp_path, key=0)
    assert (tmp_path / "config.toml").read_text() == "[server]\nport = 80\n"


def test_a_book_opened_to_be_read_is_not_written(half, again):
    with again(read_only=True) as book:
        assert len(book.simulations()) == 40
        for write in (lambda: book.note("nothing"), lambda: book.lease("a", 60.0), book.recover):
            with pytest.raises(ReadOnlyFolder, match="read_only=True"):
                write()


def test_there_must_be_a_run(tmp_path, place):
    with pytest.raises(UnknownRun, match="no lab book"):
        open_book(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
    with begin_book(**place[0], key=0), pytest.raises(UnknownRun, match="expected one of the book's runs"):
        open_book(**{**place[1], "run": "another"})
    with pytest.raises(UsageError, match="expected postgresql"):
        open_book("mysql://localhost/runs")


def test_a_server_needs_a_folder_and_a_name(server):
    with pytest.raises(UsageError, match="give both"):
        begin_book(server, key=0)


def test_several_runs_in_one_database(server, tmp_path):
    names = [f"{tmp_path.name}-{i}" for i in (0, 1)]
    for name in names:
        with begin_book(server, run=name, folder=tmp_path / name, key=0) as book:
            book.plan(10, size=5, simulator=SIMULATOR)
    with open_book(server, run=names[0]) as one, open_book(server, run=names[1]) as other:
        held = one.lease("a", 60.0)
        one.complete(held, done(one, held))
        assert one.state["done"] == 1 and other.state["done"] == 0
    with pytest.raises(UnknownRun, match="got no name"):
        open_book(server)


def test_a_run_of_a_newer_schema_is_refused_and_left_as_it_is(tmp_path):
    begin_book(tmp_path / "run", key=0).close()
    file = tmp_path / "run" / "ledger.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("update schema_version set version = 99")
    connection.close()
    for read_only in (False, True):
        with pytest.raises(SchemaTooNew, match="schema 99"):
            open_book(tmp_path / "run", read_only=read_only)


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "ledger.sqlite").write_bytes(b"this is no database at all, just some bytes" * 100)
    with pytest.raises(CorruptFile, match="not a database"):
        open_book(tmp_path)


def test_a_locked_ledger_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "_PATIENCE", 100)
    with begin_book(tmp_path / "run", key=0) as book:
        other = sqlite3.connect(tmp_path / "run" / "ledger.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerBusy, match="kept locked"):
            book.note("waiting")
        other.execute("ROLLBACK")
        other.close()
        book.note("going on")


def test_sqlite_on_a_network_file_system_is_refused_with_advice(tmp_path, monkeypatch):
    table = tmp_path / "mountinfo"
    table.write_text(f"36 35 0:33 / {tmp_path.resolve()} rw shared:1 - nfs4 server:/home rw\n")
    monkeypatch.setattr("quincunx.lab.book.filesystem._MOUNTS", table)
    with pytest.raises(NetworkFolder, match="PostgreSQL"):
        begin_book(tmp_path / "run", key=0)


@contextmanager
def powerless():
    """As another user than root, to whom permissions say nothing."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)
    else:
        yield


@pytest.fixture
def public():
    """A folder that another user can enter, which pytest's are not."""
    folder = Path(tempfile.mkdtemp(prefix="quincunx-"))
    folder.chmod(0o755)
    yield folder
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_run_can_be_looked_at_and_is_whole_afterwards(public):
    with begin_book(public / "run", key=5) as book:
        book.plan(20, size=10, simulator=SIMULATOR)
        held = book.lease("a", 60.0)
        book.complete(held, done(book, held))
    for path in sorted((public / "run").rglob("*"), reverse=True):
        path.chmod(0o555 if path.is_dir() else 0o444)
    (public / "run").chmod(0o555)
    with powerless():
        with pytest.raises(ReadOnlyFolder, match="read_only=True"):
            open_book(public / "run")
        with pytest.raises(ReadOnlyFolder):
            begin_book(public / "other", key=0)
        with pytest.raises(ReadOnlyFolder):
            write_shard(rows(10, 10), public / "run" / "shards", key=5)
        with open_book(public / "run", read_only=True) as book:
            assert len(book.simulations()) == 10
            with pytest.raises(ReadOnlyFolder):
                book.note("nothing")
    for path in (public / "run", *(public / "run").rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with open_book(public / "run") as book:
        held = book.lease("a", 60.0)
        assert book.complete(held, done(book, held))


def test_a_full_disk_is_named_and_the_run_goes_on_when_there_is_room(tmp_path, monkeypatch):
    with begin_book(tmp_path / "run", key=5) as book:
        book.plan(20, size=10, simulator=SIMULATOR)
        held = book.lease("a", 60.0)
        with monkeypatch.context() as patch:

            def full(self, data):
                raise OSError(errno.ENOSPC, "No space left on device")

            patch.setattr(durable.HashedStream, "write", full)
            with pytest.raises(DiskFull, match="resume"):
                done(book, held)
        assert book.complete(held, done(book, held))


def test_a_full_database_is_named_and_stays_whole(tmp_path):
    with begin_book(tmp_path / "run", key=5) as book:
        with book.ledger.database.read() as connection:
            pages = connection.exec_driver_sql("pragma page_count").scalar_one()
        with pytest.raises(DiskFull, match="full"), book.ledger.database.write() as connection:
            connection.exec_driver_sql(f"pragma max_page_count={pages}")
            for _ in range(1000):
                connection.exec_driver_sql(
                    f"insert into event (run_id, t, kind, facts) values (1, 0, 'x', '{'a' * 900}')"
                )
        assert book.events("x") == []
    with open_book(tmp_path / "run") as book:
        book.note("going on")


def test_nothing_is_warned_of_when_nothing_happened(half, again):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RecoveryWarning)
        again().close()


def test_a_server_that_does_not_answer(tmp_path):
    pytest.importorskip("psycopg")
    with pytest.raises(LedgerUnreachable, match="does not answer"):
        open_book(f"postgresql://postgres@/postgres?host={tmp_path}", run="a")


def test_the_driver_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"quincunx\[postgresql\]"):
        open_book("postgresql://localhost/runs")
