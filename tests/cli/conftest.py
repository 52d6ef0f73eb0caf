"""A small experiment on disk, a way to run a verb in this process, and one finished run that several tests look at."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from quincunx.cli.main import app

SIMULATOR = '''
"""Five noisy readings of a level and a slope."""
import jax, jax.numpy as jnp
import numpyro.distributions as dist
import quincunx as qx

prior = qx.Prior(level=dist.Normal(0.0, 1.0), slope=dist.Uniform(-1.0, 1.0), units={"level": "V"})

@qx.simulator(prior, observables="volts")
def line(theta, *, key, design=None):
    return theta["level"] + theta["slope"] * jnp.arange(5.0) + 0.2 * jax.random.normal(key, (5,))
'''
# A single Gaussian head and few epochs: these tests are about files and exit codes, not about accuracy.
QUICK = ("--budget", "300", "--draws", "500", "--set", "density=gaussian", "--set", "epochs=5")


@dataclass
class Done:
    """How a verb ended."""

    exit_code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def quincunx(*arguments: object) -> Done:
    """Run a verb in this process, where JAX is loaded already."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(scope="session")
def experiment(tmp_path_factory) -> Path:
    """A directory with a simulator and an observation."""
    folder = tmp_path_factory.mktemp("experiment")
    (folder / "line.py").write_text(SIMULATOR)
    (folder / "volts.csv").write_text("volts\n1.1\n1.4\n2.1\n2.4\n3.0\n")
    return folder


@pytest.fixture(scope="session")
def finished(experiment) -> Path:
    """The directory of a finished run."""
    out = experiment / "finished"
    done = quincunx(
        "infer", experiment / "line.py", "--data", experiment / "volts.csv", "--out", out, *QUICK, "--seed", 7
    )
    assert done.exit_code == 0, done.err
    return out
