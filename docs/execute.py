"""Run the examples of a page and put what they print under them: python docs/execute.py docs/infer.md ...

A block of Python is executed, and shares its names with the blocks before it; a block whose first line is a comment with the name of a
file is written to that file. A line of `sh` is a command of ours; `bash` is given to bash; `console` is shown and not run. A block of `text`
right after one that was run is what it printed.
"""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from quincunx.cli.main import app

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"\A# (\S+\.\w+)\n")
ANSWERS = {"check": {0, 3}, "demo": {0, 3}}
"""Commands that may end with another exit code than 0: a check that fails is an answer too."""


@dataclass(frozen=True)
class Shown:
    """What a page shows under one of its examples, where in the page, and what the example printed."""

    start: int
    end: int
    page: str
    real: str


def run_page(page: str, folder: Path) -> tuple[dict, list[Shown]]:
    """Run a page's examples in a folder: the names that its Python leaves, and all that was printed under them."""
    names: dict = {}
    shown, last, end = [], "", -1
    with contextlib.chdir(folder):
        for found in BLOCK.finditer(page):
            language, text = found.groups()
            if language == "text":
                if page[end : found.start()].strip() == "" and end >= 0:
                    shown.append(Shown(found.start(2), found.end(2), text, last))
                continue
            last, end = _run(language, text, names), found.end()
    return names, shown


def _run(language: str, text: str, names: dict) -> str:
    named = FILE.match(text)
    if named is not None:
        Path(named.group(1)).write_text(text if language != "csv" else text[named.end() :])
        return ""
    if language == "python":
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(text, "example", "exec"), names)
        return out.getvalue()
    if language == "sh":
        return "".join(_command(line) for line in text.replace("\\\n", " ").splitlines() if line.strip())
    return _bash(text) if language == "bash" else ""


def _command(line: str) -> str:
    name, *arguments = shlex.split(line, comments=True)
    done = CliRunner().invoke(app, arguments)
    if name != "quincunx" or done.exit_code not in ANSWERS.get(arguments[0], {0}):
        raise RuntimeError(f"'{line}' ended with exit code {done.exit_code}\n{done.output}")
    return done.stdout


def _bash(text: str) -> str:
    """By bash, with `quincunx` and `python` those of this interpreter."""
    with tempfile.TemporaryDirectory() as place:
        for name, options in (("quincunx", "-m quincunx.cli"), ("python", "")):
            script = Path(place) / name
            script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {options} "$@"\n')
            script.chmod(0o755)
        path = os.pathsep.join([place, os.environ["PATH"]])
        done = subprocess.run(
            ["bash", "-e", "-c", text], env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=600
        )
    if done.returncode:
        raise RuntimeError(f"bash ended with exit code {done.returncode}\n{text}\n{done.stderr}")
    return done.stdout


def refresh(path: Path) -> None:
    """Write a page again with what its examples print now."""
    page = path.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        _, shown = run_page(page, Path(folder))
    for one in reversed(shown):
        page = page[: one.start] + one.real.rstrip("\n") + "\n" + page[one.end :]
    path.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        refresh(Path(name).resolve())
