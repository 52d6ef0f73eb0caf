"""Policies: closed forms where adaptivity cannot help, sums over all histories where it does, gradients that agree, and sources in the plane."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.special import expit, xlogy
from scipy.stats import norm

import quincunx as qx
from quincunx.design import RandomDesigns, compare_policies, total_eig, train_policy
from quincunx.design.density import density_of
from quincunx.design.policy.objective import Campaign, TotalInformation
from quincunx.design.policy.rollout import roll_out
from quincunx.errors import DesignOutsideSpace, NameMismatch, NoDensity, ShapeMismatch, UsageError
from quincunx.learn import Scale, build

from .toys import answer, line, plane, plane_information

TIMES = qx.Space(t=(-2.0, 2.0))
LEVELS = qx.Space(d=(-3.0, 3.0))
ROUNDS = 3


def threshold_information(policy, rounds=ROUNDS):
    """I(theta; answers), summed over all histories of a policy, with theta on a grid."""
    theta = np.linspace(-7.0, 7.0, 2001)
    weight = norm.pdf(theta) * (theta[1] - theta[0])
    total = 0.0
    for answers in itertools.product([0.0, 1.0], repeat=rounds):
        history, p = [], np.ones_like(theta)
        for x in answers:
            design = policy(history)
            yes = expit((theta - design["d"]) / 0.5)
            p = p * (yes if x else 1.0 - yes)
            history.append((design, np.array([x], np.float32)))
        marginal = np.sum(weight * p)
        total += np.sum(weight * xlogy(p, p)) - xlogy(marginal, marginal)
    return total


@pytest.fixture(scope="module")
def lines():
    """Times at which a line is measured, adaptive and decided beforehand."""
    shape = {"rounds": ROUNDS, "steps": 320, "outer": 64, "inner": 128, "width": 16, "learning_rate": 0.02}
    return {name: train_policy(plane, TIMES, designs=name, key=1, **shape) for name in ("adaptive", "static")}


@pytest.fixture(scope="module")
def answers():
    """Levels at which a yes or no is asked for, adaptive and decided beforehand."""
    shape = {"rounds": ROUNDS, "steps": 640, "outer": 128, "inner": 256, "width": 32, "learning_rate": 0.01}
    return {name: train_policy(answer, LEVELS, designs=name, key=1, **shape) for name in ("adaptive", "static")}


def test_on_a_line_both_are_the_closed_form_and_adaptivity_does_not_help(lines):
    both = compare_policies(plane, lines, n=1024, inner=4096, key=2)
    static = lines["static"]
    times = [static.propose([({"t": 0.0}, [0.0])] * k)["t"] for k in range(ROUNDS)]
    truth = plane_information(times)
    best = max(plane_information(times) for times in itertools.product([-2.0, 2.0], repeat=ROUNDS))
    eig = both["static"]
    assert eig.lower - 4 * eig.lower_se <= truth <= eig.upper + 4 * eig.upper_se
    assert both["adaptive"].lower - 4 * both["adaptive"].lower_se <= best
    # what was learned teaches more than nineteen in twenty that are drawn at random
    assert truth >= np.quantile(
        [plane_information(row) for row in np.random.default_rng(0).uniform(-2, 2, (500, 3))], 0.95
    )
    gap, error = both.difference("adaptive", "static")
    assert gap - 4 * error <= best - truth


def test_on_a_threshold_adaptivity_helps_and_the_bounds_hold_the_sum_over_histories(answers):
    exact = {name: threshold_information(policy) for name, policy in answers.items()}
    both = compare_policies(answer, answers, n=2048, inner=2048, key=3)
    for name, value in exact.items():
        eig = both[name]
        assert eig.lower - 4 * eig.lower_se <= value <= eig.upper + 4 * eig.upper_se, name
    # the best fixed levels of a fine grid, by the same sum
    grid = np.linspace(-2.0, 2.0, 17)
    fixed = max(
        threshold_information(lambda history, levels=levels: {"d": levels[len(history)]})
        for levels in itertools.combinations_with_replacement(grid, ROUNDS)
    )
    assert exact["adaptive"] > fixed
    # after a yes the next level is higher than after a no
    first = answers["adaptive"].propose()
    after = [answers["adaptive"].propose([(first, [x])])["d"] for x in (0.0, 1.0)]
    assert after[0] < first["d"] < after[1]


def test_gradients_through_outcomes_and_by_scores_agree():
    """Both are unbiased for the same bound: their means over many keys differ by no more than their errors."""
    scale = Scale.fit(np.random.default_rng(0).normal(size=(100, 1)))
    network = build({"kind": "fixed_designs", "design_size": 1, "rounds": 2}, key=jax.random.key(4))
    theta = line.prior.sample_flat(64, key=5)

    def gradients(stop):
        campaign = Campaign(line, scale, jnp.zeros(1), jnp.ones(1), ("d",), 2, 1, 64, stop, np.inf)
        loss = TotalInformation(campaign, density_of(line))
        slope = jax.grad(
            lambda table, k: loss(eqx.tree_at(lambda one: one.table, network, table), {"theta": theta}, key=k)
        )
        return np.asarray(jax.lax.map(lambda k: slope(network.table, k), jax.random.split(jax.random.key(6), 400)))

    through, score = (gradients(stop)[:, :, 0] for stop in (False, True))
    error = np.sqrt((through.var(axis=0, ddof=1) + score.var(axis=0, ddof=1)) / len(through))
    assert np.all(np.abs(through.mean(axis=0) - score.mean(axis=0)) <= 4 * error)
    # a steeper line teaches more
    assert np.all(through.mean(axis=0) < 0)


def test_random_positions_in_the_plane_teach_what_was_published():
    """L = 1e4: 7.78 and 9.16, each from about 250 campaigns (2103.02438)."""
    problem = qx.gallery.load("location_finding")
    normal = qx.Prior(east=dist.Normal(0.0, 1.0), north=dist.Normal(0.0, 1.0))
    eig = total_eig(problem.simulator, RandomDesigns(normal), rounds=30, n=256, inner=10_000, key=0)
    assert abs(eig.lower - 7.78) <= 3 * np.hypot(eig.lower_se, 0.12)
    assert abs(eig.upper - 9.16) <= 3 * np.hypot(eig.upper_se, 0.14 * (9.16 / 8.49))


def test_a_policy_as_a_function_is_the_same_policy(answers):
    policy = answers["adaptive"]
    compiled = roll_out(answer, policy, rounds=ROUNDS, events=1, n=16, key=jax.random.key(1))
    called = roll_out(
        answer, lambda history: policy.propose(history), rounds=ROUNDS, events=1, n=16, key=jax.random.key(1)
    )
    np.testing.assert_array_equal(compiled.x, called.x)
    np.testing.assert_allclose(compiled.designs["d"], called.designs["d"], rtol=1e-5, atol=1e-5)


def test_it_saves_and_proposes_the_same(answers, tmp_path):
    policy = answers["adaptive"]
    again = qx.load(policy.save(tmp_path / "policy.qx"))
    history = [({"d": 0.5}, [1.0]), ({"d": -1.0}, [0.0])]
    assert again.propose(history) == policy.propose(history) and repr(again) == repr(policy)
    both = compare_policies(answer, answers, n=16, inner=16, key=0)
    kept = qx.load(both.save(tmp_path / "both.qx"))
    assert repr(kept) == repr(both) and kept.difference("adaptive", "static") == both.difference("adaptive", "static")


def test_what_does_not_fit_is_refused_by_name(answers):
    policy = answers["adaptive"]
    with pytest.raises(NameMismatch, match="unknown"):
        policy.propose([({"dose": 0.5}, [1.0])])
    with pytest.raises(DesignOutsideSpace):
        policy.propose([({"d": 5.0}, [1.0])])
    with pytest.raises(ShapeMismatch, match="events"):
        policy.propose([({"d": 0.5}, [[1.0], [0.0]])])
    with pytest.raises(ShapeMismatch):
        policy.propose([({"d": 0.5}, [[[1.0]]])])
    with pytest.raises(UsageError, match="rounds"):
        policy.propose([({"d": 0.5}, [1.0])] * ROUNDS)
    with pytest.raises(UsageError, match="pass rounds="):
        total_eig(answer, RandomDesigns(LEVELS), key=0)
    with pytest.raises(UsageError, match="intervals only"):
        train_policy(answer, qx.Space(d=[0.0, 1.0]), rounds=2, key=0)
    with pytest.raises(UsageError, match="RandomDesigns"):
        train_policy(answer, LEVELS, rounds=2, designs="random", key=0)
    with pytest.raises(UsageError, match="rounds of"):
        qx.Designer(LEVELS, rounds=ROUNDS + 1, policy=policy)
    with pytest.raises(UsageError, match="rounds of"):
        qx.Designer(qx.Space(d=(-1.0, 1.0)), rounds=ROUNDS, policy=policy)
    blind = qx.wrap(answer.function, answer.prior)
    with pytest.raises(NoDensity, match="jump"):
        train_policy(blind, LEVELS, rounds=2, key=0)
    with pytest.raises(NoDensity, match="critic"):
        total_eig(blind, RandomDesigns(LEVELS), rounds=2, key=0)


@pytest.mark.parametrize("method", ["infonce", "nwj"])
def test_without_a_likelihood_a_critic_gives_a_lower_bound(method):
    blind = qx.wrap(plane.function, plane.prior)
    shape = {"rounds": ROUNDS, "steps": 2560, "outer": 128, "inner": 256, "width": 32, "learning_rate": 5e-3}
    policy = train_policy(blind, TIMES, designs="static", method=method, key=1, **shape)
    truth = plane_information([policy.propose([({"t": 0.0}, [0.0])] * k)["t"] for k in range(ROUNDS)])
    eig = total_eig(blind, policy, n=1024, inner=4096, key=2)
    assert eig.upper is None and 0 < eig.lower <= truth + 4 * eig.lower_se
    assert truth >= np.quantile(
        [plane_information(row) for row in np.random.default_rng(0).uniform(-2, 2, (500, 3))], 0.95
    )


def test_a_loop_measures_what_its_policy_proposes(answers, tmp_path):
    policy = answers["adaptive"]
    designer = qx.Designer(LEVELS, rounds=ROUNDS, policy=policy, n=64, inner=64)
    study = qx.Study(answer, qx.mock(answer, {"a": 0.8}), designer=designer, key=1)
    with qx.lab.begin_book(tmp_path / "book", key=study.key) as book:
        loop = qx.Loop(study, book)
        loop.run()
        history = []
        for experiment in loop.history.experiments:
            assert experiment.design == pytest.approx(policy.propose(history))
            history.append((experiment.design, experiment.x))
        assert len(history) == ROUNDS
    rehearsal = qx.rehearse(study, 2, key=2)
    assert np.all(rehearsal.designs["d"][:, 0] == pytest.approx(policy.propose()["d"]))
