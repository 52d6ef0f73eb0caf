"""The loop remembers by its book alone, decides each step once, and refuses what it cannot use without losing anything."""

import errno
import os
import threading

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.stats import kstest

import quincunx as qx
from quincunx import gallery, lab
from quincunx.design import Space
from quincunx.errors import (
    AlreadyTold,
    DesignOutsideSpace,
    DiskFull,
    ExperimentFailed,
    LoopStopped,
    NameMismatch,
    NoDensity,
    NonFiniteObservation,
    NotApproved,
    ShapeMismatch,
    SimulatorChanged,
    UnexplainedData,
    UnsupportedPrior,
    UsageError,
)
from quincunx.lab.loop import History, Loop, mock, rehearse
from quincunx.lab.loop.believing import believe
from quincunx.lab.loop.history import Experiment
from quincunx.lab.loop.record import APPROVED, FAILED, TOLD


class Line:
    """y = d a + 0.5 e, a ~ N(0, 1): everything is known in closed form."""

    @staticmethod
    def log_likelihood(theta, x, design):
        return jax.scipy.stats.norm.logpdf(x[0], design["d"] * theta["a"], 0.5)


@qx.simulator(qx.Prior(a=dist.Normal(0.0, 1.0)), tractable=Line)
def line(theta, *, key, design):
    """One event."""
    return jnp.array([design["d"] * theta["a"] + 0.5 * jax.random.normal(key)])


SMALL = {"n": 128, "inner": 64}
SPACE = Space(d=[0.5, 1.0, 2.0])
TRUTH = {"a": 0.7}


def study(experiment=None, simulator=line, **options):
    return qx.Study(
        simulator, experiment, designer=qx.Designer(SPACE, **{"rounds": 3, "events": 2, **SMALL, **options})
    )


@pytest.fixture
def place(tmp_path):
    return tmp_path / "run"


def begun(place, *arguments, **options):
    return Loop(study(*arguments, **options), lab.begin_book(place, key=3))


def conjugate(history):
    """Mean and variance of a given all events."""
    d, y = history.settings()["d"], history.events()[:, 0]
    variance = 1 / (1 + np.sum(d**2) / 0.25)
    return variance * np.sum(d * y) / 0.25, variance


def test_a_loop_runs_to_its_rule_and_its_posterior_is_the_conjugate_one(place):
    loop = begun(place, mock(line, TRUTH))
    known = loop.run()
    assert loop.state == "stopped" and "3 experiments" in loop.record.stopped
    assert [row["design"] for row in loop.timeline()] == [{"d": 2.0}] * 3
    mean, variance = conjugate(loop.history)
    # 16,384 draws of which at least 2,000 count
    assert abs(known.draws.mean() - mean) < 4 * np.sqrt(variance / 2000)
    assert abs(known.draws.var() / variance - 1) < 4 * np.sqrt(2 / 2000)
    assert known.summary()["a"]["sd"] == pytest.approx(known.sd()["a"], rel=1e-3)
    with pytest.raises(LoopStopped, match="begin a new run"):
        loop.ask()
    assert all(row["p_value"] > 1e-3 and row["decided_by"] == "quincunx" for row in loop.timeline())


def test_a_loop_that_ends_after_every_step_goes_on_to_the_same_bits(place, tmp_path):
    whole = begun(place, mock(line, TRUTH)).run()
    lab.begin_book(tmp_path / "broken", key=3).close()
    while True:
        with lab.open_book(tmp_path / "broken") as book:
            loop = Loop(study(mock(line, TRUTH)), book)
            state = loop.state
            if state == "stopped":
                known = loop.knowledge()
                break
            if state == "propose":
                loop.ask()
            elif state == "approve":
                loop.approve(by="quincunx")
            elif state == "measure":
                experiment, awaited = loop.study.experiment, loop.record.awaited.facts
                x = experiment(awaited["design"], events=awaited["events"], key=loop._key(3, awaited["step"]))
                loop.tell(x, by="quincunx", update=False)
            else:
                loop.update()
    np.testing.assert_array_equal(known.draws, whole.draws)


