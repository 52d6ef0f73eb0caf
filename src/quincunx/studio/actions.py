"""What may be done from the page, in the words of the command line: every request becomes one command, or is refused by name."""

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quincunx.errors import UsageError
from quincunx.lab.book.reading import Reading
from quincunx.studio.shelf import Place

__all__ = ["ACTIONS", "loop_words", "start_words"]

ACTIONS = ("approve", "tell", "go on", "overrule", "set aside", "stop")
VERBS = ("simulate", "infer", "loop", "demo")
_LONGEST = 2000
_FILE = {".csv", ".json"}


def loop_words(action: str, told: Mapping[str, Any], place: Place, book: Reading) -> tuple[list[str], list[Path]]:
    """The command for an action on a loop, and the files that it reads, which are to be removed after it.

    Raises:
        UsageError: for an action that is none, what it needs and was not said, or a run that does not say where its simulator is.
    """
    source = book.config.get("source")
    if not source:
        raise UsageError("this run was begun from Python and does not say where its simulator is; go on with it there")
    words = ["loop", str(source), "--run", place.where]
    if "://" in place.where:
        words += ["--name", place.name, "--folder", str(book.folder)]
    by = _text(told, "by", needed=True)
    words += [f"--by={by}"]
    files: list[Path] = []
    if action == "approve":
        design = _text(told, "design")
        words += [*([f"--override={design}"] if design else ["--approve"]), "--once"]
    elif action == "tell":
        files.append(_file(told))
        words += ["--tell", str(files[0])]
        design = _text(told, "design")
        words += [f"--design={design}"] if design else []
        words += ["--again"] if told.get("again") is True else []
        # Whoever tells data has not yet seen what they are followed by.
        words += ["--no-approve"]
    elif action == "go on":
        words += ["--approve" if told.get("approve") is True else "--no-approve"]
    elif action == "overrule":
        words += [f"--overrule={_text(told, 'why', needed=True)}", "--no-approve"]
    elif action == "set aside":
        words += [
            f"--set-aside={_whole(told, 'experiment')}",
            f"--why={_text(told, 'why', needed=True)}",
            "--no-approve",
        ]
    elif action == "stop":
        words += [f"--stop={_text(told, 'why', needed=True)}", "--no-approve"]
    else:
        raise UsageError(f"got the action {action!r}; expected one of {', '.join(ACTIONS)}")
    return words, files


def start_words(told: Mapping[str, Any], folder: Path) -> list[str]:
    """The command that begins something new: a verb, a source, a name in the studio's folder, and a few options.

    Raises:
        UsageError: for another verb, a source outside the folder, or a name that is none.

    >>> start_words({"verb": "simulate", "source": "two_moons", "name": "first", "budget": 100}, Path("."))
    ['simulate', 'two_moons', '--run', 'first', '--budget', '100', '--seed', '0']
    """
    verb = told.get("verb")
    if verb not in VERBS:
        raise UsageError(f"got the verb {verb!r}; expected one of {', '.join(VERBS)}")
    name = _text(told, "name", needed=True)
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,99}", name):
        raise UsageError(
            f"got the name {name!r}; expected letters, digits, dots, dashes and underscores; choose such a one"
        )
    if (folder / name).exists():
        raise UsageError(
            f"there is something called {name} already; choose another name, or go on with it on its own page"
        )
    words = [verb, _source(_text(told, "source", needed=True), folder)]
    words += ["--run", name] if verb in ("simulate", "loop") else ["--out", name]
    if verb in ("simulate", "infer", "demo") and told.get("budget") is not None:
        words += ["--budget", str(_whole(told, "budget"))]
    if verb == "infer":
        words += ["--observation", str(_whole(told, "observation", 1))]
        method = _text(told, "method")
        words += [f"--method={method}"] if method else []
    if verb == "loop":
        words += ["--mock"] if told.get("mock") is True else []
        words += ["--rounds", str(_whole(told, "rounds"))] if told.get("rounds") is not None else []
    return [*words, "--seed", str(_whole(told, "seed", 0))]


def _source(text: str, folder: Path) -> str:
    """A gallery problem's name, or a Python file within the folder."""
    if re.fullmatch(r"[a-z][a-z0-9_]*", text):
        return text
    path = (folder / text).resolve()
    if path.suffix == ".py" and path.is_file() and path.is_relative_to(folder.resolve()):
        return str(path)
    raise UsageError(f"got the source {text!r}; expected a gallery problem's name, or a Python file in {folder}")


def _text(told: Mapping[str, Any], name: str, *, needed: bool = False) -> str:
    value = told.get(name) or ""
    if not isinstance(value, str) or len(value) > _LONGEST or any(ord(letter) < 32 for letter in value):
        raise UsageError(f"got {name} that is no line of text; expected at most {_LONGEST:,} letters")
    if needed and not value.strip():
        raise UsageError(f"got no {name}; expected it; fill it in")
    return value.strip()


def _whole(told: Mapping[str, Any], name: str, default: int | None = None) -> int:
    value = told.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 10**12:
        raise UsageError(f"got {name} = {value!r}; expected a whole number")
    return value


def _file(told: Mapping[str, Any]) -> Path:
    name, content = told.get("file"), told.get("content")
    suffix = Path(name).suffix.lower() if isinstance(name, str) else ""
    if suffix not in _FILE or not isinstance(content, str) or not content.strip():
        raise UsageError(
            "got no data; expected a CSV or JSON file with what was measured; choose one, or paste its text"
        )
    descriptor, path = tempfile.mkstemp(prefix="quincunx-told-", suffix=suffix)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
    return Path(path)
