"""One run of one command: render, run, and see what it left."""

import secrets
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from quincunx.errors import SimulationFailed
from quincunx.model.command.container import INSIDE
from quincunx.model.command.declaration import Command
from quincunx.model.command.environment import seen
from quincunx.model.command.parameter_file import ONE, TABLES, Point
from quincunx.model.command.placeholder import columns, render
from quincunx.model.command.process import run_process
from quincunx.model.command.scratch import tail, writing

__all__ = ["carry_out"]


def carry_out(command: Command, points: Sequence[Point], upstream: Mapping[str, Path], folder: Path) -> None:
    """Write the inputs into the scratch directory, run the program there, and return when it has ended well.

    `points` is one simulation, or the rows of a batch; `upstream` are the outputs of the stage before.

    Raises:
        SimulationFailed: if it ends in any other way.
        UnknownPlaceholder, CommandNotFound: before anything is run.
    """
    shown = folder if command.container is None else INSIDE
    values = {} if command.batch else points[0].values()
    values |= {} if points[0].events is None else {"events": str(points[0].events)}
    values |= {f"input.{name}": str(shown / file.path) for name, file in command.inputs.items()}
    values |= {f"output.{name}": str(shown / output.path) for name, output in command.outputs.items()}
    for group, files in (("code", command.code), ("upstream", upstream)):
        for name, path in files.items():  # type: ignore[union-attr]
            values[f"{group}.{name}"] = str(
                _bring(Path(path), folder, f"{group}/{name}", command.container is not None)
            )
    _write_inputs(command, points, values, folder)
    with writing(folder):
        for output in command.outputs.values():
            if output.fixed:
                (folder / output.path).parent.mkdir(parents=True, exist_ok=True)
    rendered = [render(part, values, f"argv of '{command.name}'") for part in command.argv]
    argv = [rendered[0] if command.container is not None else command.program(), *rendered[1:]]
    own = {name: render(text, values, f"the environment variable {name}") for name, text in command.variables.items()}
    if command.prefix is not None:
        own |= _as_variables(command.prefix, points[0])
    variables, after_kill = seen(command.inherit, own), None
    if command.container is not None:
        name = f"quincunx-{secrets.token_hex(8)}"
        argv = command.container.argv(argv, folder, own, name, command.memory)
        kill = command.container.kill_argv(name)
        after_kill = None if kill is None else lambda: subprocess.run(kill, capture_output=True, check=False)
    limits = command.limits
    ended = run_process(argv, folder=folder, variables=variables, limits=limits, after_kill=after_kill)
    if ended.outcome != "ok":
        by_engine = ended.outcome == "failed" and command.container is not None
        explained = command.container.explain(ended.code, command.memory) if by_engine else None
        outcome, detail = explained or (ended.outcome, ended.said(limits))
        raise SimulationFailed(outcome, detail, tail(folder / "stderr"))


def _bring(path: Path, folder: Path, place: str, copied: bool) -> Path:
    """Where the program sees a file: as it is, or in a container a copy of it."""
    if not copied:
        return path
    with writing(folder):
        copy = folder / place / path.name
        copy.parent.mkdir(parents=True)
        shutil.copy(path, copy)
    return INSIDE / place / path.name


def _write_inputs(command: Command, points: Sequence[Point], values: Mapping[str, str], folder: Path) -> None:
    for name, file in command.inputs.items():
        if file.template is not None:
            text = render(file.template, values, f"the input file '{name}'")
        elif command.batch:
            text = TABLES[file.format](points)
        else:
            text = ONE[file.format](points[0])
        with writing(folder):
            path = folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def _as_variables(prefix: str, point: Point) -> dict[str, str]:
    design = {f"design.{name}": text for name, text in columns(point.design or {}).items()}
    named = {**columns(point.theta), **design, "seed": str(point.seed)}
    return {f"{prefix}{_identifier(name)}": text for name, text in named.items()}


def _identifier(name: str) -> str:
    """`v[0]` as `v_0`, `design.dose` as `design_dose`: what a shell can name."""
    return "".join(letter if letter.isalnum() else "_" for letter in name).rstrip("_")
