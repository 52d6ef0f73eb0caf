"""``quincunx loop``: the loop of experiments in a run's lab book, with a mock, an instrument that is called, or a person."""

from pathlib import Path
from typing import Annotated, Any

import typer

from quincunx.cli.console import say
from quincunx.cli.exits import CHECK_FAILED
from quincunx.cli.options import ChoosingSettings, Events, Json, Source
from quincunx.errors import Interrupted, NotApproved, UsageError


def loop(
    source: Source,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="The run: a folder, or a database's URL. Begun if it is not there."),
    ] = None,
    rounds: Annotated[int | None, typer.Option("--rounds", min=1, help="Experiments at most.")] = None,
    events: Events = None,
    settings: ChoosingSettings = None,
    learn: Annotated[
        int | None,
        typer.Option(
            "--learn",
            metavar="N",
            min=100,
            help="Learn the likelihood from N simulations, for a simulator that states none.",
        ),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            "--policy",
            help="Propose what this policy says, which `quincunx policy` has learned, instead of searching.",
            dir_okay=False,
        ),
    ] = None,
    learn_events: Annotated[
        int | None,
        typer.Option(
            "--learn-events",
            metavar="M",
            min=1,
            help="With --learn: events in each simulation, which a program that is told {events} makes in one run.",
        ),
    ] = None,
    experiment: Annotated[
        Path | None,
        typer.Option(
            "--experiment", metavar="FILE.toml", help="The declaration of a program that measures.", dir_okay=False
        ),
    ] = None,
    mock: Annotated[
        bool, typer.Option("--mock", help="Simulate the experiment, at the problem's own parameters.")
    ] = False,
    truth: Annotated[
        str | None, typer.Option("--truth", metavar="NAME=VALUE", help="Simulate the experiment, at these parameters.")
    ] = None,
    approve: Annotated[
        bool | None,
        typer.Option(
            "--approve/--no-approve",
            help="Accept the proposal; by default only where the experiment can be called, so that no person is needed.",
        ),
    ] = None,
    once: Annotated[
        bool,
        typer.Option("--once", help="One experiment, then wait at the next proposal, also where it can be called."),
    ] = False,
    override: Annotated[
        str | None,
        typer.Option("--override", metavar="NAME=VALUE", help="Take this design instead of the one proposed."),
    ] = None,
    tell: Annotated[
        Path | None, typer.Option("--tell", help="What was measured: CSV, JSON or NPY.", dir_okay=False)
    ] = None,
    design: Annotated[
        str | None,
        typer.Option(
            "--design", metavar="NAME=VALUE", help="With --tell: the settings, if not those that were approved."
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="With --tell: the same numbers were measured twice.")] = False,
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Who decides and measures; by default you.")
    ] = None,
    overrule: Annotated[
        str | None, typer.Option("--overrule", metavar="WHY", help="Go on although the newest data failed their check.")
    ] = None,
    set_aside: Annotated[
        int | None,
        typer.Option(
            "--set-aside", metavar="N", min=1, help="Experiment N no longer counts; its data stay. With --why."
        ),
    ] = None,
    why: Annotated[str | None, typer.Option("--why", metavar="WHY", help="With --set-aside: the reason.")] = None,
    stop: Annotated[
        str | None, typer.Option("--stop", metavar="WHY", help="End the loop; what was measured stays.")
    ] = None,
    rehearse: Annotated[
        int | None,
        typer.Option(
            "--rehearse", metavar="N", min=2, help="Run N loops on parameters from the prior; nothing is written."
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write an HTML page of the loop.", dir_okay=False)
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Every random number follows from it.")] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Which run, where a database holds several.")
    ] = None,
    folder: Annotated[Path | None, typer.Option("--folder", help="The run's files, for a database's URL.")] = None,
    json: Json = False,
) -> None:
    """Choose, measure, learn, check, and choose again.

    Begins a loop in a run, or goes on with it: proposes a design and waits for a person (--approve or --override, then --tell), or does all
    of it where the experiment can be called. Exit code 3 if the newest data failed their check.
    """
    if tell is None and (design is not None or again):
        raise UsageError("--design and --again are for data; give them with --tell FILE")
    if (set_aside is None) != (why is None):
        raise UsageError("--set-aside N and --why WHY go together; give both")
    if learn_events is not None and learn is None:
        raise UsageError("--learn-events says how many events each simulation of --learn has; give --learn N too")
    if experiment is not None and (mock or truth is not None):
        raise UsageError("--experiment measures, and --mock and --truth simulate a measurement; give one of them")
    if rehearse is None and run is None:
        raise UsageError("got no --run; expected the folder of the loop's lab book; write for example --run my-run")
    from quincunx.cli.looping import Asked, go_on, looped, person
    from quincunx.cli.source import read_source

    found, followed = read_source(source), None
    if policy is not None:
        from quincunx.cli.policies import read_policy

        followed = read_policy(policy)
    asked = Asked.of(
        found,
        settings=settings,
        events=events,
        rounds=rounds,
        truth=truth,
        mocked=mock,
        learn=learn,
        learn_events=learn_events,
        experiment=experiment,
        policy=policy,
    )
    if rehearse is not None:
        _rehearse(asked, found, followed, rehearse, seed, json)
        return
    assert run is not None
    again_by = go_on(source, run, name)
    done: list[str] = []
    try:
        with looped(found, asked, run, name=name, folder=folder, seed=seed, policy=followed) as lasting:
            done.append("begun")
            before = len(lasting.record.told)
            if set_aside is not None and why is not None:
                lasting.set_aside(set_aside, by=by or person(), why=why)
            _act(lasting, overrule=overrule, stop=stop, override=override, tell=tell, design=design, again=again, by=by)
            done.append("acted")
            _go(lasting, approve, by, once=once, first=before)
            code = _show(lasting, again_by, run, json)
            if report is not None:
                from quincunx.lab.loop.page import write_loop_page

                say(f"open {write_loop_page(report, lasting, again_by).resolve()}")
    except KeyboardInterrupt:
        from quincunx.cli.folder import command

        said = again_by if "acted" in done else command()
        raise Interrupted("stopped; every step that was done is in the book", resume=said) from None
    if code:
        raise typer.Exit(code)


