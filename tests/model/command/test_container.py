"""Containers: pinned, seeing nothing but the scratch directory; run only where an engine answers."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import quincunx as qx
from quincunx.errors import CommandNotFound, SimulationFailed, UsageError
from quincunx.model.command import stage
from quincunx.model.command.declaration import Command
from quincunx.model.command.parameter_file import Point
from quincunx.model.command.process import Ended

IMAGE = "ghcr.io/lab/sir@sha256:" + "0" * 64
SCRATCH = Path("/tmp/scratch.1")


def test_docker_and_podman_mount_the_scratch_directory_only():
    for engine, owner in (("docker", f"--user {os.getuid()}:{os.getgid()}"), ("podman", "--userns keep-id")):
        argv = qx.Container(engine, IMAGE).argv(["sir", "0.5"], SCRATCH, {"LANG": "C"}, "run1", 10**9)
        assert " ".join(argv) == (
            f"{engine} run --rm --init --network none --name run1 {owner} --volume /tmp/scratch.1:/scratch "
            f"--workdir /scratch --memory 1000000000 --env LANG=C {IMAGE} sir 0.5"
        )
        assert qx.Container(engine, IMAGE).kill_argv("run1") == [engine, "kill", "run1"]


def test_apptainer_contains_all():
    argv = qx.Container("apptainer", IMAGE).argv(["sir", "0.5"], SCRATCH, {"LANG": "C"}, "run1", None)
    assert " ".join(argv) == (
        "apptainer exec --containall --no-home --bind /tmp/scratch.1:/scratch --pwd /scratch --env LANG=C "
        f"docker://{IMAGE} sir 0.5"
    )
    assert qx.Container("apptainer", IMAGE).kill_argv("run1") is None


@pytest.mark.parametrize("image", ["sir", "sir:latest", "sir@sha256:12", "@sha256:" + "0" * 64])
def test_an_image_without_a_digest_is_refused(image):
    with pytest.raises(UsageError, match="digest"):
        qx.Container("docker", image)


def test_an_engine_is_checked_for_before_anything_is_run(monkeypatch):
    command = Command(["sir", "{beta}"], {"x": "x.json"}, container={"engine": "podman", "image": IMAGE})
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CommandNotFound, match="container engine 'podman'"):
        command.check(["beta"])


def test_paths_are_those_inside_and_files_are_brought_in(tmp_path, monkeypatch):
    code, scratch = tmp_path / "run.sh", tmp_path / "scratch"
    code.write_text("echo 1\n")
    scratch.mkdir()
    seen = {}
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(
        stage, "run_process", lambda argv, **options: seen.update(argv=argv, **options) or Ended("ok", 0, 0.0)
    )
    command = Command(
        ["sh", "{code.run}", "{input.p}", "{output.x}", "{upstream.events}"],
        {"x": "x.json"},
        inputs={"p": qx.Input("p.json", format="json")},
        code=[str(code)],
        container=qx.Container("docker", IMAGE),
        variables={"SEED": "{seed}"},
        memory=10**9,
    )
    stage.carry_out(command, [Point({"beta": np.float32(0.5)}, None, 7)], {"events": code}, scratch)
    inside = ["/scratch/code/run/run.sh", "/scratch/p.json", "/scratch/x.json", "/scratch/upstream/events/run.sh"]
    assert seen["argv"][-5:] == ["sh", *inside]
    assert "SEED=7" in seen["argv"] and f"{scratch}:/scratch" in seen["argv"]
    assert not any(part.startswith(("PATH=", "HOME=")) for part in seen["argv"])
    assert (scratch / "code/run/run.sh").is_file() and (scratch / "upstream/events/run.sh").is_file()
    # The engine limits memory itself: its containers are not our processes.
    assert seen["limits"].memory is None


@pytest.mark.parametrize(("code", "outcome"), [(125, "lost"), (137, "oom"), (3, "failed")])
def test_the_engines_own_exit_codes(code, outcome, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(stage, "run_process", lambda argv, **options: Ended("failed", code, 0.0))
    command = Command(["sir"], {"x": "x.json"}, container=qx.Container("podman", IMAGE), memory=10**9)
    with pytest.raises(SimulationFailed) as caught:
        stage.carry_out(command, [Point({}, None, 7)], {}, tmp_path)
    assert caught.value.outcome == outcome


def answers(engine):
    return shutil.which(engine) and not subprocess.run([engine, "version"], capture_output=True, check=False).returncode


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_an_image_that_is_here_is_run(engine):
    if not answers(engine):
        pytest.skip(f"{engine} does not answer here")
    listed = subprocess.run(
        [engine, "images", "--digests", "--format", "{{.Repository}}@{{.Digest}}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    images = [image for image in listed if "@sha256:" in image]
    if not images:
        pytest.skip("there is no image with a digest")
    command = Command(
        ["echo", "{beta}"],
        {"x": qx.Output("stdout", "regex", r"\S+")},
        container=qx.Container(engine, images[0]),
        timeout=60,
    )
    import numpyro.distributions as dist

    assert qx.command(qx.Prior(beta=dist.Uniform(0.0, 1.0)), command)({"beta": 0.5}, key=0) == 0.5
