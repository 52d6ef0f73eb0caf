"""Gold from the shell: mined into files and runs, learned from, gone on with, and refused."""

import numpy as np
import pytest

import quincunx as qx
from quincunx.cli.gold import gold_asked, reference_point
from quincunx.errors import NameMismatch, UsageError
from quincunx.lab import open_book
from quincunx.model import Reference

from ..gold_toys import GOLDEN, PAIR
from .conftest import quincunx

SOURCE = '''
"""A hidden draw and a noisy reading of it."""
import jax
import numpyro.distributions as dist
import quincunx as qx
from quincunx.infer import method_named
from quincunx.learn import FitSettings
from quincunx.model import Gold

def trace(theta, *, key):
    hidden, noise = jax.random.normal(key, (2,))
    z = theta["mu"] + 2.0 * hidden
    return (z + noise)[None], z

def joint_log_prob(theta, x, z):
    return -((z - theta["mu"]) ** 2) / 8.0

@qx.simulator(qx.Prior(mu=dist.Normal(0.0, 2.0)), gold=Gold(trace, joint_log_prob))
def reading(theta, *, key, design=None):
    return trace(theta, key=key)[0]
'''
STUDY = '\nstudy = qx.Study(reading, [0.5], method="alice", budget=200, key=7)\n'
QUICK = ("--set", "epochs=1", "--set", "min_steps=1", "--draws", 100)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("gold")
    (made / "reading.py").write_text(SOURCE)
    (made / "reading_study.py").write_text(SOURCE + STUDY)
    (made / "x.json").write_text("[0.5]")
    return made


def test_a_file_holds_the_gold_that_was_asked_for(folder):
    out = folder / "point.qx"
    done = quincunx("simulate", folder / "reading.py", "--gold", "--reference", "mu=-0.7", "-n", 50, "--out", out)
    assert done.exit_code == 0, done.err
    sims = qx.load(out)
    assert set(sims.gold) == {"joint_score", "joint_log_ratio", "label"} and 0 < sims.gold["label"].sum() < 50
    assert quincunx("simulate", folder / "reading.py", "--gold", "-n", 50, "--out", folder / "s.npz").exit_code == 0
    assert set(qx.Simulations.load(folder / "s.npz").gold) == {"joint_score"}


def test_a_run_and_a_file_of_a_study_hold_what_its_method_needs(folder):
    study = folder / "reading_study.py"
    assert quincunx("simulate", study, "--batch", 100, "--out", folder / "run").exit_code == 0
    assert quincunx("simulate", study, "--out", folder / "all.qx").exit_code == 0
    whole = qx.load(folder / "all.qx")
    with open_book(folder / "run", read_only=True) as book:
        run = book.simulations()
        assert book.config["gold"].startswith('{"mu": [') and len(whole) == len(run) == 200
    for name, value in whole.gold.items():
        np.testing.assert_array_equal(run.gold[name], value)
    out = folder / "trained.qx"
    done = quincunx("train", folder / "run", "--out", out, *QUICK[:4], "--json")
    assert done.exit_code == 0 and done.json["method"] == "alice", done.err


@pytest.mark.slow
def test_a_run_goes_on_with_gold_to_its_answer(folder):
    run = folder / "longer"
    assert quincunx("simulate", folder / "reading_study.py", "--batch", 100, "--out", run).exit_code == 0
    done = quincunx("resume", run, "--n", 300, "--batch", 100, "--json")
    assert done.exit_code == 0 and set(done.json["summary"]) == {"mu"}, done.err
    with open_book(run, read_only=True) as book:
        assert len(book.simulations()) == 300 and "joint_log_ratio" in book.simulations().gold


@pytest.mark.parametrize("method", ["alices", pytest.param("sally", marks=pytest.mark.slow)])
def test_an_inference_goes_on_to_the_bit(method, folder):
    out = folder / method
    command = ("infer", folder / "reading.py", "--data", folder / "x.json", "--method", method, "--budget", 200)
    command = (*command, *QUICK, "--out", out, "--seed", 3)
    done = quincunx(*command)
    assert done.exit_code == 0, done.err
    whole, posterior = qx.load(out / "simulations.qx"), (out / "draws.csv").read_text()
    assert len(whole) == (200 if method == "alices" else 100) and (out / "before.qx").exists() == (method == "sally")
    for name in ("posterior.qx", "draws.csv"):
        (out / name).unlink()
    (out / "simulations.qx").unlink()
    whole[:60].save(out / "simulations.qx")
    assert quincunx(*command, "--resume").exit_code == 0
    again = qx.load(out / "simulations.qx")
    np.testing.assert_array_equal(again.x, whole.x)
    for name in whole.gold or {}:
        np.testing.assert_array_equal(again.gold[name], whole.gold[name])
    assert (out / "draws.csv").read_text() == posterior


@pytest.mark.parametrize(
    ("arguments", "kind", "code"),
    [
        (("two_moons", "--gold"), "NoGold", 1),
        (("two_moons", "--reference", "theta=[0,0]"), "NoGold", 1),
        (("gaussian_in_gaussian", "--gold", "--reference", "thta=1"), "NameMismatch", 1),
        (("gaussian_in_gaussian", "--reference", "theta"), "UsageError", 2),
        (("gaussian_in_gaussian", "--reference", "each", "--reference", "theta=1"), "UsageError", 2),
    ],
)
@pytest.mark.parametrize("out", ["sims.qx", "run"])
def test_what_cannot_be_mined_is_refused_before_anything_is_written(arguments, kind, code, out, tmp_path):
    done = quincunx("simulate", *arguments, "-n", 10, "--out", tmp_path / out, "--json")
    assert done.exit_code == code and done.json["error"]["kind"] == kind
    assert not (tmp_path / out).exists()


def test_a_table_has_no_place_for_gold(tmp_path):
    done = quincunx("simulate", "gaussian_in_gaussian", "--gold", "-n", 10, "--out", tmp_path / "t.csv")
    assert done.exit_code == 2 and ".qx" in done.err


def test_references_are_points_mixtures_or_words():
    def asked(*texts, method="npe"):
        return gold_asked(GOLDEN, gold=False, references=texts, method=qx.infer.method_named(method))

    assert asked() is False and repr(asked("mu=-0.7")) == "Reference(mu=-0.7)"
    assert len(asked("mu=1", "mu=2")) == 2 and len(asked("spread")) == 8 and asked("each").drawn
    assert isinstance(asked(method="alice"), Reference)
    assert reference_point("width=1, mu=2", PAIR) == {"mu": 2.0, "width": 1.0}
    with pytest.raises(NameMismatch, match="missing"):
        reference_point("mu=2", PAIR)
    with pytest.raises(UsageError, match="for example --reference mu=0.5,width=0.5"):
        reference_point("mu:2", PAIR)


def test_help_names_the_methods_that_learn_from_gold():
    from quincunx.cli.gold import HELP_METHOD

    for name in ("alices", "alice", "rascal", "rolr", "cascal", "carl", "scandal", "sally", "sallino"):
        assert name in HELP_METHOD and name in qx.infer.method.method_names()
