"""The declaration of a command: everything an executable needs in order to be a simulator, as plain data."""

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from quincunx.errors import CommandNotFound, UsageError
from quincunx.model.command.container import Container
from quincunx.model.command.given import Input
from quincunx.model.command.memory import can_measure
from quincunx.model.command.output import Output
from quincunx.model.command.parameter_file import ONE, TABLES
from quincunx.model.command.placeholder import check_placeholders, placeholders
from quincunx.model.command.process import Limits
from quincunx.model.command.scratch import KEEP, Keep
from quincunx.notebook import from_repr
from quincunx.values import register

__all__ = ["Command"]


@register("command")
@dataclass(frozen=True, eq=False, repr=False)
class Command:
    """A program in any language, and how one simulation is handed to it and read from it.

    `argv` is a list, never a line for a shell. Placeholders: `{beta}` or `{theta.beta}` (a number of an array as
    `{v[0]}`), `{design.dose}`, `{seed}` (1..2^31-1), `{events}`, `{input.NAME}`, `{output.NAME}` and `{code.NAME}` for the paths of
    files, `{upstream.NAME}` for the outputs of the stage before. Double braces to have them as they are.

    A program that is told `{events}` makes that many independent events in one run: its outputs have one row for each, and `shape` is that
    of one. It is asked for one unless more are wanted.

    Args:
        outputs: by name, an `Output` or the path of one; one output gives an array, several a dict of arrays.
        name, version: for messages, records and the cache.
        inputs: by name, the `Input` files to write.
        variables: environment variables to set, whose values are templates. prefix: if given, every parameter, setting
            and the seed are environment variables too, named <prefix><name>. inherit: variables to let through besides
            PATH, HOME and LANG.
        code: files whose content belongs to the program, by name or as a list (then named by their stems).
        batch: one run makes many simulations: it reads a table of parameters and seeds from an input in the format csv
            or json, and its outputs have one row for each.
        timeout: seconds by the clock. grace: seconds between SIGTERM and SIGKILL. memory: resident bytes of all its
            processes together, looked at 20 times a second (Linux only).
        container: the `Container` to run in.
        keep: whether scratch directories stay: never, on_failure or always. scratch: where they are made.
        cache: a directory of outcomes by content, looked up before anything is run.
        folder: where relative paths start; the current directory by default, for TOML the file's own.

    Raises:
        UsageError: for a declaration that makes no sense.
        UnknownPlaceholder: for a lone brace.

    >>> Command(["sir", "--beta", "{beta}", "--seed", "{seed}"], {"x": Output("stdout", "regex", r"\\d+")})
    Command(sir 0: sir --beta {beta} --seed {seed} -> x)
    """

    kind: ClassVar[str]

    argv: Sequence[str]
    outputs: Mapping[str, Any]
    name: str = ""
    version: str = "0"
    inputs: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    prefix: str | None = None
    inherit: Sequence[str] = ()
    code: Mapping[str, str] | Sequence[str] = ()
    batch: bool = False
    timeout: float | int | None = None
    grace: float | int = 5.0
    memory: int | None = None
    container: Any = None
    keep: Keep = "never"
    scratch: str | None = None
    cache: str | None = None
    folder: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.argv, str) or not self.argv or not all(isinstance(part, str) for part in self.argv):
            raise UsageError(
                f"got argv={self.argv!r}; expected a list of strings, the program first; no shell reads it: write "
                "['sir', '--beta', '{beta}']"
            )
        if not self.outputs:
            raise UsageError("got a command without outputs; expected at least one; write outputs={'x': 'result.json'}")
        if self.keep not in KEEP:
            raise UsageError(f"got keep={self.keep!r}; expected one of {', '.join(KEEP)}; name one of these")
        folder = Path(self.folder or ".").resolve()
        code = self.code if isinstance(self.code, Mapping) else {Path(file).stem: file for file in self.code}
        changed = {
            "argv": tuple(self.argv),
            "outputs": {name: Output.of(given) for name, given in self.outputs.items()},
            "inputs": {name: Input.of(given, folder) for name, given in self.inputs.items()},
            "name": self.name or Path(self.argv[0]).name,
            "variables": dict(self.variables),
            "inherit": tuple(self.inherit),
            "code": {name: str(folder / file) for name, file in code.items()},
            "container": Container.of(self.container),
            "folder": str(folder),
        }
        for name, value in changed.items():
            object.__setattr__(self, name, MappingProxyType(value) if isinstance(value, dict) else value)
        self._check_limits()
        self._check_formats()
        for template, where in self.templates():
            placeholders(template, where)

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> "Command":
        """Read a declaration from a TOML file, whose keys are the fields; its relative paths start at its folder.

        Raises:
            DataFileError: if there is no such file, or it is not TOML.
            UsageError: for a key that is not a field, naming those there are.
        """
        from quincunx.model.command.toml_file import read_declaration

        return read_declaration(cls, Path(path), {each.name for each in fields(cls)})

    @property
    def limits(self) -> Limits:
        """What it may take."""
        return Limits(self.timeout, self.grace, None if self._engine_limits_memory() else self.memory)

    def templates(self) -> tuple[tuple[str, str], ...]:
        """Every template, and where it stands, for messages."""
        given = ((file.template, f"the input file '{name}'") for name, file in self.inputs.items())
        return (
            *((part, f"argv of '{self.name}'") for part in self.argv),
            *((text, f"the environment variable {name}") for name, text in self.variables.items()),
            *((text, where) for text, where in given if text is not None),
        )

    @property
    def makes_events(self) -> bool:
        """Whether the program is told how many events to make."""
        return any("events" in placeholders(template, where) for template, where in self.templates())

    def files(self) -> tuple[str, ...]:
        """Placeholders for the paths of files."""
        fixed = [name for name, output in self.outputs.items() if output.fixed]
        groups = {"input": self.inputs, "output": fixed, "code": self.code}
        return tuple(f"{group}.{name}" for group, names in groups.items() for name in names)

    def check(self, parameters: Iterable[str], upstream: Iterable[str] = ()) -> None:
        """Refuse what could not work before anything is run.

        Raises:
            UnknownPlaceholder: listing what there is.
            CommandNotFound: for a program, file of code or container engine that is not there.

        >>> Command(["true", "{gamma}"], {"x": "x.json"}).check(["beta"])
        Traceback (most recent call last):
            ...
        quincunx.errors.UnknownPlaceholder: got the placeholder {gamma} in argv of 'true'; expected one of {beta}, ...
        """
        if os.name != "posix":
            raise CommandNotFound(
                f"got the command '{self.name}' on {sys.platform}; expected a POSIX system, where a program and all that "
                "it started can be ended together; run it under Linux, macOS or WSL"
            )
        if self.makes_events and "events" in parameters:
            raise UsageError(
                f"got the placeholder {{events}} in '{self.name}' and a parameter of that name; expected the number of events alone to be called "
                "so; write {theta.events} for the parameter, and another name for it where both are needed"
            )
        known = [] if self.batch else [*parameters, *(f"theta.{name}" for name in parameters), "seed"]
        known += ["events", *self.files(), *(f"upstream.{name}" for name in upstream)]
        for template, where in self.templates():
            check_placeholders(template, known, where, free=None if self.batch else "design.")
        self.program()
        for name, file in self.code.items():  # type: ignore[union-attr]
            if not Path(file).is_file():
                raise CommandNotFound(
                    f"got the code '{name}' of '{self.name}' at '{file}', where there is no file; expected one; correct "
                    "its path"
                )

    def program(self) -> str:
        """The program to start, as an absolute path; for a container, argv's first word.

        Raises:
            CommandNotFound: if it is not there, or cannot be executed.
        """
        first = self.argv[0]
        if self.container is not None:
            engine = self.container.engine
            if shutil.which(engine) is None:
                raise CommandNotFound(
                    f"got the container engine '{engine}' for '{self.name}', which is not on the PATH; expected it to be "
                    "installed; install it, or use another of docker, podman and apptainer"
                )
            return first
        given = self.code.get(first.removeprefix("{code.").removesuffix("}"))  # type: ignore[union-attr]
        if first.startswith("{code.") and given is not None:
            looked = given
        else:
            looked = str(Path(str(self.folder)) / first) if os.sep in first else first
        found = shutil.which(looked)
        if found is None:
            hint = (
                "make it executable" if Path(looked).is_file() else "install or build it, or correct its name in argv"
            )
            raise CommandNotFound(
                f"got the command '{first}', which is not {'at ' + looked if os.sep in looked else 'on the PATH'}; "
                f"expected an executable program; {hint}"
            )
        return os.path.abspath(found)

    def _check_limits(self) -> None:
        for name in ("timeout", "grace", "memory"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0):
                raise UsageError(
                    f"got {name}={value!r} for '{self.name}'; expected "
                    f"{'bytes' if name == 'memory' else 'seconds'}, above zero; correct it, or leave it out"
                )
        if self.limits.memory is not None and not can_measure():
            raise UsageError(
                f"got memory={self.memory} for '{self.name}' on a system that does not tell what processes hold; expected "
                "Linux; leave it out, or use a docker or podman container, which limits it itself"
            )

    def _check_formats(self) -> None:
        table = [name for name, file in self.inputs.items() if file.format is not None]
        allowed = TABLES if self.batch else ONE
        for name in table:
            if self.inputs[name].format not in allowed:
                raise UsageError(
                    f"got the format {self.inputs[name].format!r} for the input '{name}' of '{self.name}'; expected one "
                    f"of {', '.join(allowed)} for {'a batch' if self.batch else 'one simulation'}; change the format, or "
                    "`batch`"
                )
        if self.batch and (not table or self.prefix is not None):
            raise UsageError(
                f"got the batch command '{self.name}' {'with a prefix' if table else 'without a table of parameters'}; "
                "expected an input in the format csv or json, which alone carries parameters and seeds; write "
                "inputs={'table': Input('parameters.csv', format='csv')}"
            )

    def _engine_limits_memory(self) -> bool:
        return self.container is not None and self.container.engine != "apptainer"

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        spec = {each.name: getattr(self, each.name) for each in fields(self)}
        spec |= {name: list(spec[name]) for name in ("argv", "inherit")}
        spec |= {name: dict(spec[name]) for name in ("code", "variables")}
        spec["outputs"] = {name: output.to_spec() for name, output in self.outputs.items()}
        spec["inputs"] = {
            name: {"path": file.path, "text": file.template, "format": file.format}
            for name, file in self.inputs.items()
        }
        if self.container is not None:
            spec["container"] = {"engine": self.container.engine, "image": self.container.image}
        return spec, {}

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Command":
        return cls(**spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Command) and self.to_state() == other.to_state()

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_state()[0], sort_keys=True))

    def __repr__(self) -> str:
        return f"Command({self.name} {self.version}: {' '.join(self.argv)} -> {', '.join(self.outputs)})"

    _repr_html_ = from_repr
