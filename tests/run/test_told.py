"""Gold that plain simulators and programs tell: kept however they are run, and worth what mined gold is worth."""

import json
import sys
import textwrap
import warnings

import numpy as np
import pytest

import quincunx as qx
from quincunx.errors import NoGold, NonFiniteGold, OutsideReference, UsageError
from quincunx.infer import method_named
from quincunx.learn import FitSettings
from quincunx.model import Reference, Told, wrap
from quincunx.run import ShardedSimulations, pair_told, simulate
from quincunx.run.batch import Batch, Resident, run_batch, run_batch_alone
from quincunx.run.parcel import parcel_of

from ..gold_toys import AT, FOREIGN, POINTS, PRIOR, SILENT, TOGETHER, TOLD, foreign

EACH = 3000
"""Simulations at each of the declared points."""


@pytest.fixture(scope="module")
def at_points():
    return simulate(FOREIGN, theta={"mu": np.repeat(POINTS, EACH)}, gold=True, key=11, workers=0)


def same(one, other):
    np.testing.assert_array_equal(one.x["x"], other.x["x"])
    for name in one.gold:
        np.testing.assert_array_equal(one.gold[name], other.gold[name])


def test_it_is_kept_with_its_largest_log_probability_at_zero():
    sims = simulate(FOREIGN, 50, key=3, gold=True, workers=0)
    assert {name: value.shape for name, value in sims.gold.items()} == {"joint_score": (50, 1), "log_probs": (50, 3)}
    assert (sims.gold["log_probs"].max(axis=1) == 0).all()
    plain = simulate(FOREIGN, 50, key=3, workers=0)
    assert plain.gold is None
    np.testing.assert_array_equal(sims.x["x"], plain.x["x"])
    # The score tells z, from which the log-probabilities follow.
    z = sims.theta["mu"] + 4.0 * sims.gold["joint_score"][:, 0]
    terms = -((z[:, None] - np.array(POINTS)) ** 2) / 8.0
    np.testing.assert_allclose(sims.gold["log_probs"], terms - terms.max(axis=1, keepdims=True), atol=1e-4)


def test_it_is_the_same_in_processes_batches_and_shards(tmp_path):
    whole = simulate(FOREIGN, 60, key=5, round=2, gold=True, workers=0)
    together = simulate(TOGETHER, 60, key=5, round=2, gold=True, workers=0)
    same(whole, together)
    for simulator, sent in ((FOREIGN, parcel_of(FOREIGN)), (TOGETHER, Resident(TOGETHER))):
        batch = Batch(sent, "5", 2, 30, 20, str(tmp_path / simulator.name), gold="true")
        same(ShardedSimulations.of(batch.folder, [run_batch(batch).shard]).load(), whole[30:50])
    alone = Batch(parcel_of(FOREIGN), "5", 2, 30, 3, str(tmp_path / "alone"), gold="true")
    same(ShardedSimulations.of(alone.folder, [run_batch_alone(alone).shard]).load(), whole[30:33])


def test_in_a_pool(monkeypatch):
    whole = simulate(FOREIGN, 300, key=5, gold=True, workers=0)
    monkeypatch.setattr("quincunx.run.host._WORTH_A_POOL_SECONDS", 0.0)
    same(simulate(FOREIGN, 300, key=5, gold=True, workers=2), whole)


