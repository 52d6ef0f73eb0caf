"""What every test runs under: one thread, no display, and fresh warnings. Shapes are checked by the ``addopts`` of pyproject.toml."""

import os
import signal
import sys
from pathlib import Path

import pytest

# Before JAX starts: the machine's cores are shared between the test workers, one thread each.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")

# A run that a shell started in the background ignores Ctrl-C, and so would the processes that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Linux lets a process have 65,530 maps of memory; XLA takes several for every function that it compiles, and ends the process when none is left.
_MAPS = 8_000


LONG = Path(__file__).parent / "long.txt"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Tests in long.txt are marked slow, by node id: each has shorter kin that run always, or is a study."""
    long = {line for line in LONG.read_text().splitlines() if line and not line.startswith("#")}
    for item in items:
        if item.nodeid in long:
            item.add_marker(pytest.mark.slow)


def pytest_configure(config):
    """Registered, not merely written here: doctests stand outside this folder."""
    config.pluginmanager.register(_Compiled(), "compiled")


class _Compiled:
    """Between files, what is compiled is forgotten once there is much of it; the cache on disk still has it."""

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self, item, nextitem):
        if nextitem is None or nextitem.path != item.path:
            maps = Path("/proc/self/maps")
            jax = sys.modules.get("jax")
            if jax is not None and maps.exists() and len(maps.read_bytes().splitlines()) > _MAPS:
                jax.clear_caches()
