"""Loops on a likelihood that was learned: from a simulator that states none, beside the exact one."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from typer.testing import CliRunner

import quincunx as qx
from quincunx.cli.main import app
from quincunx.errors import UsageError
from quincunx.lab import Experiment, History, emulator, learn_likelihood
from quincunx.lab.loop.believing import believe

SOURCE = """
import jax, jax.numpy as jnp
import numpyro.distributions as dist
import quincunx as qx
from quincunx.learn import FitSettings

@qx.simulator(qx.Prior(a=dist.Normal(0.0, 1.0)))
def line(theta, *, key, design):
    return jnp.array([design["d"] * theta["a"] + 0.5 * jax.random.normal(key)])

study = qx.Study(line, designer=qx.Designer(qx.Space(d=[0.0, 1.0, 2.0]), rounds=1, n=64, inner=64))
"""
QUICK = qx.NLE(density="gaussian", members=1)


@qx.simulator(qx.Prior(a=dist.Normal(0.0, 1.0)))
def line(theta, *, key, design):
    return jnp.array([design["d"] * theta["a"] + 0.5 * jax.random.normal(key)])


@pytest.fixture(scope="module")
def study():
    plain = qx.Study(line, designer=qx.Designer(qx.Space(d=(-1.0, 1.0)), rounds=1, n=64, inner=64), key=0)
    learned = learn_likelihood(plain, 4000, method=QUICK, key=0)
    return dataclasses.replace(plain, designer=dataclasses.replace(plain.designer, estimator=learned))


def test_intervals_hold_the_truth_as_often_as_they_say(study):
    two = dataclasses.replace(study, designer=dataclasses.replace(study.designer, rounds=2))
    found = qx.rehearse(two, 150, designs=[{"d": 1.0}, {"d": -0.5}], key=1)
    assert found.covers(), found
    # y = d a + 0.5 e: precision 1 + sum d^2 / 0.25; the second experiment is made use of
    width, error = found.width()
    assert width[2, 0] + 3 * error[2, 0] < 1 / np.sqrt(1 + 1 / 0.25)
    assert width[2, 0] > (1 - 3 / np.sqrt(2 * 150)) / np.sqrt(1 + 1.25 / 0.25)


def test_what_designs_are_expected_to_teach_is_a_lower_bound(study):
    at = np.array([0.0, 0.5, 1.0])
    curve = qx.design.eig_curve(line, {"d": at}, estimator=study.designer.estimator, n=256, key=1)
    truth = 0.5 * np.log(1 + at**2 / 0.25)
    assert np.all(curve.value <= truth + 3 * curve.se) and np.all(np.isnan(curve.upper))
    gap, error = curve.difference(2, 0)
    assert gap > 3 * error and curve.best() == {"d": 1.0}


def test_events_of_one_simulation_are_rows_of_their_own():
    """200 simulations of 20 events teach as 4000 rows do: the posterior of y = d a + 0.5 e from three events is the conjugate one."""
    plain = qx.Study(line, designer=qx.Designer(qx.Space(d=(-1.0, 1.0))), key=0)
    learned = learn_likelihood(plain, 200, events=20, method=QUICK, key=0)
    assert learned.reader.largest == 20
    history = History((Experiment.of({"d": 1.0}, [[0.3], [0.9], [0.6]], one=False),))
    belief = believe(line, history, key=jax.random.key(0), estimator=learned)
    precision = 1 + 3 / 0.25
    mean, sd = 4 * 1.8 / precision, 1 / np.sqrt(precision)
    # 200 parameters fix a line through the means to sd / sqrt(200) of each, and the noise to 1 / sqrt(2 * 4000)
    assert abs(belief.draws.mean() - mean) < 4 * sd / np.sqrt(200) + 4 * sd / np.sqrt(len(belief))
    assert abs(belief.draws.std() / sd - 1) < 4 * np.hypot(1 / np.sqrt(2 * 200), 1 / np.sqrt(2 * len(belief)))


def test_a_learned_likelihood_stands_for_its_simulator(study):
    """Its draws have the simulator's mean and variance, and what designs teach by them is what they teach."""
    made = emulator(line, study.designer.estimator)
    x = qx.simulate(made, theta={"a": np.full(4000, 0.7)}, design={"d": 0.5}, key=1).x[:, 0]
    # the learned mean and scale are as wrong as 4000 rows let them be
    assert abs(x.mean() - 0.35) < 4 * np.hypot(0.5 / np.sqrt(4000), 0.5 * np.sqrt(4 / 4000))
    assert abs(x.std() / 0.5 - 1) < 4 * np.hypot(1, 1) / np.sqrt(2 * 4000) + 4 * np.sqrt(4 / 4000) / 2
    at = {"d": np.array([0.0, 1.0])}
    curve = qx.design.eig_curve(made, at, estimator=study.designer.estimator, n=256, key=1)
    assert curve.value[1] <= 0.5 * np.log(5) + 3 * curve.se[1] and curve.difference(1, 0)[0] > 0
    with pytest.raises(UsageError, match="likelihood"):
        emulator(line, object())
    with pytest.raises(UsageError, match="emulator"):
        qx.Designer(study.designer.space, emulator="fast")


def test_a_study_without_a_designer_and_a_method_without_a_likelihood_are_refused():
    with pytest.raises(UsageError, match="designer"):
        learn_likelihood(qx.Study(line), 500, key=0)
    with pytest.raises(UsageError, match="nle or nre"):
        learn_likelihood(qx.Study(line, designer=qx.Designer(qx.Space(d=(0.0, 1.0)))), 500, method="npe", key=0)


def test_from_the_shell_it_is_learned_once_and_kept(tmp_path):
    (tmp_path / "line.py").write_text(SOURCE)
    (tmp_path / "data.csv").write_text("x[0]\n0.7\n")
    words = ["loop", str(tmp_path / "line.py"), "--run", str(tmp_path / "run")]

    def run(*more, code=0):
        done = CliRunner().invoke(app, [*words, *more])
        assert done.exit_code == code, done.output
        return done

    assert "NoDensity" in run(code=1).stderr and not (tmp_path / "run").exists()
    first = json.loads(run("--learn", "2000", "--json").stdout)
    assert first["state"] == "approve" and abs(first["proposal"]["design"]["d"]) == 2.0
    run("--approve")
    told = json.loads(run("--tell", str(tmp_path / "data.csv"), "--json").stdout)
    assert told["state"] == "stopped" and told["knowledge"]["a"]["sd"] < 0.5
    book = qx.lab.read_book(tmp_path / "run")
    (kept,) = book.artefacts("likelihood")
    assert kept.facts == {"simulations": 2000}
    assert "learn 2000" in run("--learn", "3000", code=2).stderr
