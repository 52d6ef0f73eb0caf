"""What is noted beside the simulations, and where everything comes from."""

import sqlite3
import subprocess
import sys

import numpy as np
import pytest

import quincunx as qx
from quincunx.errors import (
    ChecksumMismatch,
    DataFileError,
    ReadOnlyFolder,
    SchemaTooNew,
    SchemaTooOld,
    UnknownRun,
    UsageError,
)
from quincunx.lab.book import begin_book, migrate_book
from quincunx.lab.book.migrate import migrate, prepare, version_of
from quincunx.lab.book.notes import note
from quincunx.lab.book.reading import Remembered, read_book
from quincunx.run import Simulations

from ..conftest import done


def test_metrics_by_name_and_step(book):
    for step in range(3):
        book.measure(step, loss=1.0 / (step + 1), accuracy=float("nan") if step == 1 else 0.5)
    found = book.metrics()
    assert sorted(found) == ["accuracy", "loss"]
    np.testing.assert_array_equal(found["loss"]["step"], [0, 1, 2])
    np.testing.assert_allclose(found["loss"]["value"], [1, 1 / 2, 1 / 3])
    np.testing.assert_array_equal(found["accuracy"]["value"], [0.5, np.nan, 0.5])
    assert sorted(book.metrics("loss")) == ["loss"] and book.metrics("nothing") == {}


def test_events_in_order_and_after_one(book):
    book.note("chosen", decision=True, design={"beam": 91.2}, by="Ada")
    book.note("stopped")
    first, second = book.events()[-2:]
    assert (first.kind, first.facts) == ("chosen", {"design": {"beam": 91.2}, "by": "Ada"})
    assert book.events(after=first.id) == [second] and book.events("stopped") == [second]
    assert book.events(last=2) == [first, second] and book.events("stopped", last=5) == [second]
    assert book.events(last=1) == Remembered.of(book).events(last=1) == [second]
    assert second.t >= first.t > 1.7e9
    with pytest.raises(UsageError, match="not to be written down"):
        book.note("bad", value=object())


def test_artefacts_are_found_by_their_hash_and_checked(book, tmp_path):
    file = tmp_path / "figure.svg"
    file.write_text("<svg/>")
    one = book.artefact(file, "figure")
    assert book.artefact(b"<svg/>", "figure", name="figure.svg") == one
    value = Simulations.of({"mu": np.zeros(3)}, np.ones((3, 2)))
    two = book.artefact(value, "simulations", parents=[one], facts={"why": "test"})
    assert [a.kind for a in book.artefacts()] == ["figure", "simulations"]
    assert book.artefacts("simulations")[0].facts == {"why": "test"}
    assert book.artefact_file(one[:10]).read_text() == "<svg/>"
    assert len(qx.load(book.artefact_file(two))) == 3
    assert len(list((book.folder / "artifacts").iterdir())) == 2
    book.artefact_file(one).write_text("<svg>")
    with pytest.raises(ChecksumMismatch):
        book.artefact_file(one)
    book.folder.joinpath(book.artefacts()[0].path).unlink()
    with pytest.raises(DataFileError, match="gone"):
        book.artefact_file(one)


def test_what_cannot_be_kept_is_refused(book, tmp_path):
    with pytest.raises(UsageError):
        book.artefact(object(), "thing")
    with pytest.raises(DataFileError):
        book.artefact(tmp_path / "nothing.svg", "figure")
    with pytest.raises(UnknownRun, match="keep them first"):
        book.artefact(b"a", "figure", parents=["0" * 64])
    for name in ("../a", "a/b", ".hidden", ""):
        with pytest.raises(UsageError, match="without folders"):
            book.artefact(b"a", "figure", name=name or ".")
    for sha in ("", "zz", "%"):
        with pytest.raises(UnknownRun):
            book.artefact_file(sha)


