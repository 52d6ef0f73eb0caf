"""What is to be designed: the settings, events and costs that a source says, or that the command line says instead."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from quincunx.cli.assignments import space_in
from quincunx.cli.source import Source
from quincunx.cli.studying import study_of
from quincunx.design import Space
from quincunx.errors import UsageError
from quincunx.lab.designer import Designer
from quincunx.lab.study import Study

MOST = 10_000
"""So many outcomes of all events together are added up at most."""


def designed(
    source: Source,
    settings: Sequence[str] | None = None,
    *,
    events: int | None = None,
    rounds: int | None = None,
) -> Study:
    """The study of a source with a designer: the one that its file declares, the problem's space and events, or `settings`.

    What is measured is the file's own experiment if it can be called; a problem is measured by its own program, or by nobody.

    Raises:
        UsageError: for a source that says no settings while none are given.

    >>> from quincunx.cli.source import read_source
    >>> designed(read_source("threshold"), events=3).designer.space
    Space(level in [-3, 3])
    """
    study = study_of(source)
    if source.problem is not None:
        study = dataclasses.replace(study, experiment=source.problem.experiment)
    designer = study.designer
    changed: dict[str, Any] = {"events": events, "rounds": rounds, "space": space_in(settings) if settings else None}
    changed = {name: value for name, value in changed.items() if value is not None}
    if designer is None:
        space = changed.pop("space", None) or _space_of(source)
        known: dict[str, Any] = {}
        if source.problem is not None:
            known = {} if source.problem.events is None else {"events": source.problem.events}
            # two intervals and fewer are searched on a grid
            known |= {"optimiser": "gradient"} if source.problem.smooth and space.intervals > 2 else {}
        designer = Designer(space, **{**known, **changed})
    elif changed:
        if "space" in changed and designer.first is not None and not changed["space"].allows(designer.first):
            changed["first"] = None
        designer = dataclasses.replace(designer, **changed)
    if source.problem is not None:
        designer = dataclasses.replace(designer, outcomes=_outcomes(source.problem, designer))
    return dataclasses.replace(study, designer=designer)


def _space_of(source: Source) -> Space:
    space = None if source.problem is None else source.problem.space
    if not space:
        what = "has no settings to choose" if source.problem is not None else "declares no designer"
        ask = '--settings "NAME=LOW:HIGH"'
        more = (
            ""
            if source.problem is not None
            else ", or declare study = qx.Study(..., designer=qx.Designer(qx.Space(...)))"
        )
        raise UsageError(f"{source.text} {what}; expected a space of settings; give {ask}{more}")
    return Space(space, increasing=source.problem.increasing)


def _outcomes(problem: Any, designer: Designer) -> Any:
    """All outcomes of one event, if those of all events together are few enough to be added up."""
    if problem.outcomes is None or callable(designer.events):
        return None
    kinds = len(problem.outcomes)
    return problem.outcomes if math.comb(designer.events + kinds - 1, kinds - 1) <= MOST else None
