"""Input files of a command: a template to be filled in, or parameters written in a format."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quincunx.errors import UsageError
from quincunx.model.command.parameter_file import ONE, TABLES
from quincunx.notebook import from_fields

__all__ = ["Input", "check_inside"]


@dataclass(frozen=True)
class Input:
    """A file written into the scratch directory before the program starts, its name there in `path`.

    Either `template` is its text, with placeholders, or `format` says how parameters, settings and seed are written:
    json, toml or plain for one simulation, csv or json (a table) for a batch.

    Raises:
        UsageError: for both or neither, an unknown format, or a path that leaves the scratch directory.

    >>> Input("card.dat", template="beta = {beta}")
    Input(path='card.dat', template='beta = {beta}', format=None)
    """

    path: str
    template: str | None = None
    format: str | None = None

    def __post_init__(self) -> None:
        check_inside(self.path, "input file")
        if (self.template is None) == (self.format is None):
            raise UsageError(
                f"got {'neither' if self.template is None else 'both'} template and format for the input file "
                f"'{self.path}'; expected one of them; write Input(path, template=text) or Input(path, format='json')"
            )
        if self.format is not None and self.format not in {**ONE, **TABLES}:
            raise UsageError(
                f"got the format {self.format!r} for the input file '{self.path}'; expected one of "
                f"{sorted({**ONE, **TABLES})}; or write a template of your own"
            )

    @classmethod
    def of(cls, given: "Input | Mapping[str, Any]", folder: Path) -> "Input":
        """From its fields in a mapping, as TOML gives them; there `template` names a file, relative to `folder`."""
        if isinstance(given, Input):
            return given
        fields = dict(given)
        unknown = sorted(set(fields) - {"path", "template", "text", "format"})
        if unknown or "path" not in fields:
            raise UsageError(
                f"got an input file with {sorted(fields)}; expected path and one of template (a file's name), text and "
                f"format; {'remove ' + ', '.join(unknown) if unknown else 'add path'}"
            )
        text = fields.get("text")
        if "template" in fields:
            file = folder / fields["template"]
            if not file.is_file():
                raise UsageError(f"got the template '{file}', which is not a file; expected one; correct its path")
            text = file.read_text(encoding="utf-8")
        return cls(fields["path"], text, fields.get("format"))

    _repr_html_ = from_fields


def check_inside(path: str, what: str) -> None:
    """Refuse a path that is not below the scratch directory.

    >>> check_inside("out/x.json", "output")
    """
    if not path or Path(path).is_absolute() or ".." in Path(path).parts:
        raise UsageError(
            f"got '{path}' as the path of the {what}; expected one below the scratch directory; make it relative, "
            "without '..'"
        )
