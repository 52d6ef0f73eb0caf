"""Declarations of commands in TOML."""

import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quincunx.errors import DataFileError, UsageError

if TYPE_CHECKING:
    from quincunx.model.command.declaration import Command

__all__ = ["read_declaration", "read_toml"]


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file's content.

    Raises:
        DataFileError: if there is no such file, or it is not TOML.
    """
    if not path.is_file():
        raise DataFileError(f"got '{path}', which is not a file; expected a declaration in TOML; check the path")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataFileError(f"'{path}' is not TOML ({error}); expected a command's fields; mend that line") from error


def read_declaration(cls: "type[Command]", path: Path, known: Collection[str]) -> "Command":
    """A command from the fields in a TOML file.

    Raises:
        DataFileError: as `read_toml`.
        UsageError: for keys that are not fields, or if argv or outputs are missing.
    """
    content = read_toml(path)
    unknown = sorted(set(content) - set(known))
    missing = [name for name in ("argv", "outputs") if name not in content]
    if unknown or missing:
        said = [f"unknown {unknown}"] * bool(unknown) + [f"missing {missing}"] * bool(missing)
        raise UsageError(
            f"got the keys {sorted(content)} in '{path}'; expected some of {sorted(known)}, among them argv and outputs; "
            f"{', '.join(said)}"
        )
    content["folder"] = str(path.resolve().parent / content.get("folder", ""))
    for name in ("scratch", "cache"):
        if name in content:
            content[name] = str(Path(content["folder"]) / content[name])
    return cls(**content)