def test_a_person_in_the_loop(place):
    loop = begun(place)
    loop.run()
    assert loop.state == "measure", "nobody can be called: the loop waits"
    assert loop.record.at(APPROVED, 0).facts["overridden"] is False
    for wrong, error in (
        ([[1.0, 2.0]], ShapeMismatch),
        ("many", ShapeMismatch),
        ([[np.nan], [1.0]], NonFiniteObservation),
    ):
        with pytest.raises(error):
            loop.tell(wrong, by="Ada")
    assert loop.record.told == [] and loop.state == "measure"
    loop.tell([[0.3], [0.1]], by="Ada")
    with pytest.raises(NotApproved, match="approve the proposal"):
        loop.tell([[0.3], [0.1]], by="Ada")
    with pytest.raises(AlreadyTold, match="experiment 1"):
        loop.tell([[0.3], [0.1]], by="Ada", design={"d": 2.0})
    loop.tell([[0.3]], by="Ada", design={"d": 1.0})
    assert loop.timeline()[1]["decided_by"] == "nobody", "never proposed: kept, and said to be so"
    with pytest.raises(DesignOutsideSpace, match="d = 7"):
        loop.approve({"d": 7.0}, by="Bob")
    with pytest.raises(NameMismatch):
        loop.approve({"e": 7.0}, by="Bob")
    assert loop.approve({"d": 0.5}, by="Bob") == {"d": 0.5}
    assert loop.approve({"d": 1.0}, by="Cy") == {"d": 0.5}, "whoever is first decides"
    with pytest.raises(AlreadyTold, match="experiment 1 at d = 2"):
        loop.tell([[0.3], [0.1]], by="Bob")  # a file told again by mistake, at the settings that are now awaited
    loop.tell([[0.2], [0.1]], by="Bob", design={"d": 0.5 + 1e-9})
    assert loop.timeline()[2]["overridden"] is True and loop.timeline()[2]["decided_by"] == "Bob"
    assert loop.state == "stopped"


