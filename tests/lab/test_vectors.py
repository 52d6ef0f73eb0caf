"""The loop where a setting is a vector: a straight line with slopes that are chosen, whose posterior is known in closed form."""

import numpy as np
import pytest

import quincunx as qx
from quincunx import gallery, lab
from quincunx.design import Space
from quincunx.errors import DesignOutsideSpace
from quincunx.lab.loop import Loop, mock, rehearse
from quincunx.lab.loop.page import loop_page
from quincunx.studio.run_pictures import run_sheets

# no two numbers of a design are alike, so that an order that is lost shows
SPACE = Space(slopes=(-3.0, 3.0, 2), constraints=[lambda design: design["slopes"][0] + design["slopes"][1] < 4.0])


@pytest.fixture(scope="module")
def problem():
    return gallery.load("linear_gaussian_design", slopes=(1.0, 1.0), prior_sd=(2.0, 1.0))


def study(problem, experiment=None):
    first = {"slopes": (3.0, -1.0)}
    designer = qx.Designer(SPACE, rounds=2, n=32, inner=32, first=first, cost=lambda d: 1.0 + abs(d["slopes"][0]))
    return qx.Study(problem.simulator, experiment, designer=designer)


def conjugate(loop):
    x = np.asarray(loop.history.settings()["slopes"])
    precision = np.diag([1 / 4.0, 1.0]) + x.T @ x / 0.25
    covariance = np.linalg.inv(precision)
    return covariance @ x.T @ loop.history.events()[:, 0] / 0.25, covariance


def test_a_person_and_a_mock_with_vectors_end_at_the_conjugate_posterior(problem, tmp_path):
    loop = Loop(study(problem), lab.begin_book(tmp_path / "run", key=3))
    assert loop.ask().design == {"slopes": (3.0, -1.0)}
    with pytest.raises(DesignOutsideSpace, match="constraint"):
        loop.approve({"slopes": (3.0, 2.0)}, by="Ada")
    assert loop.approve({"slopes": [1.0, 2.5]}, by="Ada") == {"slopes": (1.0, 2.5)}
    loop.tell([0.7], by="Ada")
    # what is in the book is what was said, after any end of a process
    loop.book.close()
    with lab.open_book(tmp_path / "run") as book:
        loop = Loop(study(problem, mock(problem.simulator, {"theta": np.array([0.5, -0.5])})), book)
        assert loop.timeline()[0]["design"] == {"slopes": (1.0, 2.5)} and loop.timeline()[0]["overridden"]
        known = loop.run()
        mean, covariance = conjugate(loop)
        assert loop.history.settings()["slopes"].shape == (2, 2) and loop.spent > 2.0
        # of 16,384 draws at least 2,000 count
        assert np.all(np.abs(known.draws.mean(axis=0) - mean) < 4 * np.sqrt(np.diag(covariance) / 2000))
        page = loop_page(loop, "quincunx")
        assert "slopes = [1, 2.5]" in page and page.count("<svg") == 2 and "what was spent" in page
        assert "slopes = [1, 2.5]" in loop._repr_html_() and "[1, 2.5]" in loop.history._repr_html_()
        drawn = {sheet.name: sheet.draw() for sheet in run_sheets(book)}
        assert {"posterior", "widths"} <= set(drawn) and all(drawn.values())


def test_rehearsed_intervals_hold_the_truth_at_vectors(problem):
    designs = [{"slopes": (3.0, -1.0)}, {"slopes": (0.5, 2.0)}]
    found = rehearse(study(problem), 16, designs=designs, key=5)
    assert found.covers() and found.designs["slopes"].shape == (16, 2, 2)
    x = np.array([design["slopes"] for design in designs])
    exact = np.sqrt(np.diag(np.linalg.inv(np.diag([1 / 4.0, 1.0]) + x.T @ x / 0.25)))
    # a Gaussian's width does not depend on the data; 2,000 draws know it to 1 / sqrt(4000) each
    assert np.all(np.abs(found.sd[:, -1].mean(axis=0) / exact - 1) < 4 / np.sqrt(2 * 2000))
