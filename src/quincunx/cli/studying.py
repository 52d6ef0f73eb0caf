"""The study that a source declares: by a ``Study`` in its module, by a simulator and a few names, or a gallery problem's own."""

import dataclasses
import os
from pathlib import Path
from typing import Any

from quincunx.cli.source import Source, studies_in
from quincunx.errors import UsageError
from quincunx.lab.study import Study

_NAMES = ("experiment", "method", "budget", "key")


def study_of(source: Source) -> Study:
    """The study of a source.

    A module declares one with ``study = qx.Study(simulator, ...)``, or with a simulator and any of the names ``experiment``, ``method``,
    ``budget`` and ``key``. The path of an experiment is looked for beside the file. A gallery problem is studied at its first
    observation.

    Raises:
        UsageError: for several studies in one module, none of them called ``study``, or a value that will not do.

    >>> from quincunx.cli.source import read_source
    >>> study_of(read_source("two_moons"))
    Study of two_moons: npe, 10000 simulations, key 0, an experiment to be asked
    """
    if source.module is None:
        problem = source.problem
        return Study(source.simulator, experiment=lambda: problem.observation(1))
    declared = studies_in(source.module)
    named = getattr(source.module, "study", None)
    if isinstance(named, Study):
        return _beside(named, source)
    if len(declared) > 1:
        raise UsageError(
            f"{source.text} declares several studies ({', '.join(sorted(declared))}); expected one; call the one to use `study`"
        )
    if declared:
        return _beside(next(iter(declared.values())), source)
    given: dict[str, Any] = {name: vars(source.module)[name] for name in _NAMES if name in vars(source.module)}
    return _beside(Study(source.simulator, **given), source)


def _beside(study: Study, source: Source) -> Study:
    if not isinstance(study.experiment, (str, os.PathLike)):
        return study
    return dataclasses.replace(study, experiment=str(Path(source.text).resolve().parent / study.experiment))