def test_from_a_figure_to_simulator_and_key(book):
    for _ in range(3):
        held = book.lease("a", 60.0)
        book.complete(held, done(book, held))
    network = book.artefact(b"weights", "network", parents=[s.sha256 for s in book.shards().shards])
    posterior = book.artefact(b"posterior", "posterior", parents=[network])
    figure = book.artefact(b"figure", "figure", parents=[posterior, network])
    found = book.provenance(figure)
    (origin,) = found.origins
    assert (origin.round, origin.shards, origin.simulations) == (0, 3, 30)
    assert (origin.simulator, origin.version, origin.key) == ("bell", "0", "5") and len(origin.fingerprint) == 64
    assert set(found.parents[figure]) == {posterior, network} and len(found.artefacts) == 6
    told = repr(found)
    assert (
        told.splitlines()[0].startswith(f"figure {figure[:12]}")
        and "30 simulations in 3 shards: round 0 of bell 0" in told
    )
    assert book.provenance(posterior).origins == found.origins
    with pytest.raises(UnknownRun):
        book.provenance("0" * 64)


def test_a_book_is_migrated_step_by_step(tmp_path):
    """The machinery, with a step made for the test: there is no older schema than the first."""
    with begin_book(tmp_path / "run", key=0) as book:
        database = book.ledger.database
        with pytest.raises(SchemaTooOld, match="migrate_book"):
            prepare(database, newest=3)
        steps = {
            1: lambda c: c.exec_driver_sql("alter table run add column mood text"),
            2: lambda c: c.exec_driver_sql("this is no SQL"),
        }
        with pytest.raises(Exception, match="syntax error"):
            migrate(database, steps=steps, newest=3)
        with database.read() as connection:
            assert version_of(connection) == 2
            assert connection.exec_driver_sql("select mood from run").scalar_one() is None
        steps[2] = lambda c: c.exec_driver_sql("update run set mood = 'good'")
        assert migrate(database, steps=steps, newest=3) == [3]
        with pytest.raises(SchemaTooNew):
            migrate(database)
        with pytest.raises(SchemaTooOld):
            migrate(database, steps={}, newest=4)


def test_migrating_what_is_up_to_date_or_not_there(place, tmp_path):
    begin_book(**place[0], key=0).close()
    assert migrate_book(place[0]["where"]) == []
    with pytest.raises(UnknownRun):
        migrate_book(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_the_settings_of_sqlite(tmp_path):
    with begin_book(tmp_path / "run", key=0) as book:

        def ask(what, decision=False):
            with book.ledger.database.write(decision=decision) as connection:
                return connection.exec_driver_sql(f"pragma {what}").scalar_one()

        assert ask("journal_mode") == "wal" and ask("foreign_keys") == 1 and ask("busy_timeout") == 30_000
        assert (ask("synchronous"), ask("synchronous", decision=True), ask("synchronous")) == (1, 2, 1)
        with pytest.raises(Exception, match="FOREIGN KEY"), book.ledger.database.write() as connection:
            connection.exec_driver_sql("insert into event (run_id, t, kind, facts) values (99, 0, 'x', '{}')")
    assert sqlite3.connect(tmp_path / "run" / "ledger.sqlite").execute("pragma integrity_check").fetchone() == ("ok",)


def test_a_book_is_read_while_it_is_written_and_cannot_be_written_by_its_reader(tmp_path):
    with begin_book(tmp_path / "run", key=0) as book:
        seen = read_book(tmp_path / "run")
        book.note("seen", by="Ada")
        assert [event.facts for event in seen.events("seen")] == [{"by": "Ada"}] and seen.name == "run"
        then = Remembered.of(seen)
        book.note("seen", by="Bob")
        assert (
            len(then.events("seen")) == 1
            and len(seen.events("seen")) == 2
            and then.events(after=then.kept[-1].id) == []
        )
        with pytest.raises(ReadOnlyFolder):
            note(seen.ledger, "seen", {})
        seen.close()


def test_reading_a_book_loads_nothing_that_simulates():
    code = (
        "import sys; from quincunx.lab import read_book, standing; from quincunx.lab.loop.standing import loop_standing; "
        "print([name for name in ('jax', 'equinox', 'numpyro') if name in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