def test_sets_of_events_and_failed_rows():
    sets = simulate(FOREIGN, 20, key=5, events=4, gold=True, workers=0)
    assert sets.gold["log_probs"].shape == (20, 4, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        some = simulate(SILENT, 60, key=5, gold=True, workers=0)
    assert 0 < some.failed.sum() < 60
    assert (np.isnan(some.gold["joint_score"][:, 0]) == some.failed).all()


def test_what_is_told_is_looked_at():
    def broken(theta, *, rng):
        row = foreign(theta, rng=rng)
        return row | {"slope": np.nan if theta["mu"] > 1.0 else row["slope"]}

    with pytest.raises(NonFiniteGold, match=r"joint score .* first in row \d+ at mu = "):
        simulate(wrap(broken, PRIOR, gold=TOLD), 50, key=0, gold=True, workers=0)

    def impossible(theta, *, rng):
        return foreign(theta, rng=rng) | {"terms": [0.0, -np.inf, 0.0]}

    with pytest.raises(NonFiniteGold, match="log probs"):
        simulate(wrap(impossible, PRIOR, gold=TOLD), 50, key=0, gold=True, workers=0)

    def sometimes(theta, *, rng):
        row = foreign(theta, rng=rng)
        return row | {"terms": row["terms"][: 2 if theta["mu"] > 1.0 else 3]}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sims = simulate(wrap(sometimes, PRIOR, gold=TOLD), 50, key=0, gold=True, workers=0)
    assert (sims.failed == (sims.theta["mu"] > 1.0)).all() and "expected (3,)" in next(iter(sims.messages.values()))
    for order in ({"gold": Reference.at(mu=0.0)}, {"latents": True}):
        with pytest.raises(UsageError, match="tells its gold itself"):
            simulate(FOREIGN, 10, key=0, workers=0, **order)


def test_scores_average_to_zero_and_ratios_to_one(at_points):
    own = np.repeat(np.arange(3), EACH)
    for k in range(3):
        score = at_points.gold["joint_score"][own == k, 0]
        assert abs(score.mean()) < 3 * score.std() / np.sqrt(EACH)
        for j in range(3):
            ratio = np.exp(at_points.gold["log_probs"][own == k, j] - at_points.gold["log_probs"][own == k, k])
            assert abs(ratio.mean() - 1.0) <= 3 * ratio.std() / np.sqrt(EACH)


def test_rows_are_paired_with_what_they_are_compared_to(at_points):
    table = pair_told(at_points, FOREIGN, reference=1, key=0)
    own, label = np.repeat(np.arange(3), EACH), table.gold["label"]
    assert (label == (own != 1)).all() and set(np.unique(table.theta["mu"])) == {-1.0, 2.0}
    np.testing.assert_array_equal(table.theta["mu"][own != 1], at_points.theta["mu"][own != 1])
    share = (table.theta["mu"][own == 1] == 2.0).mean()
    assert abs(share - 0.5) < 3 * 0.5 / np.sqrt(EACH)
    z = at_points.theta["mu"] + 4.0 * at_points.gold["joint_score"][:, 0]
    expected = (-((z - table.theta["mu"]) ** 2) + z**2) / 8.0
    np.testing.assert_allclose(table.gold["joint_log_ratio"], expected, atol=1e-3)
    assert not table.gold["joint_score"][own == 1].any()


def test_what_cannot_be_paired(at_points):
    with pytest.raises(NoGold, match="gold=True"):
        pair_told(simulate(FOREIGN, theta={"mu": np.zeros(5)}, key=0, workers=0), FOREIGN, key=0)
    with pytest.raises(NoGold, match="tells no log-probabilities"):
        pair_told(at_points, wrap(foreign, PRIOR, gold=Told(score="slope")), key=0)
    with pytest.raises(UsageError, match="reference=3"):
        pair_told(at_points, FOREIGN, reference=3, key=0)
    with pytest.raises(UsageError, match="other parameters than the declared points, first row 0"):
        pair_told(simulate(FOREIGN, 5, key=0, gold=True, workers=0), FOREIGN, key=0)
    with pytest.raises(UsageError, match="0 at other points"):
        pair_told(at_points[:EACH], FOREIGN, reference=0, key=0)
    gold = dict(at_points.gold) | {"log_probs": np.where(np.arange(3) == 1, -np.inf, at_points.gold["log_probs"])}
    outside = qx.Simulations.of(at_points.theta, at_points.x, gold=gold)
    with pytest.raises(OutsideReference):
        pair_told(outside, FOREIGN, reference=1, key=0)


def test_alice_learns_the_exact_ratio_from_the_paired_table(at_points):
    table = pair_told(at_points, FOREIGN, reference=1, key=0)
    settings = FitSettings(epochs=15, min_steps=1, learning_rate=3e-3, batch_size=256)
    method = method_named("alice", network={"width": 32, "depth": 1}, settings=settings)
    learned = method.fit(table, PRIOR, key=1)
    grid = np.linspace(-3.0, 4.0, 15)
    for mu in (-1.0, 2.0):
        exact = (-((grid - mu) ** 2) + grid**2) / 10.0
        got = learned.log_likelihood({"mu": np.full(15, mu)}, {"x": grid[:, None]})
        np.testing.assert_allclose(got, exact, atol=0.15)


SCRIPT = textwrap.dedent(
    """
    import json, random, sys
    mu, seed = float(sys.argv[1]), int(sys.argv[2])
    draw = random.Random(seed)
    z = draw.gauss(mu, 2.0)
    x = draw.gauss(z, 1.0)
    terms = [-((z - m) ** 2) / 8 for m in (-1.0, 0.0, 2.0)]
    print(json.dumps({"x": [x], "slope": [(z - mu) / 4], "terms": terms}))
    """
)


def test_a_script_tells_its_gold(tmp_path):
    (tmp_path / "walk.py").write_text(SCRIPT)
    outputs = {name: qx.model.Output("stdout", "json", name) for name in ("x", "slope", "terms")}
    options = {
        "argv": [sys.executable, "-S", "{code.walk}", "{mu}", "{seed}"],
        "code": [str(tmp_path / "walk.py")],
        "outputs": outputs,
    }
    simulator = qx.command(PRIOR, **options, gold=TOLD)
    assert simulator.observables == ("x[0]",)
    sims = simulate(simulator, theta={"mu": np.repeat(POINTS[:2], 10)}, gold=True, key=1, workers=0)
    table = pair_told(sims, simulator, reference=1, key=0)
    z = sims.theta["mu"] + 4.0 * sims.gold["joint_score"][:, 0]
    np.testing.assert_allclose(table.gold["joint_log_ratio"], (-((z + 1.0) ** 2) + z**2) / 8.0, atol=1e-5)
    batch = Batch(parcel_of(simulator), "5", 0, 0, 3, str(tmp_path), gold="true")
    part = ShardedSimulations.of(batch.folder, [run_batch(batch).shard]).load()
    same(part, simulate(simulator, 3, key=5, gold=True, workers=0))
    with pytest.raises(qx.errors.NameMismatch, match=r"\['steep'\]"):
        qx.command(PRIOR, **options, gold=Told("steep", "terms", AT))
    assert json.loads(parcel_of(simulator))["gold"]["told"]["log_probs"] == "terms"
