"""A Snakefile as a simulator: one run a batch, failures by row; what needs Snakemake is skipped without it."""

import importlib.util
import sys
import time

import numpy as np
import numpyro.distributions as dist
import pytest

import quincunx as qx
from quincunx.errors import DataFileError, MissingExtra, SimulationFailed, SomeFailed, UsageError
from quincunx.model.command import snakefile as module
from quincunx.model.command.process import Ended
from quincunx.model.command.snakefile import Workflow

PRIOR = qx.Prior(beta=dist.Uniform(0.0, 1.0))

GENERATE = """
import json, random, sys
given = json.load(open(sys.argv[1]))
if given["theta"]["beta"] > 0.9:
    sys.exit("beta is too large")
print(given["theta"]["beta"], random.Random(given["seed"]).random(), sys.argv[2])
"""

SNAKEFILE = """
rule generate:
    input: "parameters/{i}.json"
    output: "events/{i}.txt"
    shell: "PYTHON GENERATE {input} {config[count]} > {output}"

rule features:
    input: "events/{i}.txt"
    output: "results/{i}.json"
    shell: "awk '{{print \\"[\\" $1 \\",\\" $2 \\",\\" {config[scale]} * $3 \\"]\\"}}' {input} > {output}"
"""

needs_snakemake = pytest.mark.skipif(
    importlib.util.find_spec("snakemake") is None, reason="the extra snakemake is not installed"
)


@pytest.fixture
def snakefile(tmp_path):
    path = tmp_path / "Snakefile"
    (tmp_path / "generate.py").write_text(GENERATE)
    path.write_text(SNAKEFILE.replace("PYTHON", sys.executable).replace("GENERATE", str(tmp_path / "generate.py")))
    return path


def workflow(snakefile, **options):
    return Workflow(str(snakefile), {"x": qx.Output("results/{i}.json", shape=(3,))}, config={"scale": 10}, **options)


def rngs(n):
    return [np.random.default_rng(i) for i in range(n)]


def test_without_snakemake_the_extra_is_named(snakefile, monkeypatch):
    monkeypatch.setitem(sys.modules, "snakemake", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"quincunx\[snakemake\]"):
        qx.snakemake(PRIOR, snakefile, outputs={"x": "results/{i}.json"})


def test_what_makes_no_sense_is_refused(snakefile, tmp_path):
    with pytest.raises(DataFileError, match="Snakefile"):
        Workflow(str(tmp_path / "none"), {"x": "{i}.json"})
    with pytest.raises(UsageError, match=r"expected \{i\}"):
        Workflow(str(snakefile), {"x": "results.json"})
    for key in ("n", "two words", "count"):
        with pytest.raises(UsageError, match="two letters"):
            Workflow(str(snakefile), {"x": "{i}.json"}, config={key: 1})
    with pytest.raises(UsageError, match="cores=0"):
        Workflow(str(snakefile), {"x": "{i}.json"}, cores=0)


def test_it_is_a_value(snakefile, tmp_path):
    declared = workflow(snakefile)
    qx.save(declared, tmp_path / "w.qx")
    assert qx.load(tmp_path / "w.qx") == declared and hash(qx.load(tmp_path / "w.qx")) == hash(declared)


def test_how_snakemake_is_called(snakefile, monkeypatch):
    calls = []

    def run(argv, *, folder, variables, limits):
        calls.append(argv)
        (folder / "results").mkdir()
        for i in range(2):
            (folder / "results" / f"{i}.json").write_text(f"[{i}, 1, 2]")
        return Ended("ok", 0, 0.0)

    monkeypatch.setattr(module, "run_process", run)
    x = workflow(snakefile)({"beta": np.array([0.1, 0.2])}, rngs=rngs(2))
    np.testing.assert_array_equal(x, [[0, 1, 2], [1, 1, 2]])
    (argv,) = calls
    assert argv[1:3] == ["-m", "snakemake"] and argv[-3:] == ["--", "results/0.json", "results/1.json"]
    assert argv[argv.index("--cores") :][:2] == ["--cores", "1"] and "--keep-going" in argv


@needs_snakemake
def test_a_batch_is_one_run_and_follows_the_seeds(snakefile):
    theta = {"beta": np.linspace(0.1, 0.8, 6)}
    began = time.monotonic()
    x = workflow(snakefile)(theta, rngs=rngs(6))
    assert time.monotonic() - began < 60
    np.testing.assert_allclose(x[:, 0], theta["beta"], rtol=1e-15)
    np.testing.assert_array_equal(x[:, 2], np.full(6, 60.0))
    assert len(set(x[:, 1])) == 6
    np.testing.assert_array_equal(workflow(snakefile)({"beta": theta["beta"][3:4]}, rngs=rngs(4)[3:])[0, :2], x[3, :2])


@needs_snakemake
def test_a_simulation_that_fails_costs_its_batch_nothing(snakefile):
    with pytest.raises(SomeFailed) as caught:
        workflow(snakefile)({"beta": np.array([0.1, 0.95, 0.3])}, rngs=rngs(3))
    assert list(caught.value.failures) == [1] and caught.value.failures[1].outcome == "failed"
    np.testing.assert_array_equal(np.isnan(caught.value.x[:, 0]), [False, True, False])
    with pytest.raises(SimulationFailed, match="failed"):
        workflow(snakefile)({"beta": np.array([0.95])}, rngs=rngs(1))


@needs_snakemake
@pytest.mark.slow
def test_it_is_simulated_like_any_other(snakefile):
    simulator = qx.snakemake(
        PRIOR, snakefile, outputs={"x": qx.Output("results/{i}.json", select=("0", "1"))}, config={"scale": 10}
    )
    with pytest.warns(qx.errors.FailureWarning, match="high beta"):
        sims = qx.simulate(simulator, 30, key=0, workers=0)
    np.testing.assert_array_equal(sims.status == 3, sims.theta["beta"] > 0.9)
    good = sims.valid()
    np.testing.assert_allclose(good.x[:, 0], good.theta["beta"], rtol=1e-6)
