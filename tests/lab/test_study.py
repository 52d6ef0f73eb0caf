"""Studies, how they are carried out into a book, and the answer that is kept there."""

import json
import threading

import numpy as np
import pytest
from jaxtyping import TypeCheckError
from typer.testing import CliRunner

import quincunx as qx
from quincunx.cli.main import app
from quincunx.cli.source import read_source
from quincunx.errors import (
    DataFileError,
    QuincunxError,
    ShapeMismatch,
    TooManyFailures,
    UnknownMethod,
    UsageError,
)
from quincunx.lab import answer, begin_book, carry_out, keep_to_budget, open_book, standing
from quincunx.learn import FitSettings

from .conftest import PRIOR, SIMULATOR, done

METHOD = qx.NPE(density="gaussian", members=1, settings=FitSettings(epochs=3))


def fragile(theta, *, rng):
    if theta["mu"] > 1.0:
        raise ArithmeticError("diverged")
    return rng.normal(theta["mu"], 1.0, 2)


FRAGILE = qx.wrap(fragile, PRIOR, name="fragile")


def study(**other):
    return qx.Study(SIMULATOR, **({"experiment": [0.5, 0.1], "method": METHOD, "budget": 300} | other))


def test_an_experiment_is_numbers_a_file_or_asked(tmp_path):
    (tmp_path / "x.json").write_text("[0.5, 0.1]")
    asked = []
    for given in (
        [0.5, 0.1],
        tmp_path / "x.json",
        str(tmp_path / "x.json"),
        lambda: asked.append(1) or [0.5, 0.1],
        lambda: tmp_path / "x.json",
    ):
        np.testing.assert_allclose(study(experiment=given).observation(), [0.5, 0.1], rtol=1e-6)
    assert asked == [1]
    assert study(experiment=None).observation() is None


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"simulator": len}, UsageError),
        ({"budget": 0}, UsageError),
        ({"budget": 2.5}, UsageError),
        ({"key": True}, UsageError),
        ({"method": "magic"}, UnknownMethod),
    ],
)
def test_an_impossible_study_is_refused_when_it_is_made(wrong, error):
    # Where shapes and types are checked, as they are in tests, that check may be the first to refuse.
    with pytest.raises((error, TypeCheckError)):
        qx.Study(**({"simulator": SIMULATOR} | wrong))


def test_a_wrong_observation_is_refused_when_it_is_read(tmp_path):
    with pytest.raises(ShapeMismatch):
        study(experiment=[1.0, 2.0, 3.0]).observation()
    with pytest.raises(DataFileError):
        study(experiment=tmp_path / "nothing.csv").observation()


def test_a_study_does_not_change():
    with pytest.raises(AttributeError):
        study().budget = 3


def test_carried_out_is_what_simulate_gives_and_goes_on_behind_it(tmp_path):
    with begin_book(tmp_path / "run", key=3) as book:
        first = carry_out(book, SIMULATOR, 90, batch=20)
        assert (first.done, first.saved, first.stopped) == (90, 0, None)
        again = carry_out(book, SIMULATOR, 130, batch=20)
        assert (again.done, again.saved) == (40, 90)
        whole = qx.simulate(SIMULATOR, 130, key=3, workers=0)
        np.testing.assert_array_equal(book.simulations().x, whole.x)
        assert carry_out(book, SIMULATOR).done == 0


def test_it_works_in_a_thread_which_hears_no_signals(tmp_path):
    with begin_book(tmp_path / "run", key=3) as book:
        came = []
        thread = threading.Thread(target=lambda: came.append(carry_out(book, SIMULATOR, 20, batch=10, workers=0)))
        thread.start()
        thread.join()
        assert came[0].done == 20


def test_too_many_failures_stop_a_run_by_name_and_it_can_go_on(tmp_path):
    with begin_book(tmp_path / "run", key=0) as book:
        with pytest.raises(TooManyFailures) as refused:
            carry_out(book, FRAGILE, 400, batch=50, workers=0)
        said = str(refused.value)
        assert "mostly at high mu" in said and '{"mu": 1.' in said and "diverged" in said and "raised" in said
        done = standing(book).done
        assert 0 < done < 400, "it is stopped on the way, and what is done is kept"
        came = carry_out(book, FRAGILE, 400, batch=50, workers=0, failure_budget=0.5)
        assert came.saved == done and came.done == 400 - done
        now = standing(book)
        assert now.failed_by_status == {"raised": now.failed} and now.missing == 0
        keep_to_budget(book, 0.5)
        with pytest.raises(TooManyFailures):
            keep_to_budget(book, 0.05)
        with pytest.raises(UsageError):
            keep_to_budget(book, 5.0)


