# One file of measured events for each file of settings, which Quincunx writes: {"theta": {}, "design": {"energy": ...}, "seed": ...}.
import json
import sys
from pathlib import Path


def settings(wildcards, input):
    given = json.loads(Path(input[0]).read_text())
    return f"--energy {given['design']['energy']} --run {given['seed']}"


rule measure:
    input:
        "parameters/{i}.json",
    output:
        "measured/{i}.json",
    params:
        settings=settings,
        python=sys.executable,
        script=Path(workflow.basedir) / "measure.py",
    shell:
        "{params.python:q} {params.script:q} {params.settings} --events {config[events]} --out {output:q}"
