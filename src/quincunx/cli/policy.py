"""``quincunx policy``: learn before the first experiment what to measure next after any history, and show what that is worth."""

from pathlib import Path
from typing import Annotated, Any

import typer

from quincunx.cli.console import emit, say, tabulate
from quincunx.cli.options import ChoosingSettings, Events, Json, Source
from quincunx.errors import OutputNotEmpty

_JUDGED = 0x6A75


def policy(
    source: Source,
    out: Annotated[Path, typer.Option("--out", help="File to write, for `quincunx loop --policy`.", dir_okay=False)],
    rounds: Annotated[
        int | None, typer.Option("--rounds", min=1, help="Experiments that it plans; by default the study's.")
    ] = None,
    events: Events = None,
    settings: ChoosingSettings = None,
    budget: Annotated[int, typer.Option("--budget", min=1, help="Campaigns to simulate in training.")] = 256_000,
    set: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="An option of the training: outer (campaigns in a step), inner (contrastive draws), learning_rate, width, method, gradient; repeatable.",
        ),
    ] = None,
    campaigns: Annotated[
        int, typer.Option("--campaigns", min=2, help="Fresh campaigns from which all designs are judged.")
    ] = 512,
    draws: Annotated[
        int, typer.Option("--draws", min=1, help="Contrastive draws in judging: more of them close the bracket.")
    ] = 8192,
    seed: Annotated[int | None, typer.Option("--seed", help="Every random number follows from it.")] = None,
    json: Json = False,
) -> None:
    """Learn what to measure next, before the first experiment.

    A network from all that was measured to the next settings, and what it teaches in all beside designs that are fixed beforehand and
    designs drawn at random, in nats.
    """
    if out.exists():
        raise OutputNotEmpty(f"{out} exists and will not be overwritten; choose another --out")
    from quincunx.cli.designing import designed
    from quincunx.cli.policies import ADAPTIVE, RANDOM, STATIC, judged, learned
    from quincunx.cli.settings import parse_settings
    from quincunx.cli.source import read_source

    study = designed(read_source(source), settings, events=events, rounds=rounds)
    key = study.key if seed is None else seed
    policies = learned(study, budget=budget, options=parse_settings(set or []), key=key)
    table = judged(study, policies, campaigns=campaigns, draws=draws, key=key + _JUDGED)
    made = policies[ADAPTIVE]
    made.save(out)
    gain = {name: table.difference(ADAPTIVE, name) for name in (STATIC, RANDOM)}
    if json:
        eigs = {name: table[name].to_dict() for name in table.names}
        emit(
            {
                "file": str(out),
                "simulator": made.simulator,
                "rounds": made.rounds,
                "events": made.events,
                "budget": budget,
                "cpu_seconds": made.surrogate.cpu_seconds,
                "total_information": eigs,
                "gain": gain,
            }
        )
        return
    _show(table, ADAPTIVE)
    better, error = gain[STATIC]
    if table[ADAPTIVE].upper is not None and better < 2 * error:
        typer.echo(
            f"adaptivity is not seen to help: {better:+.3g} +- {error:.1g} nats against designs that are fixed beforehand"
        )
    say(f"{out} plans {made.rounds} experiments; next: quincunx loop {source} --run RUN --policy {out}")


def _show(table: Any, best: str) -> None:
    """Both bounds of each, and by how much the policy is above the others, campaign by campaign."""
    rows: list[list[Any]] = []
    for name in table.names:
        eig = table[name]
        gap = "" if name == best else "{:+.3g} +- {:.1g}".format(*table.difference(best, name))
        rows.append([name, *_bound(eig.lower, eig.lower_se), *_bound(eig.upper, eig.upper_se), gap])
    bounded = all(table[name].upper is not None for name in table.names)
    more = f"{best} teaches more by" if bounded else f"bound of {best} higher by"
    tabulate(["designs", "at least", "+-", "at most", "+-", more], rows)
    if not bounded:
        say(
            "without a likelihood each is judged by a critic of its own, and a difference of such bounds is no difference of information"
        )
    for warning in dict.fromkeys(text for name in table.names for text in table[name].warnings):
        say(warning)


def _bound(value: float | None, error: float | None) -> list[Any]:
    return ["not known", ""] if value is None else [value, error]
