"""What shows a study's answer: its own draws, data simulated at some of them, in bounded number, kept once and found from the record."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

import quincunx as qx
from quincunx import values
from quincunx.lab import answer, begin_book, carry_out, read_book
from quincunx.lab.answer_standing import DRAWN, answer_standing
from quincunx.lab.drawn import FEWEST, ROWS
from quincunx.learn import FitSettings

from .conftest import SIMULATOR

METHOD = qx.NPE(density="gaussian", members=1, settings=FitSettings(epochs=3))
STUDY = qx.Study(SIMULATOR, [0.5, 0.1], method=METHOD, budget=300)


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    """A study's book, its answer, and its hash."""
    with begin_book(tmp_path_factory.mktemp("drawn") / "run", key=4) as book:
        carry_out(book, SIMULATOR, 300, workers=0)
        posterior, sha256 = answer(book, STUDY)
        yield book, posterior, sha256


def test_the_draws_are_the_answer_s_and_the_data_are_simulated_at_them(studied):
    book, posterior, sha256 = studied
    (kept,) = book.artefacts(DRAWN)
    shown = values.load(book.artefact_file(kept.sha256))
    np.testing.assert_array_equal(shown.draws, np.asarray(posterior.standard_run().theta)[:ROWS])
    np.testing.assert_array_equal(shown.bounds, posterior.prior.bounds)
    assert shown.columns == posterior.prior.columns and len(shown.replicates) == FEWEST
    np.testing.assert_array_equal(shown.observed, np.float32([0.5, 0.1]))
    # each datum is a draw of mu and noise of variance one: their sum over both numbers has variance 4 var(mu) + 2
    total, mu = shown.replicates.sum(axis=1), shown.draws[:, 0]
    assert abs(total.mean() - 2 * mu.mean()) < 4 * np.sqrt((4 * mu.var() + 2) / FEWEST)
    low, high = stats.chi2.ppf([1e-4, 1 - 1e-4], FEWEST - 1)
    assert low < (FEWEST - 1) * total.var(ddof=1) / (4 * mu.var() + 2) < high
    assert book.provenance(kept.sha256).parents[kept.sha256] == (sha256,)


def test_it_is_kept_once_and_read_without_anything_that_simulates(studied):
    book, posterior, sha256 = studied
    assert answer(book, STUDY)[1] == sha256 and len(book.artefacts(DRAWN)) == 1
    with read_book(book.folder) as reading:
        told = answer_standing(reading)
    assert told["posterior"] == sha256 and told["method"] == "npe" and told["simulations"] == 300
    assert told["summary"]["mu"]["mean"] == pytest.approx(posterior.summary().to_dict()["mu"]["mean"])


def test_an_answer_of_an_older_version_gets_its_draws_with_the_next_call(studied, tmp_path):
    with begin_book(tmp_path / "run", key=4) as book:
        carry_out(book, SIMULATOR, 300, workers=0)
        _, sha256 = answer(book, STUDY, pictures=False)
        assert book.artefacts(DRAWN) == [] and answer_standing(book) is None
        assert answer(book, STUDY)[1] == sha256 and answer_standing(book)["posterior"] == sha256


def test_a_set_of_events_is_compared_with_sets_of_as_many(studied):
    book, posterior, _ = studied
    seen = dataclasses.replace(posterior.observation, x=np.float32([[0.5, 0.1], [0.4, 0.2], [0.6, 0.3]]))
    several = type(posterior)(posterior.estimator, seen, posterior.misspecification)
    sha256 = book.artefact(b"an answer to several events", "posterior", facts={"simulations": 300})
    shown = values.load(
        book.artefact_file(qx.lab.keep_drawn(book, STUDY, several, sha256, run=posterior.run(50, key=1)))
    )
    # five summaries of each of two columns, the means first
    assert shown.observables[:2] == ("summary 1", "summary 2") and shown.replicates.shape == (FEWEST, 10)
    np.testing.assert_allclose(shown.observed[:2], [0.5, 0.2], rtol=1e-6)
    assert shown.draws.shape == (50, 1)


def test_where_no_simulation_works_the_draws_are_kept_alone(studied):
    book, posterior, _ = studied

    def broken(theta, *, rng):
        raise ArithmeticError("diverged")

    other = dataclasses.replace(STUDY, simulator=qx.wrap(broken, SIMULATOR.prior, name=SIMULATOR.name))
    sha256 = book.artefact(b"another answer", "posterior", facts={"simulations": 300})
    kept = qx.lab.keep_drawn(book, other, posterior, sha256)
    shown = values.load(book.artefact_file(kept))
    assert len(shown.draws) == ROWS and shown.replicates.shape == (0, 2)
    assert answer_standing(book)["replicates"] == 0
