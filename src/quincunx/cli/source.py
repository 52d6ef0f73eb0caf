"""Where a simulator comes from: a gallery problem by name, or a Python file that defines one, or a study."""

import difflib
import hashlib
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from quincunx.errors import SimulatorError, UnknownProblem, UsageError


@dataclass(frozen=True)
class Source:
    """A simulator and how it was named; ``problem`` is the gallery's, with its observation and truth, or None for a file.

    ``module`` is what the file was imported as, in which a study may be declared.
    """

    text: str
    simulator: Any
    problem: Any = None
    sha256: str | None = None
    module: ModuleType | None = None

    @property
    def name(self) -> str:
        """A short name fit for a directory."""
        return self.problem.name if self.problem is not None else Path(self.text).stem


def read_source(text: str) -> Source:
    """Load the simulator that ``text`` names.

    Raises:
        UsageError: no such file, or a file that defines no simulator, or several.
        UnknownProblem: no gallery problem of that name.
        SimulatorError: the file raised while it was imported.
    """
    if text.endswith(".py") or "/" in text:
        path = Path(text)
        if not path.is_file():
            raise UsageError(f"there is no file {text}; give the path of a Python file, or a name from: quincunx list")
        module = _module_of(path)
        return Source(text, _one_simulator(module, path), None, digest(path), module)
    from quincunx import gallery

    try:
        problem = gallery.load(text)
    except UnknownProblem as error:
        close = difflib.get_close_matches(text, list(gallery.names()), n=1)
        meant = f"; did you mean {close[0]}?" if close and close[0] not in str(error) else ""
        raise UnknownProblem(f"{error}{meant}") from error
    return Source(text, problem.simulator, problem)


def read_again(options: Mapping[str, Any]) -> Source:
    """The simulator of an earlier run, from the options in its run.json.

    Raises:
        UsageError: its file has changed since, so that checks would be about another simulator.
    """
    source = read_source(options["source"])
    if source.sha256 != options.get("sha256"):
        raise UsageError(
            f"{source.text} has changed since this run, whose posterior is about the file as it was; "
            "put the old file back, or infer again into another directory"
        )
    return source


def digest(path: Path) -> str:
    """SHA-256 of a file, to say later whether it is still the same."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _module_of(path: Path) -> ModuleType:
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        # Appended, not put first: a file called random.py must not hide the library's. Worker processes inherit the path.
        sys.path.append(folder)
    name = path.stem if path.stem.isidentifier() and path.stem not in sys.modules else f"quincunx_source_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} cannot be imported as Python; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        line = _line_in(error, path)
        raise SimulatorError(
            f"{path}{line} raised {type(error).__name__}: {error}; run it with `python {path}` until it imports cleanly"
        ) from error
    return module


def _line_in(error: BaseException, path: Path) -> str:
    place = error.__traceback__
    line = ""
    while place is not None:
        if Path(place.tb_frame.f_code.co_filename).name == path.name:
            line = f", line {place.tb_lineno},"
        place = place.tb_next
    return line


def _one_simulator(module: ModuleType, path: Path) -> Any:
    from quincunx.model import Simulator

    named = getattr(module, "simulator", None)
    if isinstance(named, Simulator):
        return named
    declared = studies_in(module)
    if len(declared) == 1:
        return next(iter(declared.values())).simulator
    # One simulator under two names is still one simulator.
    found = {id(value): name for name, value in vars(module).items() if isinstance(value, Simulator)}
    if len(found) == 1:
        return getattr(module, next(iter(found.values())))
    if found:
        raise UsageError(
            f"{path} defines several simulators ({', '.join(sorted(found.values()))}); call the one to use `simulator`"
        )
    raise UsageError(f"{path} defines no simulator; decorate a function with @qx.simulator(prior)")


def studies_in(module: ModuleType) -> dict[str, Any]:
    """The studies that a module declares, by name; one under two names counts once."""
    study = sys.modules.get("quincunx.lab.study")
    # A module that declares one has loaded the class; whoever only has a simulator need not.
    found = {} if study is None else {id(v): (n, v) for n, v in vars(module).items() if isinstance(v, study.Study)}
    return dict(found.values())
