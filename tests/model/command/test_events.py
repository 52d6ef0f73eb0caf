"""Many events in one run of a program: how many it is told, what it must give back, and what the cache knows of it."""

import dataclasses
import json
import sys

import numpy as np
import numpyro.distributions as dist
import pytest

import quincunx as qx
from quincunx.errors import AllSimulationsFailed, FailureWarning, UsageError
from quincunx.model.command import snakefile as module
from quincunx.model.command.key import key_of
from quincunx.model.command.parameter_file import Point
from quincunx.model.command.process import Ended
from quincunx.model.command.snakefile import Workflow

PRIOR = qx.Prior(beta=dist.Uniform(0.0, 1.0))
# line j is beta, the seed, and j: for more than 0.9 one line is missing, for less than 0.1 it fails
LINES = 'BEGIN {{ if ({beta} < 0.1) exit 3; n = {events} - ({beta} > 0.9); for (j = 0; j < n; j++) print {beta} "," {seed} "," j }}'


def command(tmp_path, **more):
    marks = tmp_path / "marks"
    marks.mkdir(exist_ok=True)
    argv = ["sh", "-c", f'mktemp {marks}/XXXXXX > mark; awk "$0"', LINES]
    output = qx.Output("stdout", "regex", r"^(\S+),(\d+),(\d+)$", shape=(3,))
    return qx.command(PRIOR, argv=argv, outputs={"x": output}, **more), lambda: len(list(marks.iterdir()))


def test_one_run_makes_all_events_of_a_simulation(tmp_path):
    simulator, runs = command(tmp_path)
    theta = {"beta": np.array([0.25, 0.5])}
    sims = qx.simulate(simulator, theta=theta, events=5, key=0, workers=0)
    before = runs()
    assert sims.x.shape == (2, 5, 3) and sims.events
    np.testing.assert_array_equal(sims.x[..., 2], np.tile(np.arange(5.0), (2, 1)))
    np.testing.assert_array_equal(sims.x[..., 0], np.repeat(theta["beta"][:, None], 5, axis=1))
    assert len(np.unique(sims.x[..., 1])) == 2, "one seed a run"
    qx.simulate(simulator, theta=theta, events=50, key=0, workers=0)
    # a look, one repetition of it, and two simulations
    assert before == runs() - before == 4
    one = qx.simulate(simulator, theta=theta, key=0, workers=0)
    assert one.x.shape == (2, 3) and (one.x[:, 2] == 0).all() and one.outcome.shapes == {"x": (3,)}


def test_another_number_of_events_is_said_and_fails_the_whole_row(tmp_path):
    simulator, _ = command(tmp_path)
    with pytest.warns(FailureWarning):
        sims = qx.simulate(simulator, theta={"beta": np.array([0.5, 0.95, 0.05])}, events=5, key=0, workers=0)
    assert sims.status.tolist() == [0, 7, 3] and np.isnan(sims.x[1:]).all() and np.isfinite(sims.x[0]).all()
    assert "holds 4 events; expected the 5 that were asked for" in sims.messages[1]


def test_a_batch_has_events_along_its_second_axis():
    script = (
        "import csv, json; rows = list(csv.DictReader(open('{input.table}'))); "
        "print(json.dumps([[[float(r['beta']), j] for j in range({events})] for r in rows]))"
    )
    batch = qx.command(
        PRIOR,
        argv=[sys.executable, "-c", script],
        inputs={"table": qx.Input("table.csv", format="csv")},
        outputs={"x": qx.Output("stdout", "json", shape=(2,))},
        batch=True,
    )
    sims = qx.simulate(batch, 4, events=6, key=0, workers=0)
    np.testing.assert_array_equal(sims.x[..., 0], np.repeat(sims.theta["beta"][:, None], 6, axis=1))
    np.testing.assert_array_equal(sims.x[2, :, 1], np.arange(6.0))
    assert qx.simulate(batch, 4, key=0, workers=0).x.shape == (4, 2)


def test_the_cache_knows_how_many(tmp_path):
    simulator, runs = command(tmp_path, cache=str(tmp_path / "kept"))
    theta = {"beta": np.array([0.25, 0.5])}
    first = qx.simulate(simulator, theta=theta, events=5, key=0, workers=0)
    made = runs()
    np.testing.assert_array_equal(qx.simulate(simulator, theta=theta, events=5, key=0, workers=0).x, first.x)
    assert runs() == made
    assert qx.simulate(simulator, theta=theta, events=4, key=0, workers=0).x.shape == (2, 4, 3) and runs() == made + 2
    plain = qx.Command(["true", "{beta}"], {"x": "x.json"})
    at = Point({"beta": 0.5}, None, 7)
    assert len({key_of(plain, at), *(key_of(plain, dataclasses.replace(at, events=n)) for n in (1, 2))}) == 3