def test_standing_tells_who_works_and_what_was_mended(tmp_path):
    with begin_book(tmp_path / "run", key=0) as book:
        carry_out(book, SIMULATOR, 60, batch=20, workers=0)
        book.plan(100, size=20, simulator=SIMULATOR)
        book.lease("Ada", 60.0)
        (book.shard_folder / book.batches()[0]["shard"]).unlink()
    with pytest.warns(qx.errors.RecoveryWarning), open_book(tmp_path / "run") as book:
        now = standing(book)
    assert now.batches == {"todo": 2, "leased": 1, "done": 2, "failed": 0}
    assert [(holder.owner, holder.batches, holder.gone) for holder in now.holders] == [("Ada", 1, False)]
    assert 50 < now.holders[0].seconds_left <= 60
    assert [event.kind for event in now.mended] == ["lost"]
    assert now.missing == 60 and now.to_dict()["missing"] == 60 and now.rate > 0


def test_standing_is_told_alike_by_either_database(book):
    held = book.lease("Ada", 60.0)
    other = book.lease("Bob", 60.0)
    book.complete(other, done(book, other, failed=(3,)))
    now = standing(book)
    assert (now.planned, now.done, now.failed, now.failed_by_status) == (100, 10, 1, {"not finite": 1})
    assert [holder.owner for holder in now.holders] == [held.owner] and 0 < now.holders[0].seconds_left <= 60
    assert now.batches == {"todo": 8, "leased": 1, "done": 1, "failed": 0}


def test_the_answer_is_learned_once_and_has_its_shards_as_parents(tmp_path):
    with begin_book(tmp_path / "run", key=0) as book:
        carry_out(book, SIMULATOR, 300, batch=100, workers=0)
        posterior, sha256 = answer(book, study())
        losses = book.metrics()
        assert losses["train"]["step"].tolist() == losses["validation"]["step"].tolist() == [1, 2, 3]
        assert answer(book, study())[1] == sha256 and len(book.metrics("train")["train"]["step"]) == 3
        assert "300 simulations in 3 shards" in str(book.provenance(sha256))
        np.testing.assert_array_equal(posterior.sample(5, key=0)["mu"], answer(book, study())[0].sample(5, key=0)["mu"])
        # another observation, and more simulations, are other answers
        other = answer(book, study(experiment=[1.0, 1.0]))[1]
        carry_out(book, SIMULATOR, 400, batch=100, workers=0)
        more = answer(book, study())[1]
        assert len({sha256, other, more}) == 3
        with pytest.raises(UsageError, match="without an experiment"):
            answer(book, study(experiment=None))


def test_an_answer_without_simulations_is_refused(tmp_path):
    with begin_book(tmp_path / "run", key=0) as book, pytest.raises(QuincunxError, match="no simulations"):
        answer(book, study())


def test_what_it_prints_says_what_it_is():
    assert repr(qx.Study(SIMULATOR, lambda: 0, budget=5)).endswith(
        "npe, 5 simulations, key 0, an experiment to be asked"
    )
    assert repr(study(experiment="x.csv")).endswith("the observation in x.csv")


def test_a_run_on_a_server_is_told_by_its_url_and_its_name(server, tmp_path):
    def verb(*arguments):
        ended = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert ended.exit_code == 0, ended.output
        return json.loads(ended.stdout)

    named = ("--run", "on-a-server", "--json")
    made = verb(
        "simulate", "two_moons", "-n", 60, "--batch", 3, "--out", server, "--folder", tmp_path / "files", *named
    )
    assert made["simulations"] == 60
    assert verb("status", server, *named)["batches"]["done"] == 20
    assert verb("export", server, "npz", tmp_path / "sims.npz", *named)["format"] == "npz"
    assert len(qx.Simulations.load(tmp_path / "sims.npz")) == 60


def test_batches_that_failed_as_a_whole_are_tried_again_by_resume(tmp_path):
    (tmp_path / "study.py").write_text(
        "import numpyro.distributions as dist\nimport quincunx as qx\n"
        "@qx.simulator(qx.Prior(a=dist.Normal(0.0, 1.0)))\n"
        "def simulator(theta, *, rng):\n    return rng.normal(theta['a'], 1.0, 2)\n"
    )
    run = tmp_path / "run"
    begun = CliRunner().invoke(
        app, ["simulate", str(tmp_path / "study.py"), "-n", "40", "--out", str(run), "--workers", "0"]
    )
    assert begun.exit_code == 0, begun.output
    with open_book(run) as book:
        book.plan(60, size=20, simulator=read_source(str(tmp_path / "study.py")).simulator)
        book.fail(book.lease("Ada", 60.0), "no licence")
    ended = CliRunner().invoke(app, ["resume", str(run), "--workers", "0", "--json"])
    assert ended.exit_code == 0 and json.loads(ended.stdout)["simulations"] == 60
    assert "1 batch" in ended.stderr