def test_on_a_full_disk_nothing_is_half_told_and_the_loop_goes_on_when_there_is_room(place, monkeypatch):
    loop = begun(place)
    loop.run()
    full = [True]

    def no_room(stream, real=os.fsync):
        if full[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(stream)

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(DiskFull, match="No space left"):
        loop.tell([[0.3], [0.1]], by="Ada")
    assert loop.state == "measure" and loop.record.told == [] and loop.book.artefacts("data") == []
    full[0] = False
    loop.tell([[0.3], [0.1]], by="Ada")
    assert len(loop.record.told) == 1 and len(loop.book.artefacts("data")) == 1 and loop.state == "propose"


def test_of_two_who_approve_at_once_one_decides(place):
    loop = begun(place)
    loop.ask()
    found, start = [], threading.Barrier(2)

    def click(d):
        start.wait()
        found.append(Loop(study(), loop.book).approve({"d": d}, by=str(d)))

    threads = [threading.Thread(target=click, args=(d,)) for d in (0.5, 1.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found[0] == found[1] and len(loop.record.of(APPROVED)) == 1


def test_an_experiment_that_fails_or_hangs_is_written_down_and_tried_again(place):
    calls = []

    def shaky(design, *, events):
        calls.append(design)
        if len(calls) == 1:
            raise OSError("the magnet quenched")
        if len(calls) == 2:
            threading.Event().wait(20)
        return np.full((events, 1), 0.2)

    loop = begun(place, shaky, patience=0.5, rounds=1)
    with pytest.raises(ExperimentFailed, match="quenched"):
        loop.run()
    with pytest.raises(ExperimentFailed, match="not done after 0.5 s"):
        loop.run()
    assert [event.facts["step"] for event in loop.record.of(FAILED)] == [0, 0] and loop.state == "measure"
    loop.run()
    assert len(loop.record.of(TOLD)) == 1 and loop.state == "stopped"


def test_data_that_no_parameter_explains_stop_the_loop_until_someone_has_looked(place):
    loop = begun(place)
    loop.run()
    loop.tell([[-9.0], [9.0]], by="Ada")
    assert loop.state == "needs attention" and loop.timeline()[0]["p_value"] < 1e-3
    with pytest.raises(LoopStopped, match="not explained"):
        loop.ask()
    assert loop.run().told == 1, "and does not go on by itself"
    loop.overrule(by="Ada", why="a cosmic ray")
    assert loop.state == "propose"
    with pytest.raises(UsageError, match="failed check"):
        loop.overrule(by="Ada", why="again")


def test_an_experiment_that_is_set_aside_no_longer_counts(place):
    loop = begun(place)
    loop.run()
    without = loop.knowledge().draws
    loop.tell([[-9.0], [9.0]], by="Ada")
    known = loop.set_aside(1, by="Ada", why="the cable was loose")
    assert loop.state == "propose" and len(loop.history) == 0 and loop.spent == 1.0
    # two times 16,384 draws
    assert abs(known.draws.std() / without.std() - 1) < 4 * 16_384**-0.5 and loop.timeline()[0]["counts"] is False
    with pytest.raises(UsageError, match="count"):
        loop.set_aside(1, by="Ada", why="again")
    loop.run()
    loop.tell([[0.3], [0.1]], by="Ada")
    mean, variance = conjugate(loop.history)
    assert abs(loop.knowledge().draws.mean() - mean) < 4 * np.sqrt(variance / 2000)


def test_impossible_data_leave_a_loop_that_can_go_on_without_them(place):
    toy = gallery.load("weinberg_toy")
    designer = qx.Designer(Space(energy=[40.0, 47.0]), events=2, rounds=3, **SMALL)
    loop = Loop(qx.Study(toy.simulator, designer=designer), lab.begin_book(place, key=0))
    loop.run()
    with pytest.raises(UnexplainedData, match="impossible"):
        loop.tell([[2.0], [0.1]], by="Ada")
    assert loop.state == "needs attention" and len(loop.record.told) == 1
    assert loop.set_aside(1, by="Ada", why="not a cosine").told == 0 and loop.state == "propose"


def test_the_same_outcome_of_a_coin_may_come_twice(place):
    problem = gallery.load("threshold")
    designer = qx.Designer(Space(level=[-1.0, 0.0, 1.0]), rounds=2, **SMALL)
    loop = Loop(qx.Study(problem.simulator, designer=designer), lab.begin_book(place, key=0))
    one = np.ones_like(np.asarray(problem.observation(1), float))
    for _ in range(2):
        loop.run()
        loop.tell(one, by="Ada")
    assert loop.state == "stopped" and len(loop.record.told) == 2


class Other(Line):
    """The same line, believed to be measured better."""

    @staticmethod
    def log_likelihood(theta, x, design):
        return jax.scipy.stats.norm.logpdf(x[0], design["d"] * theta["a"], 0.25)


class Held:
    """A likelihood that holds its number."""

    def __init__(self, noise):
        self.noise = noise

    def log_likelihood(self, theta, x, design):
        return jax.scipy.stats.norm.logpdf(x[0], design["d"] * theta["a"], self.noise)


@pytest.mark.parametrize(
    ("before", "after"), [(Line, Other), (Held(0.5), Held(0.25))], ids=["other code", "another number"]
)
def test_a_likelihood_that_has_changed_is_refused_on_which_all_that_is_known_rests(place, before, after):
    def simulated(tractable):
        return qx.wrap(line.function, line.prior, name="line", tractable=tractable)

    with lab.begin_book(place, key=0) as book:
        for _ in range(2):
            Loop(study(simulator=simulated(before)), book)
        with pytest.raises(SimulatorChanged, match="log_likelihood has changed"):
            Loop(study(simulator=simulated(after)), book)
    # simulations are what they are, whatever is known of their likelihood
    assert lab.book.fingerprint(simulated(before)) == lab.book.fingerprint(simulated(after))


def test_rules_of_stopping(place, tmp_path):
    narrow = begun(place, mock(line, TRUTH), target_sd={"a": 0.5})
    narrow.run()
    assert "narrow" in narrow.record.stopped and len(narrow.record.told) == 1
    dear = begun(tmp_path / "dear", mock(line, TRUTH), cost=lambda design: 1.0 + design["d"], budget=5.0)
    dear.run()
    assert "budget of 5" in dear.record.stopped and dear.spent == 6.0
    idle = begun(tmp_path / "idle", mock(line, TRUTH), first={"d": 0.5}, least=100.0)
    idle.run()
    assert "promised less" in idle.record.stopped and len(idle.record.told) == 2, "the first design was not chosen"
    dark = qx.Study(line, mock(line, TRUTH), designer=qx.Designer(Space(d=[0.0]), rounds=3, **SMALL))
    blind = Loop(dark, lab.begin_book(tmp_path / "blind", key=0))
    blind.run()
    assert "teach anything" in blind.record.stopped and not blind.record.told, "and nothing is spent on it"
    ended = begun(tmp_path / "ended")
    ended.stop(by="Ada", why="the beam is gone")
    assert ended.state == "stopped" and ended.record.stopped == "the beam is gone"


def test_what_cannot_be_looped_over_is_refused_by_name(place, tmp_path):
    with pytest.raises(UsageError, match="designer"):
        Loop(qx.Study(line), lab.begin_book(place, key=0))
    dark = qx.wrap(lambda theta, *, rng, design: rng.normal(size=1), line.prior, name="dark")
    with pytest.raises(NoDensity):
        begun(tmp_path / "dark", None, dark)
    with pytest.raises(UnsupportedPrior, match="proper"):
        qx.Prior(a=dist.ImproperUniform(dist.constraints.real, (), ()))
    with pytest.raises(UsageError, match="per_cost"):
        qx.Designer(SPACE, per_cost=True)
    with pytest.raises(DesignOutsideSpace):
        qx.Designer(SPACE, first={"d": 3.0})
    with pytest.raises(UsageError, match="a design for each"):
        rehearse(study(), 4, designs=[{"d": 1.0}], key=0)


def test_posteriors_far_in_the_tail_of_the_prior_are_found_and_impossible_data_are_said_to_be():
    history = History((Experiment.of({"d": 2.0}, np.full((400, 1), 6.0), one=False),))
    draws = believe(line, history, key=jax.random.key(0), n=4000).draws
    mean, variance = conjugate(history)
    assert abs(draws.mean() - mean) < 4 * np.sqrt(variance / 2000)
    assert abs(draws.var() / variance - 1) < 4 * np.sqrt(2 / 2000)
    toy = gallery.load("weinberg_toy")
    impossible = History((Experiment.of({"energy": 47.0}, [2.0], one=True),))
    with pytest.raises(UnexplainedData, match="impossible"):
        believe(toy.simulator, impossible, key=jax.random.key(0), n=256)


def test_rehearsed_posteriors_cover_and_choices_beat_a_poor_fixed_design():
    chosen = rehearse(study(rounds=2), 60, key=0)
    assert chosen.covers() and len(chosen) == 60
    assert kstest(chosen.ranks[:, 0], "uniform").pvalue > 1e-3
    poor = rehearse(study(rounds=2), 60, designs=[{"d": 0.5}] * 2, key=0)
    mean, error = chosen.width()
    other, other_error = poor.width()
    # sd 1 / sqrt(1 + 4 * 4 / .25) and 1 / sqrt(1 + 4 * .25 / .25), whatever the data
    assert abs(mean[-1, 0] - 65**-0.5) < 4 * error[-1, 0]
    assert abs(other[-1, 0] - 5**-0.5) < 4 * other_error[-1, 0]
    assert chosen.cost[:, -1].tolist() == [2.0] * 60


def test_experiments_that_are_told_at_once_are_all_checked(place):
    loop = begun(place)
    loop.tell([[0.3]], by="Ada", design={"d": 1.0}, update=False)
    loop.tell([[0.2]], by="Ada", design={"d": 0.5}, update=False)
    assert loop.state == "update" and loop.record.unchecked == [1, 2]
    loop.update()
    assert loop.record.unchecked == [] and all(row["p_value"] is not None for row in loop.timeline())