def test_what_is_declared_in_toml_is_the_same(tmp_path):
    text = f'argv = ["awk", {json.dumps(LINES)}]\n[outputs.x]\npath = "stdout"\nreader = "regex"\nselect = "[^,]+$"\nshape = [1]\n'
    (tmp_path / "lines.toml").write_text(text)
    declared = qx.command(PRIOR, tmp_path / "lines.toml")
    sims = qx.simulate(declared, theta={"beta": np.array([0.5])}, events=4, key=0, workers=0)
    np.testing.assert_array_equal(sims.x, np.arange(4.0).reshape(1, 4, 1))


def test_a_stage_is_told_and_the_next_reads_all_of_it(tmp_path):
    lines = qx.Command(["awk", LINES], {"table": qx.Output("stdout", "regex", r"\d+$")})
    twice = ["awk", "-F,", "{{print 2 * $3}}", "{upstream.table}"]
    double = qx.Command(twice, {"x": qx.Output("stdout", "regex", r".+", shape=(1,))})
    sims = qx.simulate(qx.command(PRIOR, [lines, double]), theta={"beta": np.array([0.5])}, events=3, key=0, workers=0)
    np.testing.assert_array_equal(sims.x[0, :, 0], [0.0, 2.0, 4.0])


def test_a_snakefile_is_told_in_its_configuration(tmp_path, monkeypatch):
    (tmp_path / "Snakefile").write_text("")
    told = []

    def run(argv, *, folder, variables, limits):
        config = json.loads((folder / "quincunx_config.json").read_text())
        told.append(config["number"])
        (folder / "results").mkdir()
        for i in range(config["count"]):
            beta = json.loads((folder / f"parameters/{i}.json").read_text())["theta"]["beta"]
            events = [[beta, j] for j in range(config["number"] - (beta > 1))]
            (folder / "results" / f"{i}.json").write_text(json.dumps(events))
        return Ended("ok", 0, 0.0)

    monkeypatch.setattr(module, "run_process", run)
    workflow = Workflow(
        str(tmp_path / "Snakefile"),
        {"x": qx.Output("results/{i}.json", shape=(2,))},
        config={"number": "{events}", "pattern": "{i}"},
    )
    simulator = qx.wrap(workflow, PRIOR, name="flow")
    theta = {"beta": np.array([0.5, 1.5, 0.25])}
    with pytest.warns(FailureWarning):
        sims = qx.simulate(simulator, theta=theta, events=5, key=0, workers=0)
    assert told[-1] == 5 and sims.x.shape == (3, 5, 2) and "holds 4 events" in sims.messages[1]
    with pytest.warns(FailureWarning):
        assert qx.simulate(simulator, theta=theta, key=0, workers=0).x.shape == (3, 2)
    assert set(told) == {1, 5}


def test_a_python_function_makes_as_many_as_it_is_asked_for():
    calls = []

    def walk(theta, *, rng, events):
        calls.append(events)
        return {"a": theta["beta"] + np.zeros((events, 2)), "b": rng.normal(size=events)}

    simulator = qx.wrap(walk, PRIOR)
    sims = qx.simulate(simulator, 3, events=7, key=0, workers=0)
    assert sims.x["a"].shape == (3, 7, 2) and sims.x["b"].shape == (3, 7, 1) and calls.count(7) == 3
    np.testing.assert_array_equal(
        qx.simulate(simulator, 2, events=7, key=0, start=1, workers=0).x["b"], sims.x["b"][1:]
    )
    short = qx.wrap(lambda theta, *, rng, events: rng.normal(size=(events + 1, 2)), PRIOR, name="short")
    with pytest.raises(AllSimulationsFailed, match="a row for each of the 1 events"):
        qx.simulate(short, 3, events=7, key=0, workers=0)


def test_what_an_experiment_is_expected_to_teach_needs_one_run_for_each_parameter(tmp_path):
    from quincunx.design.experiment import Slots, outcomes_at

    simulator, runs = command(tmp_path)
    x, ok = outcomes_at(simulator, np.array([[0.25], [0.5]]), Slots.of([{}], [3], 4), key=qx.values.as_key(0))
    assert x.shape == (2, 4, 3) and ok.all() and runs() <= 4
    np.testing.assert_array_equal(x[:, :, 2], [[0, 1, 2, 2]] * 2)


def test_a_parameter_called_events_is_refused_beside_it():
    with pytest.raises(UsageError, match="another name"):
        qx.command(qx.Prior(events=dist.Uniform(0.0, 1.0)), argv=["echo", "{events}"], outputs={"x": "x.json"})
