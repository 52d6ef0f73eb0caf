"""Declarations: what they say, in Python and in TOML, and what they refuse before anything is run."""

import numpy as np
import numpyro.distributions as dist
import pytest

import quincunx as qx
from quincunx.errors import CommandNotFound, DataFileError, UnknownPlaceholder, UsageError
from quincunx.model.command.declaration import Command

PRIOR = qx.Prior(beta=dist.Uniform(0.0, 1.0), v=dist.Normal(np.zeros(2), 1.0).to_event(1))
ARGV = ["echo", "{beta}", "{v[0]}", "{v[1]}", "{seed}"]
X = {"x": qx.Output("stdout", "regex", r"\S+")}

TOML = """
name = "sir"
version = "2"
argv = ["sh", "{code.run}", "{input.card}", "{design.dose}"]
code = ["run.sh"]
timeout = 10
inherit = ["OMP_NUM_THREADS"]

[variables]
SIR_SEED = "{seed}"

[inputs.card]
path = "card.dat"
template = "card.template"

[outputs.counts]
path = "out/counts.csv"
select = ["day", "infected"]
shape = [3, 2]
"""


@pytest.fixture
def toml(tmp_path):
    (tmp_path / "card.template").write_text("beta = {beta} {{ {v[0]} {v[1]} }}\n")
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    path = tmp_path / "sir.toml"
    path.write_text(TOML)
    return path


def test_toml_says_the_same_as_python(toml):
    inputs = {"card": qx.Input("card.dat", template="beta = {beta} {{ {v[0]} {v[1]} }}\n")}
    said = Command(
        ["sh", "{code.run}", "{input.card}", "{design.dose}"],
        {"counts": qx.Output("out/counts.csv", "csv", ("day", "infected"), (3, 2))},
        name="sir",
        version="2",
        inputs=inputs,
        code=["run.sh"],
        timeout=10,
        inherit=["OMP_NUM_THREADS"],
        variables={"SIR_SEED": "{seed}"},
        folder=str(toml.parent),
    )
    read = Command.from_toml(toml)
    assert read == said and hash(read) == hash(said)
    assert qx.command(PRIOR, toml).name == "sir"


def test_a_declaration_cannot_be_changed(toml):
    declared = Command.from_toml(toml)
    for change in (
        lambda: setattr(declared, "name", "x"),
        lambda: declared.variables.update(A="1"),
        lambda: declared.outputs.clear(),
    ):
        with pytest.raises((AttributeError, TypeError)):
            change()


