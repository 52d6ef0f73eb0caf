"""Ctrl-C as a request: noticed between two steps of a loop, whatever the loop was in the middle of."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruption() -> Iterator[Callable[[], bool]]:
    """Inside, a first Ctrl-C is only noted, and the function that is given says so; a second one raises `KeyboardInterrupt`.

    An exception raised out of a signal may come up in a callback of compiled code, where it is lost; a note is not. Only handlers
    that would have raised `KeyboardInterrupt` are replaced, only in the main thread, and only until the end of the block.

    >>> import signal
    >>> with interruption() as asked:
    ...     before = asked()
    ...     signal.raise_signal(signal.SIGINT)
    ...     before, asked()
    (False, True)
    """
    count = 0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        if count > 1:
            raise KeyboardInterrupt

    here = threading.current_thread() is threading.main_thread()
    replaced = [s for s in _SIGNALS if here and signal.getsignal(s) is signal.default_int_handler]
    for number in replaced:
        signal.signal(number, note)
    try:
        yield lambda: count > 0
    finally:
        for number in replaced:
            signal.signal(number, signal.default_int_handler)
