"""The loop on a worked problem: four experiments that are chosen, the next one proposed, and whether such intervals hold the truth."""

import dataclasses
import shlex
from pathlib import Path
from typing import Any

from quincunx.cli.console import emit, say
from quincunx.cli.folder import command
from quincunx.cli.looping import Asked, go_on, looped
from quincunx.cli.looptext import facts_of, facts_of_rehearsal, show, show_rehearsal
from quincunx.cli.progress import progress
from quincunx.cli.source import Source
from quincunx.errors import Interrupted
from quincunx.lab.book.plain import plain
from quincunx.lab.loop import rehearse
from quincunx.lab.loop.page import write_loop_page
from quincunx.lab.loop.record import REHEARSED

EXPERIMENTS = 4
_DRAWS = {"n": 256, "inner": 128}


def is_for_a_loop(source: Source) -> bool:
    """Whether a problem has settings to choose, and a likelihood to learn from them by."""
    problem = source.problem
    return bool(problem is not None and problem.space and problem.truth.log_likelihood is not None)


def loop_demo(source: Source, where: Path, *, loops: int, seed: int, json: bool) -> bool:
    """Run it into the lab book at `where`, or go on with the one that is there; the report stands beside it.

    The designs that were chosen are then run again on `loops` parameters of the prior: their posteriors must hold the truth as often as they say.
    Says whether a check failed.
    """
    learn, learn_events = source.problem.learn or (None, None)
    asked = Asked.of(
        source,
        settings=None,
        events=None,
        rounds=EXPERIMENTS + 1,
        truth=None,
        mocked=source.problem.experiment is None,
        learn=learn,
        learn_events=learn_events,
    )
    again = go_on(source.text, str(where), None)
    say(f"{source.problem.title}: {EXPERIMENTS} experiments, each chosen by what is known before it, into {where}")
    try:
        return _run(source, asked, where, again, loops=loops, seed=seed, json=json)
    except KeyboardInterrupt:
        goes_on = shlex.join(["quincunx", "demo", source.text, "--out", str(where), "--seed", str(seed)])
        raise Interrupted("stopped; every step that was done is in the book", resume=goes_on) from None


def _run(source: Source, asked: Asked, where: Path, again: str, *, loops: int, seed: int, json: bool) -> bool:
    """Do it, show it, and say whether a check failed."""
    report = where / "report.html"
    with looped(source, asked, str(where), name=None, folder=None, seed=seed) as loop:
        study = dataclasses.replace(loop.study, designer=dataclasses.replace(loop.designer, **_DRAWS))
        loop = dataclasses.replace(loop, study=study)

        def tell(state: str) -> None:
            if state in ("propose", "measure"):
                say(f"experiment {len(loop.record.told) + 1}: {'choosing' if state == 'propose' else 'measuring'}")

        loop.run(most=EXPERIMENTS, progress=tell)
        designs = [row["design"] for row in loop.timeline()]
        designer = dataclasses.replace(study.designer, rounds=len(designs))
        with progress("rehearsing") as told:
            rehearsal = rehearse(
                dataclasses.replace(study, designer=designer),
                loops,
                designs=designs,
                key=seed + 1,
                progress=lambda done, total: told({"done": done, "total": total}),
            )
        loop.book.note(REHEARSED, **plain(facts_of_rehearsal(rehearsal)))
        write_loop_page(report, loop, command(), rehearsal)
        if json:
            facts: dict[str, Any] = {"out": str(where), "report": str(report), **facts_of(loop, again)}
            emit({**facts, "rehearsal": facts_of_rehearsal(rehearsal)})
        else:
            show(loop, again)
            show_rehearsal(rehearsal)
            say(f"open {report.resolve()}")
        return loop.state == "needs attention" or not rehearsal.covers()