def test_a_declaration_saves_and_loads(toml, tmp_path):
    declared = Command.from_toml(toml)
    qx.save(declared, tmp_path / "sir.qx")
    assert qx.load(tmp_path / "sir.qx") == declared


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("argv = ['true']\n", r"missing \['outputs'\]"),
        ("argv = ['true']\noutputs.x = 'x.json'\nshell = true\n", r"unknown \['shell'\]"),
        ("argv = ['true']\noutputs.x = 'x.json'\ninputs.a.path = 'a'\n", "neither template and format"),
        (
            "argv = ['true']\noutputs.x = 'x.json'\ninputs.a = {path = 'a', template = 'b'}\n",
            "'.*b', which is not a file",
        ),
        ("argv = ['true']\noutputs.x = 'x.json'\ninputs.a = {path = 'a', mode = 'b'}\n", "remove mode"),
        ("argv = ['true']\noutputs.x = 'x.json'\ntimeout = 'long'\n", "timeout"),
        ("argv = 'true -x'\noutputs.x = 'x.json'\n", "no shell"),
        ("argv = []\noutputs.x = 'x.json'\n", "program first"),
    ],
)
def test_toml_that_makes_no_sense(text, match, tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(Exception, match=match) as caught:
        Command.from_toml(path)
    # Where types are checked, as in the tests, a wrong one may be refused even earlier.
    assert isinstance(caught.value, UsageError) or "Type-check" in str(caught.value)


def test_a_file_that_is_not_there_or_not_toml(tmp_path):
    with pytest.raises(DataFileError, match="not a file"):
        Command.from_toml(tmp_path / "c.toml")
    (tmp_path / "c.toml").write_text("argv = [")
    with pytest.raises(DataFileError, match="not TOML"):
        Command.from_toml(tmp_path / "c.toml")


def test_unknown_placeholders_are_refused_wherever_they_stand():
    with pytest.raises(UnknownPlaceholder, match=r"\{gamma\} in argv of 'echo'; expected one of \{beta\}, \{v\[0\]\}"):
        qx.command(PRIOR, argv=[*ARGV, "{gamma}"], outputs=X)
    with pytest.raises(UnknownPlaceholder, match="the environment variable SIR_N"):
        qx.command(PRIOR, argv=ARGV, outputs=X, variables={"SIR_N": "{n}"})
    with pytest.raises(UnknownPlaceholder, match="the input file 'card'"):
        qx.command(PRIOR, argv=ARGV, outputs=X, inputs={"card": qx.Input("card", template="{v}")})
    with pytest.raises(UnknownPlaceholder, match="upstream"):
        qx.command(PRIOR, argv=[*ARGV, "{upstream.x}"], outputs=X)


def test_a_pattern_has_no_path_to_be_told():
    with pytest.raises(UnknownPlaceholder, match=r"output\.x"):
        qx.command(PRIOR, argv=[*ARGV, "{output.x}"], outputs={"x": "out-*.json"})


def test_a_command_that_is_not_there_is_refused_before_anything_is_run(tmp_path):
    with pytest.raises(CommandNotFound, match=r"'no-such-program', which is not on the PATH"):
        qx.command(PRIOR, argv=["no-such-program", *ARGV[1:]], outputs=X)
    with pytest.raises(CommandNotFound, match="not at"):
        qx.command(PRIOR, argv=["./sir", *ARGV[1:]], outputs=X, folder=str(tmp_path))
    (tmp_path / "sir").write_text("#!/bin/sh\n")
    with pytest.raises(CommandNotFound, match="make it executable"):
        qx.command(PRIOR, argv=["./sir", *ARGV[1:]], outputs=X, folder=str(tmp_path))
    with pytest.raises(CommandNotFound, match="make it executable"):
        qx.command(PRIOR, argv=["{code.sir}", *ARGV[1:]], outputs=X, code=["sir"], folder=str(tmp_path))
    (tmp_path / "sir").chmod(0o755)
    qx.command(PRIOR, argv=["{code.sir}", *ARGV[1:]], outputs=X, code=["sir"], folder=str(tmp_path))
    with pytest.raises(CommandNotFound, match=r"the code 'sim' of 'sh'"):
        qx.command(PRIOR, argv=["sh", "{code.sim}", *ARGV[1:]], outputs=X, code=["sim.sh"], folder=str(tmp_path))


def test_a_parameter_that_reaches_no_program_is_refused():
    with pytest.raises(UsageError, match=r"\['v'\], which reach no program"):
        qx.command(PRIOR, argv=["echo", "{beta}"], outputs=X)
    qx.command(PRIOR, argv=["echo"], outputs=X, prefix="SIR_")
    qx.command(PRIOR, argv=["echo"], outputs=X, inputs={"p": qx.Input("p.json", format="json")})


@pytest.mark.parametrize("options", [{"timeout": 0}, {"memory": -1}, {"keep": "sometimes"}, {"outputs": {}}])
def test_options_that_make_no_sense(options):
    with pytest.raises(Exception, match=next(iter(options))):
        Command(**({"argv": ARGV, "outputs": X} | options))


def test_sources_of_a_simulator_exclude_one_another():
    with pytest.raises(UsageError, match="argv and outputs"):
        qx.command(PRIOR, argv=ARGV)
    with pytest.raises(UsageError, match="beside a declaration"):
        qx.command(PRIOR, Command(ARGV, X), timeout=5)
    with pytest.raises(UsageError, match="not commands"):
        qx.command(PRIOR, [])
