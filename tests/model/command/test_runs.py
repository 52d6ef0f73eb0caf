"""One run and many: inputs in every form, what a program sees, batches, stages, and what the cache spares."""

import dataclasses
import json
import os
import sys
import threading
import tomllib

import numpy as np
import numpyro.distributions as dist
import pytest

import quincunx as qx
from quincunx.errors import CorruptFile, ScratchError, SimulationFailed, UnknownPlaceholder, UsageError
from quincunx.model.command.cache import Cache
from quincunx.model.command.declaration import Command
from quincunx.model.command.key import key_of
from quincunx.model.command.parameter_file import Point
from quincunx.model.command.runs import OneByOne, Together

PRIOR = qx.Prior(beta=dist.Uniform(0.0, 1.0))
TEXT = qx.Output("stdout", "regex", r"\S+")
COPY = {"x": qx.Output("out.json")}


def once(command, theta=None, seed=0, design=None):
    return OneByOne((command,))(theta or {"beta": np.float32(0.1)}, rng=np.random.default_rng(seed), design=design)


def counting(tmp_path, name, script):
    """A shell command that leaves a mark each time it is run, and how to count the marks."""
    marks = tmp_path / f"{name}.marks"
    marks.mkdir()
    return ["sh", "-c", f"mktemp {marks}/XXXXXX > mark; {script}"], lambda: len(list(marks.iterdir()))


def test_numbers_arrive_as_they_were():
    got = once(Command(["echo", "{beta}", "{theta.beta}", "{seed}"], {"x": TEXT}))
    assert got[0] == got[1] == float(np.float32(0.1))
    assert 1 <= got[2] < 2**31 and got[2] == np.random.default_rng(0).integers(1, 2**31)


@pytest.mark.parametrize("format", ["json", "toml", "plain"])
def test_parameter_files(format, tmp_path):
    given = qx.Input(f"p.{format}", format=format)
    command = Command(["cp", "{input.p}", str(tmp_path / "seen")], {"x": TEXT}, inputs={"p": given})
    with pytest.raises(SimulationFailed, match="no match"):
        once(command, {"beta": 0.1, "v": np.array([1.0, 2.5])}, design={"dose": 2})
    text = (tmp_path / "seen").read_text()
    if format == "json":
        assert json.loads(text)["theta"] == {"beta": 0.1, "v": [1.0, 2.5]} and json.loads(text)["design"] == {"dose": 2}
    elif format == "toml":
        assert tomllib.loads(text)["theta"] == {"beta": 0.1, "v": [1.0, 2.5]}
    else:
        assert text.splitlines()[:3] == ["beta 0.1", "v 1.0 2.5", "design.dose 2"]


def test_a_program_sees_a_short_list_of_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("SECRET", "1")
    monkeypatch.setenv("LET_THROUGH", "2")
    argv = ["sh", "-c", f"env > {tmp_path}/seen; echo 1"]
    once(Command(argv, {"x": TEXT}, prefix="SIR_", inherit=["LET_THROUGH"], variables={"OWN": "{seed}"}))
    seen = dict(line.split("=", 1) for line in (tmp_path / "seen").read_text().splitlines())
    assert seen["SIR_beta"] == repr(float(np.float32(0.1))) and seen["SIR_seed"] == seen["OWN"]
    assert seen["LET_THROUGH"] == "2" and seen["PATH"] == os.environ["PATH"]
    # A shell adds two of its own.
    assert set(seen) - {"PWD", "SHLVL", "_"} <= {"PATH", "HOME", "LANG", "LET_THROUGH", "OWN", "SIR_beta", "SIR_seed"}


def test_settings_reach_the_program_or_are_refused():
    command = Command(["echo", "{beta}", "{design.dose}"], {"x": TEXT})
    assert once(command, design={"dose": 2.5})[1] == 2.5
    with pytest.raises(UnknownPlaceholder, match=r"design\.dose"):
        once(command)
    with pytest.raises(UsageError, match=r"\['time'\], which reach no program"):
        once(command, design={"dose": 2.5, "time": 1.0})