def _act(
    loop: Any,
    *,
    overrule: str | None,
    stop: str | None,
    override: str | None,
    tell: Path | None,
    design: str | None,
    again: bool,
    by: str | None,
) -> None:
    """What a person says of the loop: one thing or several, in the order in which they can be meant."""
    from quincunx.cli.assignments import design_in
    from quincunx.cli.looping import person

    who, space = by or person(), loop.designer.space
    chosen = None if override is None else design_in(override, "--override", space)
    at = None if design is None else design_in(design, "--design", space)
    if loop.state == "update":
        loop.update()
    if overrule is not None:
        loop.overrule(by=who, why=overrule)
    if chosen is not None:
        stands = loop.approve(chosen, by=who)
        if stands != chosen:
            say(f"decided already, and so it stays: {space.label(stands)}")
    if tell is not None:
        _tell(loop, tell, at, again, who)
    if stop is not None:
        loop.stop(by=who, why=stop)


def _tell(loop: Any, path: Path, design: dict[str, Any] | None, again: bool, who: str) -> None:
    from quincunx.design.space import plain_design
    from quincunx.run import read_observation

    awaited = loop.record.awaited
    if design is None and awaited is None:
        raise NotApproved(
            "got data while no experiment is awaited; expected a design that was approved; give --approve or --override first, or say with "
            '--design "NAME=VALUE" at which settings they were measured'
        )
    at = plain_design(awaited.facts["design"]) if design is None and awaited is not None else design
    outcome = loop.study.simulator.outcome_at(at)
    x = read_observation(path, outcome)
    loop.tell(x, by=who, design=design, again=again)
    told = loop.record.told[-1].facts

    def said(count: int) -> str:
        return "1 event was" if count == 1 else f"{count} events were"

    if told["events"] != told["expected"]:
        say(
            f"{said(told['events'])} told, {told['expected']} {'was' if told['expected'] == 1 else 'were'} expected; all that was told is taken"
        )


def _go(loop: Any, approve: bool | None, by: str | None, *, once: bool, first: int) -> None:
    from quincunx.cli.looping import person

    called = callable(loop.study.experiment)
    accepts = called if approve is None else approve
    who = by or ("quincunx" if called and approve is None else person())

    def progress(state: str) -> None:
        if called and state in ("propose", "measure"):
            say(f"experiment {len(loop.record.told) + 1}: {'choosing' if state == 'propose' else 'measuring'}")

    loop.run(approve=accepts, most=first + 1 if once else None, by=who, progress=progress)


def _show(loop: Any, again: str, run: str, json: bool) -> int:
    from quincunx.cli.looptext import facts_of, show

    if json:
        from quincunx.cli.console import emit

        emit({"run": run, **facts_of(loop, again)})
    else:
        show(loop, again)
    return CHECK_FAILED if loop.state == "needs attention" else 0


def _rehearse(asked: Any, source: Any, policy: Any, loops: int, seed: int | None, json: bool) -> None:
    from quincunx.cli.console import emit
    from quincunx.cli.looptext import facts_of_rehearsal, show_rehearsal
    from quincunx.cli.progress import progress
    from quincunx.lab.loop import rehearse

    study = asked.study(source, policy)
    if asked.learn is not None:
        from quincunx.cli.looping import learned, with_likelihood

        study = with_likelihood(study, learned(study, asked, key=study.key if seed is None else seed))
    with progress("rehearsing") as tell:
        found = rehearse(
            study,
            loops,
            key=study.key if seed is None else seed,
            progress=lambda done, total: tell({"done": done, "total": total}),
        )
    if json:
        emit({"rehearsal": facts_of_rehearsal(found)})
    else:
        show_rehearsal(found)
    if not found.covers():
        raise typer.Exit(CHECK_FAILED)
