"""A setting that is a vector, from the shell: proposed, overridden, told, shown."""

from .conftest import quincunx

SOURCE = """
import types
import jax, jax.numpy as jnp
import numpyro.distributions as dist
import quincunx as qx

def log_likelihood(theta, x, design):
    return jax.scipy.stats.norm.logpdf(x, design["times"] * theta["a"], 0.5).sum()

@qx.simulator(qx.Prior(a=dist.Normal(0.0, 1.0)), tractable=types.SimpleNamespace(log_likelihood=log_likelihood))
def line(theta, *, key, design):
    return design["times"] * theta["a"] + 0.5 * jax.random.normal(key, (2,))

space = qx.Space(times=(0.0, 2.0, 2), increasing=["times"])
study = qx.Study(line, designer=qx.Designer(space, rounds=1, n=32, inner=32, first={"times": (1.0, 2.0)}))
"""


def test_a_person_overrides_a_vector_and_all_of_it_is_shown(tmp_path):
    source, run, data = tmp_path / "line.py", tmp_path / "run", tmp_path / "told.json"
    source.write_text(SOURCE)
    data.write_text("[0.2, 0.9]")

    def loop(*more, code=0):
        done = quincunx("loop", source, "--run", run, *more)
        assert done.exit_code == code, (done.exit_code, done.out, done.err)
        return done

    first = loop()
    assert "proposed: times = [1, 2]" in first.out and '--override "times=...,..."' in first.out
    assert "2 numbers" in loop("--override", "times=1", code=2).err
    assert "increasing" in loop("--override", "times=2,1", code=2).err
    assert "measure at times = [0.5, 1.5]" in loop("--override", "times=0.5,1.5", "--by", "Ada").out
    assert "times = [0.5, 1.5]" in quincunx("status", run).out
    told = loop("--tell", data, "--report", tmp_path / "page.html", "--json").json
    assert told["state"] == "stopped" and told["timeline"][0]["design"] == {"times": [0.5, 1.5]}
    assert "times = [0.5, 1.5]" in (tmp_path / "page.html").read_text()


def test_a_design_of_the_shell_is_a_vector_too(tmp_path):
    source = tmp_path / "line.py"
    source.write_text(SOURCE)
    done = quincunx("design", source, "--settings", "times=0:2:2", "--grid", 2, "--out", tmp_path / "c.svg", "--json")
    assert done.exit_code == 0, done.err
    assert done.json["design"]["times"] == [2.0, 2.0] and len(done.json["curve"]["designs"]["times"]) == 4
