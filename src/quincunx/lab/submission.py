"""What batch systems are told in order to start workers: a Slurm array, an HTCondor queue, a Kubernetes job."""

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quincunx._verb import make_callable
from quincunx.errors import UsageError
from quincunx.lab.export.yaml import to_yaml
from quincunx.notebook import from_fields

__all__ = ["Submission", "submission"]

_GRACE = 60


@dataclass(frozen=True)
class Submission:
    """The text to submit, the program that takes it, and how it is called; a text that goes to a file has its name in `argv` as {file}."""

    text: str
    argv: Sequence[str]
    suffix: str

    @property
    def program(self) -> str:
        """What has to be installed."""
        return self.argv[0]

    _repr_html_ = from_fields


def submission(
    system: str,
    run: str,
    *,
    jobs: int = 10,
    seconds: int = 4 * 3600,
    options: Mapping[str, str] | None = None,
    name: str | None = None,
    image: str | None = None,
    python: str = sys.executable,
) -> Submission:
    """So many workers on a run, for so many seconds each, as `system` ("slurm", "htcondor" or "kubernetes") takes it.

    Workers need nothing but the run: its folder on a disk that all nodes share, or the URL of its database. They stop in time before
    the system would end them.

    Args:
        options: more of the system's own, such as {"partition": "short"} for Slurm, {"request_memory": "4GB"} for HTCondor, or
            {"memory": "4Gi"}, a resource to request, for Kubernetes.
        name: which run, where a database holds several. image: the container, for Kubernetes.

    Raises:
        UsageError: for another system, a number below one, or Kubernetes without an image.

    >>> print(submission("slurm", "/data/run", jobs=20, seconds=7200, options={"partition": "short"}, python="python3").text)
    #!/bin/sh
    #SBATCH --job-name=quincunx
    #SBATCH --array=1-20
    #SBATCH --ntasks=1
    #SBATCH --time=02:00:00
    #SBATCH --signal=TERM@30
    #SBATCH --partition=short
    exec python3 -m quincunx.cli worker /data/run --max-time 7140s
    <BLANKLINE>
    """
    if system not in _SYSTEMS:
        raise UsageError(f"got the batch system '{system}'; expected one of {', '.join(_SYSTEMS)}; name one of these")
    if jobs < 1 or seconds <= _GRACE:
        raise UsageError(
            f"got {jobs} workers for {seconds} s; expected at least one, for more than {_GRACE} s; ask for more"
        )
    argv = [python, "-m", "quincunx.cli", "worker", run, "--max-time", f"{seconds - _GRACE}s"]
    argv += ["--run", name] if name else []
    return _SYSTEMS[system](argv, jobs, seconds, dict(options or {}), image)


def _slurm(argv: list[str], jobs: int, seconds: int, options: dict[str, str], image: str | None) -> Submission:
    hours, rest = divmod(seconds, 3600)
    asked = {
        "job-name": "quincunx",
        "array": f"1-{jobs}",
        "ntasks": "1",
        "time": f"{hours:02d}:{rest // 60:02d}:{rest % 60:02d}",
        "signal": "TERM@30",
        **options,
    }
    lines = ["#!/bin/sh", *(f"#SBATCH --{name}={value}" for name, value in asked.items()), f"exec {shlex.join(argv)}"]
    return Submission("\n".join(lines) + "\n", ("sbatch", "{file}"), ".sh")


def _htcondor(argv: list[str], jobs: int, seconds: int, options: dict[str, str], image: str | None) -> Submission:
    settings = {
        "universe": "vanilla",
        "executable": argv[0],
        "arguments": '"' + " ".join(_condor_word(word) for word in argv[1:]) + '"',
        "getenv": "PATH, HOME",
        "kill_sig": "SIGTERM",
        "+MaxRuntime": str(seconds),
        "output": "quincunx.$(Cluster).$(Process).out",
        "error": "quincunx.$(Cluster).$(Process).err",
        "log": "quincunx.$(Cluster).log",
        **options,
    }
    lines = [*(f"{name} = {value}" for name, value in settings.items()), f"queue {jobs}"]
    return Submission("\n".join(lines) + "\n", ("condor_submit", "{file}"), ".sub")


def _condor_word(word: str) -> str:
    # Within double quotes HTCondor groups by single ones, and each quote is written twice.
    plain = word.replace('"', '""')
    return plain if re.fullmatch(r"[^\s']+", plain) else "'" + plain.replace("'", "''") + "'"


def _kubernetes(argv: list[str], jobs: int, seconds: int, options: dict[str, str], image: str | None) -> Submission:
    if image is None:
        raise UsageError(
            "got no container image; expected one that holds quincunx and the simulator; write --image registry/name@sha256:..."
        )
    container = {
        "name": "worker",
        "image": image,
        "command": ["python", *argv[1:]],
        "resources": {"requests": {"cpu": "1", **options}},
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"generateName": "quincunx-"},
        "spec": {
            "parallelism": jobs,
            "completions": jobs,
            "backoffLimit": 4 * jobs,
            "activeDeadlineSeconds": seconds,
            "template": {
                "spec": {"restartPolicy": "OnFailure", "terminationGracePeriodSeconds": 30, "containers": [container]}
            },
        },
    }
    return Submission(to_yaml(job), ("kubectl", "create", "-f", "{file}"), ".yaml")


_SYSTEMS = {"slurm": _slurm, "htcondor": _htcondor, "kubernetes": _kubernetes}

# The function and its module share a name: whichever of them `quincunx.lab.submission` is, it can be called.
make_callable(__name__, submission)