def test_no_shell_reads_the_arguments():
    got = once(Command(["printf", "%s", "{beta};$(echo 7)`echo 8`"], {"x": qx.Output("stdout", "regex", r"^[\d.]+")}))
    assert got == float(np.float32(0.1))


def test_several_outputs_make_a_dict(tmp_path):
    script = 'mkdir -p out; echo "[1, 2]" > out/a.json; echo 3'
    got = once(Command(["sh", "-c", script], {"a": "out/a.json", "b": TEXT}))
    np.testing.assert_array_equal(got["a"], [1, 2])
    assert got["b"] == 3


@pytest.mark.parametrize(("keep", "kept"), [("never", 0), ("on_failure", 1), ("always", 2)])
def test_what_is_kept(keep, kept, tmp_path):
    long = "head -c 3000000 /dev/zero | tr '\\0' a; echo 1"
    last = qx.Output("stdout", "regex", r"1$")
    good = Command(["sh", "-c", long], {"x": last}, keep=keep, scratch=str(tmp_path))
    bad = Command(["sh", "-c", f"{long}; echo wrong >&2; exit 4"], {"x": last}, keep=keep, scratch=str(tmp_path))
    assert once(good) == 1
    with pytest.raises(SimulationFailed, match="exit code 4") as caught:
        once(bad)
    assert caught.value.stderr == "wrong"
    assert (str(tmp_path) in str(caught.value)) == (keep != "never")
    folders = list(tmp_path.iterdir())
    assert len(folders) == kept
    for folder in folders:
        assert (folder / "stdout").stat().st_size < 1_000_100


def test_the_cache_spares_what_was_run(tmp_path):
    argv, runs = counting(tmp_path, "a", "echo {seed}")
    command = Command([*argv, "{beta}"], {"x": TEXT}, cache=str(tmp_path / "cache"))
    first = once(command)
    assert once(command) == first and runs() == 1
    once(command, seed=1)
    once(command, {"beta": np.float32(0.1) + np.float32(1e-8)})
    assert runs() == 3
    # Where it lies and how long it may take change nothing.
    once(dataclasses.replace(command, timeout=50, scratch=str(tmp_path / "elsewhere")))
    assert runs() == 3
    once(dataclasses.replace(command, version="1"))
    assert runs() == 4


def test_a_failure_is_not_kept(tmp_path):
    argv, runs = counting(tmp_path, "a", "exit 3")
    command = Command([*argv, "{beta}"], {"x": TEXT}, cache=str(tmp_path / "cache"))
    for _ in range(2):
        with pytest.raises(SimulationFailed):
            once(command)
    assert runs() == 2


def test_a_damaged_entry_is_named(tmp_path):
    command = Command(["echo", "{beta}"], {"x": TEXT}, cache=str(tmp_path))
    once(command)
    (entry,) = tmp_path.rglob("arrays.npz")
    entry.write_bytes(entry.read_bytes()[:40])
    with pytest.raises(CorruptFile, match="delete"):
        once(command)


def test_a_directory_that_cannot_be_written_to_is_no_simulations_failure(tmp_path):
    (tmp_path / "file").write_text("")
    for place in ("scratch", "cache"):
        command = Command(["echo", "{beta}"], {"x": TEXT}, **{place: str(tmp_path / "file" / "below")})
        with pytest.raises(ScratchError, match="below"):
            qx.simulate(qx.command(PRIOR, command), 5, key=0, workers=0)


