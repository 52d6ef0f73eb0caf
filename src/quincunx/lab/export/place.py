"""Where an export goes: it appears whole under its name, or not at all, and replaces nothing."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quincunx.errors import OutputNotEmpty
from quincunx.run.durable import DRAFT, refusals

__all__ = ["new_place"]


@contextmanager
def new_place(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A draft beside `path` to write a file or a folder to; it takes that name when the block ends, and is removed if it raises.

    Raises:
        OutputNotEmpty: if there is something of that name. DiskFull, ReadOnlyFolder: if it cannot be written.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "table"
    >>> with new_place(target) as draft:
    ...     _ = draft.write_text("1")
    >>> target.read_text()
    '1'
    """
    target = Path(path)
    if target.exists():
        raise OutputNotEmpty(f"'{target}' is there already and is not overwritten; choose another name, or remove it")
    draft = target.parent / f"{DRAFT}{uuid.uuid4().hex}"
    with refusals(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield draft
            os.rename(draft, target)
        finally:
            if draft.is_dir():
                shutil.rmtree(draft, ignore_errors=True)
            else:
                draft.unlink(missing_ok=True)
