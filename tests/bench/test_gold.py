"""The benchmark of gold measures what it says."""

import numpy as np
import pytest

from quincunx import gallery
from quincunx.bench.floor import score_floor
from quincunx.bench.gold import METHODS, PROBLEMS, GoldMeasurement, budgets_of, measure_gold, ordering, truth_of
from quincunx.bench.gold_page import write_gold_page
from quincunx.errors import Interrupted, UnknownProblem, UsageError
from quincunx.infer import method_named
from quincunx.learn import FitSettings


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_exact_ratio_has_mean_one_under_its_reference(problem):
    name, choices, at = PROBLEMS[problem]
    x, points, exact = truth_of(gallery.load(name, **choices), at)
    assert exact.shape == (len(x), len(next(iter(points.values()))))
    ratio = np.exp(exact)
    # heavy tails make the standard error of a mean itself uncertain: only ratios with enough effective events are judged
    effective = ratio.sum(axis=0) ** 2 / (ratio**2).sum(axis=0)
    error = ratio.std(axis=0) / np.sqrt(len(x))
    judged = effective > 400
    assert judged.sum() >= 3
    assert (np.abs(ratio.mean(axis=0) - 1) < 4 * error)[judged].all()


def test_an_untrained_ratio_has_the_error_of_saying_nothing():
    _, _, exact = truth_of(gallery.load("galton_generalised"), PROBLEMS["galton"][2])
    method = method_named(
        "carl", members=1, network={"width": 8, "depth": 1}, settings=FitSettings(epochs=1, learning_rate=0.0)
    )
    found = measure_gold("galton", method, 400)
    assert found.error == pytest.approx(np.mean(exact**2), rel=1e-4)
    assert found.trimmed < found.error and found.cpu_seconds > 0


def test_bad_requests_are_refused_before_anything_runs():
    with pytest.raises(UnknownProblem, match="galton"):
        measure_gold("pinball", "alice", 1000)
    with pytest.raises(UsageError, match="alices"):
        measure_gold("galton", "npe", 1000)
    with pytest.raises(UsageError, match="at least 100"):
        budgets_of("10")
    with pytest.raises(UsageError, match="numbers with commas"):
        budgets_of("many")


def test_the_page_holds_every_number_and_loads_nothing(tmp_path):
    found = [
        GoldMeasurement("galton", m, b, 0, 1e-3 * (i + 1) / b, 1e-3, 2.0)
        for i, m in enumerate(METHODS)
        for b in (1000, 10000)
    ]
    page = write_gold_page(tmp_path / "deep" / "gold.html", found, "quincunx bench gold <&>").read_text()
    assert (
        page.count("<tr>") == len(found) + 1
        and "&lt;&amp;&gt;" in page
        and "http" not in page.split("<svg")[0].replace("http-equiv", "")
    )
    assert [name for name, _ in ordering(found, 1000)] == list(METHODS)


def test_the_floor_of_a_score_is_nothing_where_it_is_sufficient_and_does_not_depend_on_the_number_of_events_elsewhere():
    assert score_floor("galton", events=20_000) < 1e-12
    one, other = (score_floor("amplitude", events=n) for n in (20_000, 100_000))
    assert other > 0.005 and abs(one / other - 1) < 0.05
    with pytest.raises(UsageError, match="one"):
        score_floor("interference")


def test_a_training_cut_short_is_no_measurement():
    def interrupt(report):
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="stopped before it was done"):
        measure_gold("gaussian", "alice", 400, progress=interrupt)
