"""Every command and every snippet of the README is run, and its output is what the README says."""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PYTHON = [text for language, text in BLOCKS if language == "python"]
COMMANDS = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines() if line.strip()]
NUMBER = re.compile(r"-?\d[\d,]*\.?\d*(?:e-?\d+)?")


def shell(command: str, folder: Path) -> subprocess.CompletedProcess:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-euc", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


def same(said: str, got: str) -> None:
    """Texts agree word for word, and numbers to a fifth: training rounds differently on other processors."""
    assert NUMBER.sub("#", said).split() == NUMBER.sub("#", got).split()
    for one, other in zip(NUMBER.findall(said), NUMBER.findall(got), strict=True):
        a, b = float(one.replace(",", "")), float(other.replace(",", ""))
        assert abs(a - b) <= 0.2 * max(abs(a), abs(b), 0.25), f"README says {one}, this machine {other}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("readme")


@pytest.fixture(scope="module")
def example(folder):
    """The Python blocks, run one after another in one namespace; what the first printed."""
    namespace: dict = {}
    printed = io.StringIO()
    here = Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(PYTHON[0], "README.md", "exec"), namespace)
        first = printed.getvalue()
        for text in PYTHON[1:]:
            exec(compile(text, "README.md", "exec"), namespace)
    finally:
        os.chdir(here)
    return namespace, first


def test_the_example_prints_what_the_readme_says(example):
    (said,) = [text for language, text in BLOCKS if language == "text"]
    same(said, example[1])


def test_the_example_is_about_a_dozen_lines():
    assert sum(bool(line.strip()) for line in PYTHON[0].splitlines()) <= 14


def test_the_second_snippet_makes_what_it_says(example, folder):
    namespace, _ = example
    assert namespace["draws"]["rate"].shape == (10_000,)
    assert namespace["density"].shape == (10_000,)
    assert namespace["again"].names == ("rate", "lifetime")
    assert (folder / "decay.qx").stat().st_size > 0
    assert set(namespace["tree"].posterior.data_vars) == {"rate", "lifetime"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_runs(command, folder):
    """In the order of the README, in one directory, so that a later one finds what an earlier one made."""
    program, *arguments = shlex.split(command)
    if program == "make":
        # This very test runs inside `make test`: here only that the target exists and what it would do.
        done = shell(f"make -n -C {shlex.quote(str(ROOT))} {shlex.join(arguments)}", folder)
    elif program == "pip":
        # The environment that runs this test was made by installing this tree; here only that it can be resolved.
        done = shell(
            f"{shlex.quote(sys.executable)} -m pip {arguments[0]} --dry-run --no-deps {shlex.quote(str(ROOT))}", folder
        )
    else:
        if "decay.py" in arguments:
            lines = PYTHON[0].split("\ncounts =")[0]
            (folder / "decay.py").write_text(lines + "\n")
            counts = re.search(r"jnp\.array\(\[(.*?)\]\)", PYTHON[0])[1].split(",")
            header = ",".join(f"x[{i}]" for i in range(len(counts)))
            (folder / "counts.csv").write_text(f"{header}\n{','.join(c.strip() for c in counts)}\n")
        done = shell(command, folder)
    # 3 is an answer too: the checks ran, and one of them found the posterior of so few simulations wanting
    answers = {0, 3} if arguments[:1] in (["check"], ["demo"]) else {0}
    assert done.returncode in answers, done.stdout + done.stderr


def test_every_link_leads_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_the_picture_is_the_one_that_the_package_draws(folder):
    """Shapes and their number; Matplotlib may place the last digit elsewhere in another version."""
    done = shell(f"{shlex.quote(sys.executable)} {shlex.quote(str(ROOT / 'docs' / 'draw.py'))} loop.svg", folder)
    assert done.returncode == 0, done.stderr
    shapes = [re.findall(r"<(\w+)", path.read_text()) for path in (folder / "loop.svg", ROOT / "docs" / "loop.svg")]
    assert shapes[0] == shapes[1]


def test_commands_are_in_the_makefile():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", "\n".join(COMMANDS), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
