"""One report: Holm's correction, the table, the file, the pictures."""

import json

import numpy as np
import pytest

import quincunx as qx
from quincunx.check import Report, TestResult, holm, hpd_coverage, predictive_check, sbc, tarp
from quincunx.errors import UsageError


@pytest.fixture(scope="module")
def report(make_trials):
    trials = make_trials("overconfident", 0)
    results = (*sbc(trials, key=0), hpd_coverage(trials, key=1), tarp(trials, key=2))
    rep = np.random.default_rng(0).normal(size=(50, 3))
    results += (predictive_check(rep, np.zeros(3)), TestResult("odd", "Undecided?", float("nan"), 0.0, 3))
    return Report(results, 310, 10, 99, (0, 7), ("10 of 310 simulations failed",))


def test_holm_against_its_definition():
    p = np.array([0.001, 0.04, 0.02, np.nan, 0.5])
    np.testing.assert_allclose(holm(p), [0.004, 0.08, 0.06, np.nan, 0.5])
    assert holm([]).shape == (0,)


def test_holm_bounds_false_alarms(nominal):
    p = np.random.default_rng(0).uniform(size=(2000, 7))
    alarms = sum(holm(row).min() < 0.05 for row in p)
    assert nominal(int(alarms), 2000, 1 - (1 - 0.05 / 7) ** 7)


def test_verdict_and_order(report):
    assert report.status == "fail"
    rows = report.rows()
    assert [r["status"] for r in rows] == sorted((r["status"] for r in rows), key=["fail", "warn", "pass"].index)
    assert report.statuses["odd"] == "warn"
    assert report.statuses["posterior predictive"] == "pass"
    with pytest.raises(UsageError, match="expected one of"):
        report["nothing"]


def test_texts(report):
    text = repr(report)
    assert text.startswith("Report: fail (8 tests, 310 simulations, 10 of them failed, 99 draws each)")
    assert "! 10 of 310 simulations failed" in text
    assert "<table>" in report._repr_html_()
    said = json.dumps(report.to_dict(), allow_nan=False)
    assert json.loads(said)["tests"][0]["status"] == "fail"


def test_saves_with_its_pictures(report, tmp_path):
    again = qx.load(report.save(tmp_path / "report.qx"))
    assert again.to_dict() == report.to_dict()
    for kind in ("ranks", "coverage", "predictive"):
        assert again.plot(kind).axes
    with pytest.raises(UsageError, match="expected 'ranks'"):
        again.plot("nothing")
    with pytest.raises(UsageError, match="without the test"):
        Report(()).plot("ranks")
