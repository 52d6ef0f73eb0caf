"""Commands through `simulate`: every way to end has its status, and nothing is tried again with another seed."""

import subprocess
import sys
import time

import jax
import numpy as np
import numpyro.distributions as dist
import pytest

import quincunx as qx
from quincunx.errors import AllSimulationsFailed, CommandNotFound, FailureWarning, SimulationFailed, UnknownPlaceholder
from quincunx.model.command.memory import can_measure
from quincunx.run import host, status

PRIOR = qx.Prior(a=dist.Uniform(0.0, 1.0))
TEXT = qx.Output("stdout", "regex", r"^\S+$")

WAYS = """
case {a} in
  0.0) echo 1; echo 2;;
  1.0) echo bad luck >&2; exit 3;;
  2.0) kill -SEGV $$;;
  3.0) sleep 60 & echo $! > {{log}}; wait;;
  4.0) exec {python} -c 'import time; a = bytearray(200000000); time.sleep(60)';;
  5.0) echo 1; echo 2; echo 3;;
  6.0) echo nan; echo 2;;
  7.0) echo one; echo two;;
  8.0) ;;
  *) echo 1; echo 2;;
esac
"""


def by_hand(script, **options):
    return qx.command(PRIOR, argv=["sh", "-c", script], outputs={"x": TEXT}, **options)


@pytest.mark.skipif(not can_measure(), reason="memory is measured on Linux only")
def test_every_way_to_end_has_its_status(tmp_path):
    script = WAYS.replace("{{log}}", str(tmp_path / "grandchild")).replace("{python}", sys.executable)
    ways = by_hand(script, timeout=3, grace=0.2, memory=120_000_000)
    expected = [
        status.OK,
        status.FAILED,
        status.SIGNAL,
        status.TIMEOUT,
        status.MEMORY,
        status.BAD_OUTPUT,
        status.NON_FINITE,
        status.BAD_OUTPUT,
        status.BAD_OUTPUT,
    ]
    theta = {"a": np.arange(9, dtype=np.float32)}
    began = time.monotonic()
    with pytest.warns(
        FailureWarning, match="0 raised, 1 not finite, 1 failed, 1 signal, 1 timeout, 1 oom, 3 bad output"
    ):
        sims = qx.simulate(ways, key=0, theta=theta, workers=0)
    assert time.monotonic() - began < 60
    assert list(sims.status) == expected
    assert sims.messages[1] == "failed: exit code 3; it said: bad luck"
    assert "SIGSEGV" in sims.messages[2] and "within 3 s" in sims.messages[3] and "120 MB" in sims.messages[4]
    assert "(3,); expected (2,)" in sims.messages[5]
    np.testing.assert_array_equal(sims.x[0], [1, 2])
    assert "1 timeout, 1 oom" in repr(sims)
    pid = (tmp_path / "grandchild").read_text().strip()
    state = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True, check=False).stdout
    assert state.strip() == "" or state.startswith("Z")
    loaded = qx.Simulations.load(sims.save(tmp_path / "sims.qx"))
    assert list(loaded.status) == expected and loaded.messages == sims.messages


def test_the_probe_goes_on_where_some_parameters_fail():
    picky = by_hand("awk 'BEGIN {{ if ({a} < 0.6) exit 2; print {a}; print {seed} }}'")
    with pytest.warns(FailureWarning, match="low a"):
        sims = qx.simulate(picky, 40, key=1, workers=0)
    np.testing.assert_array_equal(sims.failed, sims.theta["a"] < 0.6)
    assert set(sims.status) == {status.OK, status.FAILED}


def test_a_program_that_never_works_is_refused_with_what_it_said():
    with pytest.raises(AllSimulationsFailed, match=r"exit code 5.*out of ink"):
        qx.simulate(by_hand("echo out of ink {a} >&2; exit 5"), 10, key=0)


def test_a_program_that_ignores_its_seed_is_told():
    unseeded = by_hand("date +%N; echo {a}")
    with pytest.warns(qx.errors.QuincunxWarning, match="another outcome for the same"):
        qx.simulate(unseeded, 4, key=0, workers=0)


def test_the_same_key_gives_the_same_outcome_and_a_batch_the_single_ones():
    sim = by_hand("echo {a}; echo {seed}")
    keys = jax.random.split(jax.random.key(0), 3)
    theta = {"a": np.array([0.25, 0.5, 0.75], np.float32)}
    batch = sim.batch(theta, keys=keys)
    for i in range(3):
        np.testing.assert_array_equal(sim({"a": theta["a"][i]}, key=keys[i]), batch[i])
    assert len(set(batch[:, 1])) == 3


def test_a_single_call_raises_what_went_wrong():
    with pytest.raises(SimulationFailed, match="failed: exit code 9") as caught:
        by_hand("echo {a} > /dev/null; exit 9")({"a": 0.5}, key=0)
    assert caught.value.outcome == "failed"


@pytest.mark.filterwarnings("ignore::quincunx.errors.ConstantColumnWarning")
def test_a_setting_that_is_asked_for_and_not_given_is_refused():
    with pytest.raises(UnknownPlaceholder, match=r"design\.dose"):
        qx.simulate(by_hand("echo {a} {design.dose}"), 4, key=0)
    assert len(qx.simulate(by_hand("echo {a}; echo {design.dose}"), 4, key=0, design={"dose": 2.0}, workers=0)) == 4


@pytest.mark.parametrize("workers", [0, 2])
def test_a_program_that_goes_missing_ends_the_run_by_name(workers, tmp_path, monkeypatch):
    """It is no simulation's failure, wherever it is noticed."""
    monkeypatch.setattr(host, "_WORTH_A_POOL_SECONDS", 0.0)
    program = tmp_path / "program"
    program.write_text(
        f"#!/bin/sh\necho $1; echo $2\necho >> {tmp_path}/runs\n[ $(wc -l < {tmp_path}/runs) -lt 8 ] || rm $0\n"
    )
    program.chmod(0o755)
    sim = qx.command(PRIOR, argv=[str(program), "{a}", "{seed}"], outputs={"x": TEXT})
    with pytest.raises(CommandNotFound, match="program"):
        qx.simulate(sim, 40, key=0, workers=workers)


def test_statuses_come_back_from_worker_processes(monkeypatch):
    monkeypatch.setattr(host, "_WORTH_A_POOL_SECONDS", 0.0)
    picky = by_hand("awk 'BEGIN {{ if ({a} > 0.8) exit 2; print {a}; print {seed} }}'")
    with pytest.warns(FailureWarning):
        pooled, here = (qx.simulate(picky, 30, key=1, workers=workers) for workers in (2, 0))
    np.testing.assert_array_equal(pooled.status, here.status)
    np.testing.assert_array_equal(pooled.x, here.x)
    assert pooled.messages == here.messages
