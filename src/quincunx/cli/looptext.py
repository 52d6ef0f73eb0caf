"""How a loop and a rehearsal of one are shown: a timeline, where it stands, and what to do next."""

from typing import Any

import typer

from quincunx.cli.console import cell, tabulate
from quincunx.errors import UnexplainedData
from quincunx.lab.loop import Knowledge, Loop, Rehearsal


def facts_of(loop: Loop, again: str) -> dict[str, Any]:
    """Everything of a loop as plain facts, for machines."""
    record, knowledge = loop.record, _known(loop)
    choice = loop.ask() if loop.state in ("approve", "measure") else None
    awaited = record.awaited
    return {
        "state": loop.state,
        "stopped": record.stopped,
        "experiments": len(record.told),
        "rounds": loop.designer.rounds,
        "spent": loop.spent,
        "timeline": loop.timeline(),
        "knowledge": knowledge.summary().to_dict() if isinstance(knowledge, Knowledge) else None,
        "proposal": None if choice is None else choice.to_dict(),
        "awaited": None if awaited is None else {n: awaited.facts[n] for n in ("design", "events", "by")},
        "next": what_next(loop, again),
    }


def show(loop: Loop, again: str) -> None:
    """A loop for people."""
    columns = loop.study.simulator.prior.columns
    rows = []
    for row in loop.timeline():
        decided = row["decided_by"] + (" (overridden)" if row["overridden"] else "")
        sd = [None if row["sd"] is None else float(row["sd"][name]) for name in columns]
        label = loop.designer.space.label(row["design"])
        label += "" if row["counts"] else " (set aside)"
        rows.append([row["experiment"], label, decided, row["events"], row["cost"], *sd, row["p_value"]])
    if rows:
        tabulate(["experiment", "design", "decided by", "events", "cost", *(f"sd of {n}" for n in columns), "p"], rows)
    typer.echo(str(_known(loop)))
    for line in what_next(loop, again):
        typer.echo(line)


def _known(loop: Loop) -> Knowledge | str:
    """What is known, or why nothing can be."""
    try:
        return loop.knowledge()
    except UnexplainedData as error:
        return f"nothing is known: {error}"


def what_next(loop: Loop, again: str) -> list[str]:
    """Where the loop stands and what to do, a sentence a line."""
    record, space, state = loop.record, loop.designer.space, loop.state
    if state == "stopped":
        return [f"stopped: {record.stopped}"]
    if state == "needs attention":
        doubt = record.in_doubt
        assert doubt is not None
        return [
            f"needs attention: no parameter explains the data of experiment {doubt.facts['step']} (p = {doubt.facts['p_value']:.2g}); look at "
            "them, at their settings and at the simulator",
            f'go on all the same: {again} --overrule "WHY"',
            f'go on without them: {again} --set-aside {doubt.facts["step"]} --why "WHY"',
        ]
    if state == "measure":
        awaited = record.awaited
        assert awaited is not None
        count = awaited.facts["events"]
        return [
            f"measure at {space.label(awaited.facts['design'])}: {count} event{'' if count == 1 else 's'}",
            f"then tell the data: {again} --tell FILE.csv",
        ]
    if state == "approve":
        choice = loop.ask()
        count = loop.designer.events_at(choice.designs[0])
        information = choice.information
        lengths = dict(space.lengths)
        example = ", ".join(f"{name}={','.join(['...'] * lengths.get(name, 1))}" for name in space.names)
        return [
            f"proposed: {space.label(choice.designs[0])}, {count} event{'' if count == 1 else 's'}, expected to teach "
            f"{information.value:.3g} +- {information.se:.1g} nats. {choice.reason}",
            f"accept it: {again} --approve",
            f'or take another: {again} --override "{example}"',
        ]
    return [f"go on: {again}"]


def facts_of_rehearsal(found: Rehearsal) -> dict[str, Any]:
    """A rehearsal as plain facts, for machines."""
    mean, error = found.width()
    return {
        "loops": len(found),
        "parameters": list(found.columns),
        "sd": mean,
        "sd_se": error,
        "cost": found.cost.mean(axis=0),
        "coverage": {f"{level:g}": shares for level, shares in found.coverage().items()},
        "covers": found.covers(),
    }


def show_rehearsal(found: Rehearsal) -> None:
    """A rehearsal for people: the posterior's width after each experiment, and whether the intervals hold the truth."""
    mean, error = found.width()
    cost = found.cost.mean(axis=0)
    rows = [
        [k, float(cost[k]), *(f"{cell(float(mean[k, i]))} +- {error[k, i]:.1g}" for i in range(len(found.columns)))]
        for k in range(len(mean))
    ]
    tabulate(["experiments", "cost", *(f"sd of {name}" for name in found.columns)], rows)
    shares = [
        [f"{level:.0%}", *(f"{100 * v:.1f} %" for v in held.values())] for level, held in found.coverage().items()
    ]
    tabulate(["interval", *(f"holds {name}" for name in found.columns)], shares)
    verdict = "as it should be" if found.covers() else "not as it should be: look at the likelihood and the draws"
    typer.echo(f"coverage over {len(found)} loops is {verdict}")
