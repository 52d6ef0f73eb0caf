"""Worker processes that start clean, end with their parent, and leave Ctrl-C to it."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing.connection import wait
from typing import Any

__all__ = ["CleanPool", "clean_start", "die_with_parent", "end_workers"]

# Hiding the main script and setting the environment concern the whole process, and pools are started from several threads.
_starting = threading.Lock()


class CleanPool(ProcessPoolExecutor):
    """A pool of spawned processes with one thread each, in which nothing of the user's script is run again.

    >>> with CleanPool(1) as pool:
    ...     pool.submit(divmod, 7, 2).result()
    (3, 1)
    """

    def __init__(self, workers: int):
        super().__init__(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        # Processes are started as tasks are handed in.
        with clean_start():
            return super().submit(fn, *args, **kwargs)

    def kill(self) -> None:
        """End every worker now; what was under way is lost."""
        end_workers(self)
        self.shutdown(wait=False, cancel_futures=True)


def end_workers(pool: ProcessPoolExecutor) -> None:
    """Ask every process of a pool to end, by which the programs that they run are ended too."""
    for process in list((getattr(pool, "_processes", None) or {}).values()):
        process.terminate()


@contextlib.contextmanager
def clean_start() -> Iterator[None]:
    """Start workers with one thread each, and without running the user's script again in every one of them.

    `spawn` imports the main script anew, with all it does; nothing of it is needed here, so it is hidden meanwhile.
    """
    with _starting:
        main = sys.modules["__main__"]
        names: tuple[str, ...] = ("__file__", "__spec__")
        hidden = {name: main.__dict__.pop(name) for name in names if name in main.__dict__}
        main.__spec__ = None
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        before = {name: os.environ.get(name) for name in (*threads, "JAX_PLATFORMS")}
        os.environ.update(threads, JAX_PLATFORMS=os.environ.get("JAX_PLATFORMS", "cpu"))
        try:
            yield
        finally:
            main.__dict__.update(hidden)
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def die_with_parent() -> None:
    """Have this worker process end when the one that started it does, however that ends.

    A worker waits for tasks on a pipe that it holds open itself, so that it would wait for ever.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
