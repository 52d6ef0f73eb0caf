"""Who runs batches: what is chosen, what is refused, and processes that start clean and end with their parent."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pytest

from quincunx.errors import MissingExtra, UsageError
from quincunx.run.clean import CleanPool
from quincunx.run.clusters import dask_crew
from quincunx.run.executors import crew_for


def test_what_is_chosen():
    assert crew_for("jax").name == crew_for("host", workers=0).name == "in process"
    assert not crew_for("jax").sends and crew_for("jax").workers == 2 and crew_for("host", workers=0).workers == 1
    assert crew_for("host").name == "pool" and crew_for("host").workers == os.cpu_count()
    assert crew_for("host", travels=False).name == "in process"
    assert crew_for("jax", workers=3).name == "pool" and crew_for("jax", workers=3).ends


def test_an_executor_is_used_as_it_is_and_left_open():
    with ThreadPoolExecutor(3) as executor:
        crew = crew_for("host", executor=executor)
        assert crew.workers == 3 and not crew.sends and not crew.again
        crew.stop(crew.start(), True)
        assert executor.submit(int, "7").result() == 7
    crew = crew_for("host", executor=lambda: ThreadPoolExecutor(1), workers=1)
    assert crew.again and crew.start() is not crew.start()


@pytest.mark.parametrize(
    "options, said",
    [
        ({"executor": 5}, "got a int as executor"),
        ({"executor": ThreadPoolExecutor(1), "dask": "local"}, "expected one of them"),
        ({"workers": -1}, "got workers=-1"),
        ({"dask": "lsf"}, "got the Dask cluster 'lsf'"),
        ({"dask": "slurm:2"}, "got the Dask cluster 'slurm:2'"),
    ],
)
def test_what_is_refused(options, said):
    with pytest.raises(UsageError, match=said):
        crew_for("host", **options)


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtra, match="dask"):
        dask_crew("local")


def test_a_cluster_without_its_package_is_named(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with pytest.raises(UsageError, match="pip install dask-jobqueue"):
        dask_crew("slurm:1-20")


def test_processes_start_with_one_thread_each():
    before = dict(os.environ)
    with CleanPool(1) as pool:
        found = pool.submit(os.getenv, "OPENBLAS_NUM_THREADS").result()
    assert found == "1" and dict(os.environ) == before


def test_a_killed_worker_is_noticed():
    pool = CleanPool(1)
    with pytest.raises(BrokenProcessPool):
        pool.submit(os.kill, pool.submit(os.getpid).result(), signal.SIGKILL).result(60)
    pool.kill()


SCRIPT = """
import os, time
from quincunx.run.clean import CleanPool
print("begun", flush=True)
pool = CleanPool(1)
print(pool.submit(os.getpid).result(), flush=True)
time.sleep(600)
"""


def test_nothing_of_the_script_runs_again_and_workers_end_with_their_parent(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    process = subprocess.Popen([sys.executable, tmp_path / "script.py"], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    worker = int(process.stdout.readline())
    process.kill()
    process.wait()
    until = time.monotonic() + 20
    while _alive(worker):
        assert time.monotonic() < until, "the worker outlives its parent"
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
