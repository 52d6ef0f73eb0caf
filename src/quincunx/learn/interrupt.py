"""Ctrl-C as a request: the first one is noticed or asks for an end, the second is a `KeyboardInterrupt`. All of Quincunx's long work hears it here."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

__all__ = ["SIGNALS", "interrupts", "interruption"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what batch systems send shortly before they kill."""


@contextmanager
def interrupts(
    stop: Callable[[], None], *, numbers: Sequence[signal.Signals] = SIGNALS, at_once: Sequence[signal.Signals] = ()
) -> Iterator[None]:
    """Within, the first of the signals `numbers` calls `stop`, and every later one is a `KeyboardInterrupt`; so is one of those that end `at_once`.

    Signals are heard by the main thread only: in others nothing changes. Afterwards the handlers are those of before.

    >>> import signal
    >>> said = []
    >>> with interrupts(lambda: said.append("stop")):
    ...     signal.raise_signal(signal.SIGINT)
    >>> said
    ['stop']
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    count = 0

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        if count > 1:
            raise KeyboardInterrupt
        stop()

    wanted = dict.fromkeys(numbers, hear) | dict.fromkeys(at_once, signal.default_int_handler)
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
    noted: list[bool] = []
    replaced = [number for number in SIGNALS if signal.getsignal(number) is signal.default_int_handler]
    with interrupts(lambda: noted.append(True), numbers=replaced):
        yield lambda: bool(noted)