def test_of_several_writers_the_first_wins(tmp_path):
    cache, start = Cache(str(tmp_path)), threading.Barrier(8)

    def write(i):
        start.wait()
        cache.put_arrays("abc", {"x": np.full(1000, i)})

    threads = [threading.Thread(target=write, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = cache.arrays("abc")["x"]
    assert (kept == kept[0]).all()
    cache.put_arrays("abc", {"x": np.zeros(1000) - 1})
    np.testing.assert_array_equal(cache.arrays("abc")["x"], kept)
    assert [path.name for path in (tmp_path / "ab").iterdir()] == ["abc"]


def test_what_the_key_depends_on(tmp_path):
    code = tmp_path / "code.sh"
    code.write_text("echo 1\n")
    command = Command(["sh", "{code.code}", "{beta}"], {"x": "x.json"}, code=[str(code)])
    point = Point({"beta": np.float32(0.1)}, {"dose": 1.0}, 7)
    key = key_of(command, point)
    same = [
        dataclasses.replace(command, timeout=5, keep="always", cache="here", scratch="there", memory=10**9),
        dataclasses.replace(command, inherit=["OMP_NUM_THREADS"]),
    ]
    assert {key_of(each, point) for each in same} == {key}
    others = [
        dataclasses.replace(command, argv=["sh", "{code.code}", "-v", "{beta}"]),
        dataclasses.replace(command, name="other"),
        dataclasses.replace(command, inputs={"a": qx.Input("a", template="{beta}")}),
        dataclasses.replace(command, variables={"A": "1"}),
        dataclasses.replace(command, outputs={"x": qx.Output("x.json", select="a")}),
        dataclasses.replace(command, container=qx.Container("docker", "a@sha256:" + "0" * 64)),
    ]
    keys = {key_of(each, point) for each in others}
    points = [
        Point({"beta": np.nextafter(np.float32(0.1), np.float32(1))}, {"dose": 1.0}, 7),
        Point({"beta": np.float32(0.1)}, {"dose": 2.0}, 7),
        Point({"beta": np.float32(0.1)}, None, 7),
        Point({"beta": np.float32(0.1)}, {"dose": 1.0}, 8),
    ]
    keys |= {key_of(command, each) for each in points} | {key_of(command, point, upstream="ab")}
    code.write_text("echo 22\n")
    keys.add(key_of(command, point))
    assert len(keys | {key}) == len(others) + len(points) + 3


BATCH = """
import csv, json, random, sys
rows = list(csv.DictReader(open(sys.argv[1])))
def one(row):
    rng = random.Random(int(row["seed"]))
    return [float(row["beta"]), float(row["design.dose"]) if "design.dose" in row else 0.0, rng.random()]
open(sys.argv[2], "w").write(json.dumps([one(row) for row in rows if float(row["beta"]) < 0.95]))
"""


@pytest.fixture
def batch(tmp_path):
    code = tmp_path / "batch.py"
    code.write_text(BATCH)
    return Command(
        [sys.executable, "{code.batch}", "{input.table}", "{output.x}"],
        {"x": qx.Output("x.json", shape=(3,))},
        inputs={"table": qx.Input("table.csv", format="csv")},
        code=[str(code)],
        batch=True,
    )


def test_a_batch_equals_the_single_runs(batch):
    theta = {"beta": np.linspace(0, 0.9, 5, dtype=np.float32)}
    rngs = [np.random.default_rng(i) for i in range(5)]
    together = Together(batch)(theta, rngs=rngs, design={"dose": np.arange(5.0)})
    for i in range(5):
        alone = Together(batch)(
            {"beta": theta["beta"][i : i + 1]},
            rngs=[np.random.default_rng(i)],
            design={"dose": np.arange(5.0)[i : i + 1]},
        )
        np.testing.assert_array_equal(alone[0], together[i])
    np.testing.assert_array_equal(together[:, 1], np.arange(5))


def test_a_batch_runs_only_what_the_cache_has_not(batch, tmp_path):
    marks = tmp_path / "marks"
    argv = ["sh", "-c", f'wc -l < "$1" >> {marks}; exec {sys.executable} "$0" "$1" "$2"', *batch.argv[1:]]
    cached = Together(dataclasses.replace(batch, argv=argv, cache=str(tmp_path / "cache")))
    rngs = [np.random.default_rng(i) for i in range(6)]
    theta = {"beta": np.linspace(0, 0.9, 6, dtype=np.float32)}
    few = cached({"beta": theta["beta"][:4]}, rngs=rngs[:4])
    rngs = [np.random.default_rng(i) for i in range(6)]
    np.testing.assert_array_equal(cached(theta, rngs=rngs)[:4], few)
    # A header and the rows.
    assert marks.read_text().split() == ["5", "3"]


@pytest.mark.filterwarnings("ignore::quincunx.errors.ConstantColumnWarning")
def test_one_bad_row_costs_its_batch_nothing(batch):
    theta = {"beta": np.array([0.1, 0.2, 0.97, 0.3, 0.4], np.float32)}
    with pytest.warns(qx.errors.FailureWarning, match="1 bad output"):
        sims = qx.simulate(qx.command(PRIOR, batch), key=0, theta=theta, workers=0)
    assert list(sims.status) == [0, 0, 7, 0, 0]
    np.testing.assert_array_equal(sims.x[:, 0], np.where(sims.failed, np.nan, theta["beta"]))


def test_a_batch_needs_a_table(batch):
    for inputs in ({}, {"table": qx.Input("t.csv", template="{seed}")}):
        with pytest.raises(UsageError, match="without a table"):
            dataclasses.replace(batch, inputs=inputs)
    with pytest.raises(UsageError, match="format 'toml'"):
        dataclasses.replace(batch, inputs={"table": qx.Input("t", format="toml")})
    with pytest.raises(UnknownPlaceholder, match="seed"):
        qx.command(PRIOR, dataclasses.replace(batch, argv=[*batch.argv, "{seed}"]))
    with pytest.raises(UsageError, match="stages"):
        qx.command(PRIOR, [batch, batch])


@pytest.fixture
def stages(tmp_path):
    cache = str(tmp_path / "cache")
    generate, generated = counting(tmp_path, "generate", "echo {beta} {seed} > events.txt")
    detect, detected = counting(tmp_path, "detect", "cat {upstream.events} > hits; echo {seed} >> hits")
    features, made = counting(tmp_path, "features", "cat {upstream.hits}")
    return [
        Command(generate, {"events": qx.Output("events.txt", "regex", r"\S+")}, name="generate", cache=cache),
        Command(detect, {"hits": qx.Output("hits", "regex", r"\S+")}, name="detect", cache=cache),
        Command(features, {"x": TEXT}, name="features", cache=cache),
    ], (generated, detected, made)


def test_stages_hand_on_their_files_and_each_has_its_seed(stages):
    commands, _ = stages
    chain = qx.command(PRIOR, commands)
    got = chain({"beta": 0.25}, key=0)
    assert got.shape == (3,) and got[0] == 0.25 and got[1] != got[2]
    assert chain.name == "features"


def test_changing_the_last_stage_runs_no_other(stages):
    commands, counts = stages
    run = lambda *chain: OneByOne(chain)({"beta": 0.5}, rng=np.random.default_rng(0))
    first = run(*commands)
    np.testing.assert_array_equal(run(*commands), first)
    assert [count() for count in counts] == [1, 1, 1]
    changed = dataclasses.replace(commands[2], outputs={"x": qx.Output("stdout", "regex", r"^\d+$")})
    assert run(*commands[:2], changed) == first[2]
    assert [count() for count in counts] == [1, 1, 2]
    # A new first stage is upstream of everything.
    run(dataclasses.replace(commands[0], version="1"), *commands[1:])
    assert [count() for count in counts] == [2, 2, 3]


def test_stages_without_a_cache_leave_nothing_behind(stages, tmp_path):
    commands, _ = stages
    scratch = tmp_path / "scratch"
    bare = tuple(dataclasses.replace(command, cache=None, scratch=str(scratch)) for command in commands)
    assert OneByOne(bare)({"beta": 0.5}, rng=np.random.default_rng(0)).shape == (3,)
    assert list(scratch.iterdir()) == []


def test_a_stage_that_leaves_nothing_is_named(stages):
    commands, _ = stages
    silent = dataclasses.replace(commands[0], argv=["true", "{beta}"])
    with pytest.raises(SimulationFailed, match=r"'events\.txt' is missing"):
        OneByOne((silent, *commands[1:]))({"beta": 0.5}, rng=np.random.default_rng(0))


def test_relative_programs_start_at_their_folder(tmp_path):
    folder = tmp_path / "a {brace}"
    folder.mkdir()
    program = folder / "answer"
    program.write_text("#!/bin/sh\necho 42 $1\n")
    program.chmod(0o755)
    for first, code in ((f".{os.sep}answer", []), ("{code.answer}", ["answer"])):
        assert once(Command([first, "{beta}"], {"x": TEXT}, folder=str(folder), code=code))[0] == 42
