"""A policy from the shell: learned beside what it must beat, followed by a loop that goes on without being told again, and what is refused."""

import dataclasses
import json

import numpy as np
import numpyro.distributions as dist
import pytest

import quincunx as qx
from quincunx.cli.policies import ADAPTIVE, RANDOM, STATIC
from quincunx.lab import open_book
from quincunx.values import save

from .conftest import quincunx

LINE = """
import types
import jax
import numpyro.distributions as dist
import quincunx as qx

def log_likelihood(theta, x, design):
    return jax.scipy.stats.norm.logpdf(x, design["d"] * theta["a"], 0.5)

@qx.simulator(qx.Prior(a=dist.Normal(0.0, 1.0)), tractable=types.SimpleNamespace(log_likelihood=log_likelihood))
def line(theta, *, key, design):
    return design["d"] * theta["a"] + 0.5 * jax.random.normal(key)
"""
SPACE = ("--settings", "d=0:1")
SMALL = ("--budget", 6400, "--set", "outer=32", "--set", "inner=32", "--set", "width=8", "--set", "learning_rate=0.02")
JUDGED = ("--campaigns", 256, "--draws", 512)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A folder with the simulator and a policy of two experiments, and what was said of it."""
    folder = tmp_path_factory.mktemp("policy")
    (folder / "line.py").write_text(LINE)
    policy = ("policy", folder / "line.py", "--rounds", 2, *SPACE, *SMALL, *JUDGED, "--seed", 1)
    done = quincunx(*policy, "--out", folder / "policy.qx", "--json")
    assert done.exit_code == 0, done.err
    return folder, done.json


def test_it_reaches_the_steepest_line_and_is_shown_beside_what_it_must_beat(learned):
    folder, said = learned
    policy = qx.load(folder / "policy.qx")
    assert (policy.simulator, policy.parameters, policy.rounds) == ("line", ("a",), 2) == (
        said["simulator"], ("a",), said["rounds"],
    )  # fmt: skip
    first = policy.propose()
    ds = [first["d"], policy.propose([(first, 0.3)])["d"]]
    truth, best = (0.5 * np.log1p(4 * np.sum(np.square(d))) for d in (ds, [1.0, 1.0]))
    eigs = said["total_information"]
    assert list(eigs) == [ADAPTIVE, STATIC, RANDOM]
    adaptive = eigs[ADAPTIVE]
    # on a straight line what was measured says nothing about where to measure next
    assert adaptive["lower"] - 4 * adaptive["lower_se"] <= truth <= adaptive["upper"] + 4 * adaptive["upper_se"]
    gap, error = said["gain"][STATIC]
    assert abs(gap) <= best - truth + 4 * error
    drawn = np.random.default_rng(0).uniform(size=(100_000, 2))
    chance = np.mean(0.5 * np.log1p(4 * np.sum(drawn**2, axis=1)))
    gap, error = said["gain"][RANDOM]
    assert abs(gap - (truth - chance)) <= 4 * error and gap > 4 * error


def test_a_loop_follows_it_and_goes_on_without_being_told_again(learned, tmp_path):
    folder, _ = learned
    policy, run, data = qx.load(folder / "policy.qx"), tmp_path / "run", tmp_path / "x.json"
    source = folder / "line.py"
    first = quincunx("loop", source, *SPACE, "--run", run, "--policy", folder / "policy.qx", "--json")
    assert first.exit_code == 0, first.err
    assert first.json["rounds"] == 2, "as many experiments as the policy plans"
    assert first.json["proposal"]["design"] == policy.propose()
    quincunx("loop", source, "--run", run, "--approve")
    data.write_text("[0.25]")
    then = quincunx("loop", source, "--run", run, "--tell", data, "--json").json
    assert then["proposal"]["design"] == policy.propose([(policy.propose(), 0.25)])
    assert "by the policy" in then["proposal"]["criterion"]
    with open_book(run, read_only=True) as book:
        assert [one.facts["rounds"] for one in book.artefacts("policy")] == [2]
    dataclasses.replace(policy, rounds=3).save(tmp_path / "other.qx")
    done = quincunx("loop", source, "--run", run, "--policy", tmp_path / "other.qx")
    assert done.exit_code == 2 and "was begun with policy" in done.err
    assert quincunx("loop", source, "--run", run, "--policy", folder / "policy.qx").exit_code == 0


def test_a_rehearsal_follows_it(learned):
    folder, _ = learned
    done = quincunx("loop", folder / "line.py", *SPACE, "--policy", folder / "policy.qx", "--rehearse", 2, "--json")
    sd = np.asarray(done.json["rehearsal"]["sd"])
    # two readings of a line of slope one: sqrt(1 / (1 + 8)), whatever was read, from draws of 1.6 % error
    assert done.exit_code in (0, 3) and abs(sd[-1, 0] - 1 / 3) < 0.03, done.err


@pytest.mark.parametrize(
    ("change", "more", "says"),
    [
        (lambda text: text.replace("def line", "def other"), (), "trained for the simulator 'line'"),
        (lambda text: text.replace("Prior(a=", "Prior(b=").replace('theta["a"]', 'theta["b"]'), (), "'line' of b"),
        (lambda text: text.replace("jax.random.normal(key)", "jax.random.normal(key, (2,))"), (), "reads outcomes"),
        (lambda text: text, ("--rounds", 3), "at least as many rounds"),
        (lambda text: text, ("--events", 2), "the same space and events"),
        (lambda text: text, ("--settings", "d=0:2"), "the same space and events"),
    ],
    ids=["another simulator", "other parameters", "another outcome", "its horizon", "other events", "another space"],
)  # fmt: skip
def test_a_policy_of_something_else_is_refused_before_anything_is_written(learned, tmp_path, change, more, says):
    folder, _ = learned
    (tmp_path / "line.py").write_text(change(LINE))
    space = () if "--settings" in more else SPACE
    run = tmp_path / "run"
    done = quincunx(
        "loop", tmp_path / "line.py", *space, *more, "--run", run, "--policy", folder / "policy.qx", "--json"
    )
    assert done.exit_code == 2 and says in json.loads(done.out)["error"]["message"], done.err
    assert not run.exists()


def test_a_file_that_is_no_policy_is_refused(learned, tmp_path):
    folder, _ = learned
    (tmp_path / "text.qx").write_text("not a file of ours")
    save(qx.Prior(a=dist.Normal(0.0, 1.0)), tmp_path / "prior.qx")
    for name, code, says in (("text", 1, "CorruptFile"), ("prior", 2, "got a Prior"), ("none", 1, "DataFileError")):
        asked = ("loop", folder / "line.py", *SPACE, "--run", tmp_path / "run", "--policy", tmp_path / f"{name}.qx")
        done = quincunx(*asked)
        assert done.exit_code == code and says in done.err, done.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        (("--settings", "d=[0,1]"), 2, "intervals only"),
        (("--settings", "d=0:1", "--set", "depth=3"), 2, "no setting depth"),
        (("--settings", "d=0:1", "--set", "width=wide"), 2, "cannot be trained"),
        (("--settings", "d=0:1", "--budget", 10), 2, "at least one step"),
        ((), 2, "declares no designer"),
    ],
)
def test_training_that_makes_no_sense_is_refused_and_nothing_is_written(learned, tmp_path, more, code, says):
    folder, _ = learned
    done = quincunx("policy", folder / "line.py", *more, "--out", tmp_path / "p.qx")
    assert done.exit_code == code and says in done.err, done.err
    assert list(tmp_path.iterdir()) == []
    done = quincunx("policy", folder / "line.py", *SPACE, "--out", folder / "policy.qx")
    assert done.exit_code == 2 and "will not be overwritten" in done.err
