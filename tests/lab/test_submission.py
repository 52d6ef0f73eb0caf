"""What batch systems are told: texts that they take, with nothing in them that a shell would read otherwise."""

import subprocess

import pytest

from quincunx.cli.duration import seconds_of
from quincunx.errors import UsageError
from quincunx.lab import submission

PLACE = "/data/my run's folder"


def test_slurm_is_a_script_that_calls_a_worker():
    made = submission("slurm", PLACE, jobs=3, seconds=90_061, python="echo", name="b")
    assert made.program == "sbatch" and made.suffix == ".sh"
    assert "#SBATCH --array=1-3\n" in made.text and "#SBATCH --time=25:01:01\n" in made.text
    said = subprocess.run(["sh"], input=made.text, capture_output=True, text=True).stdout
    assert said == f"-m quincunx.cli worker {PLACE} --max-time 90001s --run b\n"


def test_htcondor_queues_as_many():
    made = submission("htcondor", PLACE, jobs=7, options={"request_memory": "4GB"}, python="/usr/bin/python3")
    assert made.program == "condor_submit" and made.text.endswith("request_memory = 4GB\nqueue 7\n")
    assert "executable = /usr/bin/python3\n" in made.text
    assert "worker '/data/my run''s folder' --max-time" in made.text


def test_kubernetes_is_a_job():
    made = submission("kubernetes", "postgresql://a@b/c", jobs=2, image="reg/sim@sha256:1", options={"memory": "4Gi"})
    assert made.program == "kubectl" and '"kind": "Job"' in made.text and '"parallelism": 2' in made.text
    assert '- "postgresql://a@b/c"' in made.text and '"memory": "4Gi"' in made.text
    with pytest.raises(UsageError, match="--image"):
        submission("kubernetes", "postgresql://a@b/c")


def test_what_is_refused():
    with pytest.raises(UsageError, match="'lsf'"):
        submission("lsf", PLACE)
    with pytest.raises(UsageError, match="0 workers"):
        submission("slurm", PLACE, jobs=0)
    for wrong in ("", "soon", "3x", "h"):
        with pytest.raises(UsageError, match="3h50m"):
            seconds_of(wrong)
