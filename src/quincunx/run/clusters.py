"""Dask beyond one machine: a scheduler by its address, a cluster of this machine, or one that a batch system gives."""

import contextlib
import importlib
import os
import re
from concurrent.futures import Executor
from typing import Any

from quincunx.errors import ExecutorBroken, MissingExtra, UsageError
from quincunx.run.executors import Crew

__all__ = ["dask_crew"]

_DEATHS = 10
"""Workers that may die on a task before Dask takes the task for the cause: on preempted nodes most are innocent."""

_KINDS = {
    "slurm": ("dask_jobqueue", "SLURMCluster", "dask-jobqueue"),
    "htcondor": ("dask_jobqueue", "HTCondorCluster", "dask-jobqueue"),
    "pbs": ("dask_jobqueue", "PBSCluster", "dask-jobqueue"),
    "kubernetes": ("dask_kubernetes.operator", "KubeCluster", "dask-kubernetes"),
}
_FORM = re.compile(r"([a-z]+)(?::(\d+)-(\d+))?")
_ADDRESS = re.compile(r"[a-z]+://.+")


def dask_crew(where: str, workers: int | None = None) -> Crew:
    """Workers that Dask schedules.

    `where` is a scheduler's address as tcp://host:8786; "local" for processes of this machine; or "slurm", "htcondor", "pbs" or
    "kubernetes" for a cluster with what dask-jobqueue or dask-kubernetes are configured with. "slurm:2-20" keeps between 2 and 20
    workers there as there is work; without, there are up to `workers`.

    Raises:
        UsageError: for another name. MissingExtra: without Dask. ExecutorBroken: if no scheduler answers.

    >>> dask_crew("lsf")
    Traceback (most recent call last):
    quincunx.errors.UsageError: got the Dask cluster 'lsf'; expected an address as tcp://host:8786, or one of local, slurm, htcondor, ...
    """
    match = _FORM.fullmatch(where)
    if not _ADDRESS.fullmatch(where) and (match is None or match[1] not in ("local", *_KINDS)):
        raise UsageError(
            f"got the Dask cluster '{where}'; expected an address as tcp://host:8786, or one of local, {', '.join(_KINDS)}, of which all may "
            "end in :MIN-MAX; write one of these"
        )
    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError as error:
        raise MissingExtra("dask", "running on Dask") from error
    dask: Any = importlib.import_module("dask")
    with dask.config.set({"distributed.scheduler.allowed-failures": _DEATHS}):
        try:
            cluster = None if match is None else _cluster(distributed, match, workers)
        except RuntimeError as error:
            raise ExecutorBroken(
                f"the Dask cluster '{where}' did not start ({error}: {error.__cause__}); expected workers that do; resume the run, with fewer "
                "of them or more time for a busy machine (distributed.comm.timeouts.connect)"
            ) from error
        try:
            client = distributed.Client(where if cluster is None else cluster, timeout=30, set_as_default=False)
        except (OSError, TimeoutError) as error:
            raise ExecutorBroken(
                f"no Dask scheduler answers at {where} ({error}); expected one; start it with `dask scheduler`, or correct the address"
            ) from error
    # A scheduler that was there before has its own opinion.
    with contextlib.suppress(Exception):
        client.run_on_scheduler(_be_patient)

    def close() -> None:
        client.close()
        if cluster is not None:
            cluster.close()

    def start() -> Executor:
        if client.status != "running":
            raise ExecutorBroken(f"the Dask scheduler {client.scheduler} is gone; start it again and resume the run")
        # Two calls with the same arguments are two runs: the first may have been lost.
        return client.get_executor(pure=False)

    def stop(executor: Executor, now: bool) -> None:
        executor.shutdown(wait=not now)

    count = workers or int((match and match[3]) or 0) or len(client.scheduler_info()["workers"]) or 1
    return Crew("dask", count, start, stop, recalls=False, dashboard=client.dashboard_link, close=close)


def _cluster(distributed: Any, match: re.Match[str], workers: int | None) -> Any:
    name, least, most = match[1], match[2], match[3]
    if name == "local":
        cluster = distributed.LocalCluster(
            n_workers=None if most else workers or os.cpu_count(), threads_per_worker=1, dashboard_address=":0"
        )
    else:
        module, kind, package = _KINDS[name]
        try:
            cluster = getattr(importlib.import_module(module), kind)()
        except ImportError as error:
            raise UsageError(
                f"got the Dask cluster '{name}', for which {package} is not installed; run: pip install {package}; or give the address "
                "of a scheduler that is running"
            ) from error
    if most is not None:
        cluster.adapt(minimum=int(least), maximum=int(most))
    elif name != "local":
        cluster.adapt(minimum=1, maximum=workers or os.cpu_count())
    return cluster


def _be_patient(dask_scheduler: Any) -> None:
    dask_scheduler.allowed_failures = max(_DEATHS, dask_scheduler.allowed_failures)
