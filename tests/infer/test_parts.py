"""The parts that answers are made of: ensembles, intervals, tables, the misspecification statistic."""

import jax
import numpy as np
import pytest
from scipy.stats import binom

import quincunx as qx
from quincunx.infer import Familiarity, Summary, hdi
from quincunx.infer.ensemble import deal


def test_a_deal_gives_every_member_its_share_and_never_a_draw_twice():
    n, members = 3000, 5
    seeds, member, turn = deal(n, members, batch=2, key=jax.random.key(0))
    assert seeds.shape[:2] == (2, members) and seeds.shape[2] < n / 2
    for row in range(2):
        used = list(zip(member[row], turn[row], strict=True))
        assert len(set(used)) == n
        counts = np.bincount(member[row], minlength=members)
        low, high = binom.ppf([1e-5, 1 - 1e-5], n, 1 / members)
        assert np.all((counts >= low) & (counts <= high))
    assert not np.array_equal(seeds[0], seeds[1])


def test_interval_of_a_skewed_sample_is_the_shortest():
    draws = np.random.default_rng(0).exponential(1.0, (20_000, 1))
    low, high = hdi(draws, 0.9)[:, 0]
    assert low < 0.01 and high == pytest.approx(-np.log(0.1), abs=0.1)
    with pytest.raises(qx.errors.UsageError, match="mass"):
        hdi(draws, 1.5)


def test_summary_reads_by_name():
    table = Summary.of(np.random.default_rng(0).normal(size=(500, 2)), columns=("a", "v[0]"), units={"v": "m"})
    assert set(table.to_dict()) == {"a", "v[0]"}
    assert "<table>" in table._repr_html_() and " m " in repr(table)
    with pytest.raises(qx.errors.NameMismatch):
        table["c"]


@pytest.mark.parametrize("kind", ["normal", "cauchy", "counts", "wide"])
def test_false_alarms_are_as_rare_as_stated(kind):
    rng = np.random.default_rng(0)
    make = {
        "normal": lambda n: rng.normal(size=(n, 5)) @ rng.normal(size=(5, 5)),
        "cauchy": lambda n: rng.standard_cauchy((n, 3)),
        "counts": lambda n: rng.poisson(0.3, (n, 4)).astype(float),
        "wide": lambda n: rng.normal(size=(n, 300)),
    }[kind]
    if kind == "normal":
        mixing = rng.normal(size=(5, 5))
        make = lambda n: rng.normal(size=(n, 5)) @ mixing
    known = Familiarity.of(make(4000), tuple(map(str, range(make(1).shape[1]))))
    p = known.p_values(make(3000))
    # two looks at two thousand reference rows: the level is at most 1 % up to the reference's own sampling error
    assert (p < 0.01).mean() < 0.01 + 4 * np.sqrt(0.01 / 3000 + 0.005 / 2000)


def test_a_broken_correlation_is_noticed_though_every_column_is_ordinary():
    rng = np.random.default_rng(0)
    first = rng.normal(size=(4000, 1))
    known = Familiarity.of(np.hstack([first, first + 0.05 * rng.normal(size=(4000, 1))]), ("x", "y"))
    assert known.test(np.array([[1.0, 1.0]])).is_suspect is False
    assert known.test(np.array([[1.0, -1.0]])).is_suspect is True


def test_one_strange_event_of_many_is_noticed():
    known = Familiarity.of(np.random.default_rng(0).normal(size=(4000, 1)), ("x",))
    events = np.random.default_rng(1).normal(size=(20, 1))
    assert not known.test(events).is_suspect
    events[7] = 30.0
    assert known.test(events).beyond == ("x",)


def test_familiarity_survives_a_file(tmp_path):
    known = Familiarity.of(np.random.default_rng(0).normal(size=(500, 2)), ("x", "y"))
    back = qx.load(qx.save(known, tmp_path / "known.qx"))
    rows = np.array([[0.3, 5.0]])
    assert back.test(rows) == known.test(rows)
