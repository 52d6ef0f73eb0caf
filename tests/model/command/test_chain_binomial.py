"""A program in C, compiled here, as a simulator: a Reed-Frost epidemic against its exact distribution."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

import quincunx as qx
from quincunx.run import host
from quincunx.run import pool as pool_module

SOURCE = Path(__file__).with_name("chain_binomial.c")
SUSCEPTIBLES = 12
PRIOR = qx.Prior(p=dist.Uniform(0.02, 0.3))


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("there is no C compiler")
    path = tmp_path_factory.mktemp("c") / "chain_binomial"
    subprocess.run([compiler, "-O2", "-o", str(path), str(SOURCE), "-lm"], check=True)
    return path


def declared(program, **options):
    return qx.Command(
        argv=[str(program), str(SUSCEPTIBLES), "{p}", "{seed}", "{output.x}"],
        outputs={"x": qx.Output("out.json", select=("size", "days"), shape=(2,))},
        code=[str(SOURCE)],
        timeout=20,
        **options,
    )


def size_probabilities(n, p):
    """P(size = k) by following (susceptible, infective) day by day."""
    at, ended = {(n, 1): 1.0}, np.zeros(n + 1)
    while at:
        onward = {}
        for (susceptible, infective), mass in at.items():
            if infective == 0:
                ended[n - susceptible] += mass
                continue
            chances = stats.binom.pmf(np.arange(susceptible + 1), susceptible, 1 - (1 - p) ** infective)
            for caught, chance in enumerate(chances):
                state = susceptible - caught, caught
                onward[state] = onward.get(state, 0.0) + mass * chance
        at = onward
    return ended


def test_the_truth_sums_to_one_and_knows_its_edges():
    found = size_probabilities(SUSCEPTIBLES, 0.1)
    assert found.sum() == pytest.approx(1.0, abs=1e-12)
    assert found[0] == pytest.approx(0.9**SUSCEPTIBLES, rel=1e-12)


def test_its_outcomes_have_the_exact_distribution_on_a_pool_of_processes(program, monkeypatch):
    monkeypatch.setattr(host, "_WORTH_A_POOL_SECONDS", 0.0)
    pools = []
    run_pool = pool_module.run_pool
    monkeypatch.setattr(host, "run_pool", lambda *arguments: pools.append(arguments) or run_pool(*arguments))
    epidemic = qx.command(PRIOR, declared(program), observables=["size", "days"])
    n, p = 400, 0.1
    sims = qx.simulate(epidemic, theta={"p": np.full(n, p, np.float32)}, key=0, workers=2)
    assert len(pools) == 1 and not sims.failed.any()
    sizes, exact = sims.x[:, 0], size_probabilities(SUSCEPTIBLES, p)
    values = np.arange(SUSCEPTIBLES + 1)
    mean = exact @ values
    centred = values - mean
    variance, fourth = exact @ centred**2, exact @ centred**4
    assert abs(sizes.mean() - mean) < 4 * np.sqrt(variance / n)
    assert abs(sizes.var(ddof=1) - variance) < 4 * np.sqrt((fourth - variance**2) / n)
    expected = n * exact
    few = expected < 5
    got = np.bincount(sizes.astype(int), minlength=len(values))
    observed = [*got[~few], got[few].sum()]
    assert stats.chisquare(observed, [*expected[~few], expected[few].sum()]).pvalue > 1e-4


def test_it_is_the_same_on_the_pool_as_here(program, monkeypatch):
    epidemic = qx.command(PRIOR, declared(program))
    here = qx.simulate(epidemic, 24, key=3, workers=0)
    monkeypatch.setattr(host, "_WORTH_A_POOL_SECONDS", 0.0)
    pooled = qx.simulate(epidemic, 24, key=3, workers=2)
    np.testing.assert_array_equal(here.x, pooled.x)
    np.testing.assert_array_equal(here.x[10:], qx.simulate(epidemic, 14, key=3, start=10, workers=0).x)


def test_a_parameter_it_refuses_is_a_failure_with_what_it_said(program):
    epidemic = qx.command(PRIOR, declared(program))
    theta = {"p": np.array([0.1, 1.5, 0.1, 0.1], np.float32)}
    with pytest.warns(qx.errors.FailureWarning, match="1 failed"):
        sims = qx.simulate(epidemic, key=0, theta=theta, workers=0)
    assert list(sims.status) == [0, 3, 0, 0]
    assert sims.messages[1] == "failed: exit code 3; it said: p = 1.5 is no probability"


def test_its_outcomes_follow_the_parameter(program):
    epidemic = qx.command(PRIOR, declared(program), observables=["size", "days"])
    sims = qx.simulate(epidemic, 60, key=0, workers=0)
    assert sims.outcome.columns == ("size", "days")
    # More infectious, more infected: the sign of the rank correlation is beyond chance.
    found = stats.spearmanr(sims.theta["p"], sims.x[:, 0])
    assert found.statistic > 0 and found.pvalue < 1e-4
