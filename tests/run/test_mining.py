"""Gold in simulations: it changes no outcome, is the same however rows are run, and is refused where it says nothing."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quincunx.errors import NameMismatch, NoGold, NonFiniteGold, OutsideReference, UsageError
from quincunx.model import Gold, Reference, wrap
from quincunx.run import ShardedSimulations, read_shard, simulate, write_shard
from quincunx.run.batch import Batch, Resident, run_batch
from quincunx.run.mining import check_gold_values
from quincunx.run.order import gold_in, gold_text
from quincunx.run.parcel import parcel_of, simulator_in

from ..engine_toys import BELL
from ..gold_toys import GOLDEN, PAIR, PRIOR, SCALED, decorated, trace

POINT = Reference.at(mu=0.5)
MIXTURE = Reference.mixture([{"mu": -1.0}, {"mu": 0.0}, {"mu": 3.0}])
ORDERS = [True, POINT, MIXTURE, Reference.each()]
names = [str(order) for order in ORDERS]
KINDS = [True, MIXTURE, Reference.each()]
kinds = [str(order) for order in KINDS]


def same(one, other):
    assert set(one) == set(other)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def z_of(sims):
    return np.asarray(sims.latents["z"])


def log_prob(sims, mu):
    return -((z_of(sims) - mu) ** 2) / 8.0


@pytest.mark.parametrize("order", KINDS, ids=kinds)
def test_rows_at_their_own_theta_are_those_of_plain_simulation(order):
    mined, plain = simulate(GOLDEN, 200, key=3, gold=order), simulate(GOLDEN, 200, key=3)
    same(mined.theta, plain.theta)
    own = np.asarray(mined.gold.get("label", np.ones(200))) == 1
    assert own.all() == (order is True)
    np.testing.assert_array_equal(mined.x[own], plain.x[own])
    if order is not True:
        assert 60 < own.sum() < 140 and len(mined.at_theta()) == own.sum()
        assert not (mined.x[~own] == plain.x[~own]).any()


@pytest.mark.parametrize("order", KINDS, ids=kinds)
def test_neither_chunks_nor_where_one_begins_change_anything(order):
    whole = simulate(GOLDEN, 256, key=3, gold=order, latents=True)
    for other in (
        simulate(GOLDEN, 256, key=3, gold=order, latents=True, memory=30_000),
        simulate(GOLDEN, 100, key=3, gold=order, latents=True).concatenate(
            simulate(GOLDEN, 156, key=3, gold=order, latents=True, start=100, memory=30_000)
        ),
    ):
        same(whole.gold, other.gold)
        same(whole.latents, other.latents)
        np.testing.assert_array_equal(whole.x, other.x)


def test_a_reference_point_is_where_the_rows_labelled_0_come_from():
    sims = simulate(GOLDEN, 4000, key=4, gold=Reference.at(mu=3.0), latents=True)
    own = sims.gold["label"] == 1
    theta = np.asarray(sims.theta["mu"])
    np.testing.assert_allclose(
        sims.gold["joint_log_ratio"], log_prob(sims, theta) - log_prob(sims, 3.0), rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(sims.gold["joint_score"][:, 0], (z_of(sims) - theta) / 4.0, rtol=1e-4, atol=1e-5)
    for drawn, at in ((own, theta[own]), (~own, 3.0)):
        error = z_of(sims)[drawn] - at
        assert abs(error.mean()) < 3 * 2.0 / np.sqrt(drawn.sum())


def test_a_mixture_is_the_mean_of_its_points():
    sims = simulate(GOLDEN, 500, key=5, gold=MIXTURE, latents=True)
    parts = np.stack([log_prob(sims, mu) for mu in (-1.0, 0.0, 3.0)])
    expected = log_prob(sims, np.asarray(sims.theta["mu"])) - np.log(np.exp(parts).mean(axis=0))
    np.testing.assert_allclose(sims.gold["joint_log_ratio"], expected, rtol=1e-3, atol=1e-4)


def test_each_row_may_have_a_reference_of_its_own():
    sims = simulate(GOLDEN, 2000, key=6, gold=Reference.each(), latents=True)
    other, theta = np.asarray(sims.gold["reference"])[:, 0], np.asarray(sims.theta["mu"])
    # Float32 draws may coincide.
    assert len(np.unique(other)) > 1900 and abs(other.std() - 2.0) < 0.15
    assert abs(np.corrcoef(other, theta)[0, 1]) < 3 / np.sqrt(2000)
    expected = log_prob(sims, theta) - log_prob(sims, other)
    np.testing.assert_allclose(sims.gold["joint_log_ratio"], expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(sims.gold["reference_joint_score"][:, 0], (z_of(sims) - other) / 4.0, atol=1e-5)


def test_sets_of_events_have_a_score_for_each():
    sims = simulate(GOLDEN, 50, key=7, events=3, gold=True, latents=True)
    assert sims.x.shape == (50, 3, 1) and sims.gold["joint_score"].shape == (50, 3, 1)
    np.testing.assert_array_equal(sims.x, simulate(GOLDEN, 50, key=7, events=3).x)
    np.testing.assert_allclose(
        sims.gold["joint_score"][..., 0], (z_of(sims) - np.asarray(sims.theta["mu"])[:, None]) / 4.0, atol=1e-5
    )
    with pytest.raises(UsageError, match="leave events out"):
        simulate(GOLDEN, 50, key=7, events=3, gold=POINT)


def test_latents_alone_and_of_a_function_that_adds_up():
    alone = simulate(GOLDEN, 20, key=8, latents=True)
    assert alone.gold is None and set(alone.latents) == {"z"}
    summed = simulate(SCALED, 500, key=8, gold=Reference.spread(PAIR, 4, key=0), latents=True)
    assert summed.gold["joint_score"].shape == (500, 2) and sorted(summed.latents) == ["theta.mu", "theta.width"]


def test_a_score_that_is_not_a_number_is_refused_and_the_row_named():
    theta = {"mu": np.array([1.0, 2.5])}
    gold = {"joint_score": np.array([[0.0], [np.nan]])}
    with pytest.raises(NonFiniteGold, match=r"joint score .* in 1 of 2 rows, first in row 1 at mu = 2\.5"):
        check_gold_values(gold, theta, np.ones(2, bool), "bell")
    check_gold_values(gold, theta, np.array([True, False]), "bell")
    broken = Gold(trace, lambda theta, x, z: jnp.sqrt(z - 3.0) * theta["mu"])
    with pytest.raises(NonFiniteGold):
        simulate(wrap(decorated.function, PRIOR, gold=broken), 200, key=0, gold=True)


def test_an_infinite_ratio_is_refused_and_a_ratio_of_zero_is_not():
    theta = {"mu": np.array([1.0, 2.5])}
    check_gold_values({"joint_log_ratio": np.array([-np.inf, 0.0])}, theta, np.ones(2, bool), "bell")
    with pytest.raises(OutsideReference, match="choose a reference under which everything can happen"):
        check_gold_values({"joint_log_ratio": np.array([0.0, np.inf])}, theta, np.ones(2, bool), "bell")


def test_what_cannot_be_mined_is_refused():
    with pytest.raises(NoGold, match="says nothing of its inside"):
        simulate(BELL, 10, key=0, gold=True)
    with pytest.raises(NoGold):
        simulate(BELL, 10, key=0, latents=True)
    with pytest.raises(NameMismatch, match="rename 'nu' to 'mu'|missing \\['mu'\\]"):
        simulate(GOLDEN, 10, key=0, gold=Reference.at(nu=0.5))


def test_shards_keep_gold_and_latents(tmp_path):
    sims = simulate(GOLDEN, 40, key=9, gold=Reference.each(), latents=True)
    shard = write_shard(sims, tmp_path, key=jax.random.key(9))
    read = read_shard(tmp_path / shard.name)
    same(read.gold, sims.gold)
    same(read.latents, sims.latents)


@pytest.mark.parametrize("order", ORDERS, ids=names)
def test_an_order_is_the_same_after_its_text(order):
    text = gold_text(order)
    again = gold_in(json.loads(json.dumps(text)))
    assert gold_text(again) == text and (order is True) == (again is True)
    if order is MIXTURE:
        np.testing.assert_array_equal(again.points["mu"], order.points["mu"])


@pytest.mark.parametrize(
    ("simulator", "order"),
    [*((GOLDEN, order) for order in KINDS), (decorated, POINT)],
    ids=[*kinds, "a decorated simulator"],
)
def test_a_batch_is_that_part_of_the_whole(simulator, order, tmp_path):
    whole = simulate(simulator, 60, key=5, round=2, gold=order, latents=True)
    for sent in (parcel_of(simulator), Resident(simulator)):
        batch = Batch(sent, "5", 2, 30, 20, str(tmp_path), gold=gold_text(order), latents=True)
        part = ShardedSimulations.of(batch.folder, [run_batch(batch).shard]).load()
        np.testing.assert_array_equal(part.x, whole.x[30:50])
        same(part.theta, {name: value[30:50] for name, value in whole.theta.items()})
        same(part.gold, {name: value[30:50] for name, value in whole.gold.items()})
        same(part.latents, {name: value[30:50] for name, value in whole.latents.items()})


def test_gold_that_cannot_be_found_stays_behind():
    local = wrap(
        decorated.function, PRIOR, name="local", gold=Gold(trace, lambda theta, x, z: -((z - theta["mu"]) ** 2))
    )
    # Its function is found as the simulator it was decorated to, whose own gold must not stand in for it.
    assert simulator_in(parcel_of(local)).gold is None
