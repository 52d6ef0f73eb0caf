"""What a verb's end means to the shell: 0 done, 1 failed, 2 asked wrongly, 3 a check failed, 4 interrupted and resumable."""

import functools
import sys
from collections.abc import Callable
from typing import Any

import typer

from quincunx import errors
from quincunx.cli.console import emit, show_warnings, tell

DONE = 0
FAILED = 1
USAGE = 2
CHECK_FAILED = 3
RESUMABLE = 4

_ASKED_WRONGLY = (
    errors.UsageError,
    errors.UnknownMethod,
    errors.UnknownProblem,
    errors.OutputNotEmpty,
    errors.DesignOutsideSpace,
)


def code_of(error: BaseException) -> int:
    """The exit code an error ends with.

    >>> code_of(errors.OutputNotEmpty("out holds files")), code_of(errors.CorruptFile("cut short"))
    (2, 1)
    """
    if isinstance(error, errors.Interrupted):
        return RESUMABLE if error.resume else FAILED
    if isinstance(error, errors.UnexplainedData):
        return CHECK_FAILED
    return USAGE if isinstance(error, _ASKED_WRONGLY) else FAILED


def guarded(verb: Callable[..., None]) -> Callable[..., None]:
    """Wrap a verb so that every refusal is one line that says what to do, and an exit code a script can rely on.

    An error nobody foresaw keeps its traceback: it is ours to mend, not the reader's.
    """

    @functools.wraps(verb)
    def run(*arguments: Any, **options: Any) -> None:
        show_warnings()
        try:
            verb(*arguments, **options)
        except errors.QuincunxError as error:
            _tell(error, as_json=bool(options.get("json")))
            raise typer.Exit(code_of(error)) from error
        except KeyboardInterrupt as error:
            interrupted = errors.Interrupted("interrupted before there was anything to keep")
            _tell(interrupted, as_json=bool(options.get("json")))
            raise typer.Exit(FAILED) from error
        except BrokenPipeError:
            # The reader of our output has gone (| head): nothing is wrong, and nothing more can be said.
            sys.stderr.close()
            raise typer.Exit(FAILED) from None

    return run


def _tell(error: errors.QuincunxError, *, as_json: bool) -> None:
    kind = type(error).__name__
    tell(kind, str(error), "bold red")
    if as_json:
        emit({"error": {"kind": kind, "message": str(error), "resume": getattr(error, "resume", None)}})
