"""A loop in a run's lab book: begun with what the command line says, and gone on with by what the book says."""

import dataclasses
import getpass
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from quincunx.cli.assignments import point
from quincunx.cli.console import say
from quincunx.cli.designing import designed
from quincunx.cli.handle import is_run, opened
from quincunx.cli.policies import following
from quincunx.cli.progress import progress
from quincunx.cli.source import Source, digest
from quincunx.cli.studying import study_of
from quincunx.design import Policy
from quincunx.design.density import density_of
from quincunx.errors import UnknownRun, UsageError
from quincunx.lab.loop import Loop, emulator, learn_likelihood, mock
from quincunx.lab.loop.record import BEGUN, CHANGED, Record
from quincunx.lab.study import Study
from quincunx.model.command import instrument

ASKED = "loop asked for"
"""The event that holds what the command line said when a loop was begun, so that it need not be said again."""
LIKELIHOOD, POLICY = "likelihood", "policy"
"""What kinds of artefact a learned likelihood and a policy are in the lab book."""

# Apart from the keys of rounds and of the loop.
_LEARN = 0x6C65_6172


@dataclass(frozen=True)
class Asked:
    """What the command line says of a loop: None, or empty, for what it does not say."""

    settings: tuple[str, ...] = ()
    events: int | None = None
    rounds: int | None = None
    truth: Mapping[str, Any] | None = None
    learn: int | None = None
    learn_events: int | None = None
    experiment: str | None = None
    policy: str | None = None

    @classmethod
    def of(
        cls,
        source: Source,
        *,
        settings: Sequence[str] | None,
        events: int | None,
        rounds: int | None,
        truth: str | None,
        mocked: bool,
        learn: int | None = None,
        learn_events: int | None = None,
        experiment: Path | None = None,
        policy: Path | None = None,
    ) -> "Asked":
        """From the options as they are typed; a mock of a problem has the problem's own parameters unless others are given, and a policy is the
        SHA-256 of its file.

        Raises:
            UsageError: for a mock whose parameters nobody says. NameMismatch, ShapeMismatch: for parameters that are not the simulator's.
        """
        names = source.simulator.prior.names
        theta: Mapping[str, Any] | None = None
        if truth is not None:
            theta = point(truth, "--truth", ",".join(f"{name}=0.5" for name in names))
        elif mocked and source.problem is not None:
            theta = {name: getattr(v, "tolist", lambda v=v: v)() for name, v in source.problem.default_theta.items()}
        elif mocked and not callable(designed(source, settings).experiment):
            raise UsageError(
                f'{source.text} has no parameters of its own to mock; give them with --truth "{names[0]}=0.5"'
            )
        if theta is not None:
            source.simulator.prior.check(theta)
        measured_by = None if experiment is None else str(experiment.resolve())
        followed = None if policy is None else digest(policy)
        return cls(tuple(settings or ()), events, rounds, theta, learn, learn_events, measured_by, followed)

    def study(self, source: Source, policy: Policy | None = None) -> Study:
        """The study of a source as it is asked for, following a policy if there is one."""
        study = designed(source, self.settings, events=self.events, rounds=self.rounds)
        if policy is not None:
            declared = source.module is not None and study_of(source).designer is not None
            study = following(study, policy, rounds=declared or self.rounds is not None)
        if self.experiment is not None:
            return dataclasses.replace(study, experiment=instrument(self.experiment))
        if self.truth is None:
            return study
        return dataclasses.replace(study, experiment=mock(study.simulator, self.truth))

    def facts(self) -> dict[str, Any]:
        """As an event of the book holds it."""
        return {**dataclasses.asdict(self), "settings": list(self.settings)}

    @classmethod
    def again(cls, facts: Mapping[str, Any]) -> "Asked":
        """The inverse of `facts`."""
        more = (facts.get(name) for name in ("learn", "learn_events", "experiment", "policy"))
        return cls(tuple(facts["settings"]), facts["events"], facts["rounds"], facts["truth"], *more)

    def refuse_others(self, before: "Asked", study: Study, run: str) -> None:
        """A loop keeps to what it was begun with.

        Raises:
            UsageError: if something else is said now.
        """
        designer = study.designer
        assert designer is not None
        pairs = {
            "settings": (list(self.settings) or None, list(before.settings)),
            "events": (self.events, designer.events),
            "rounds": (self.rounds, designer.rounds),
            "truth": (self.truth, before.truth),
            "learn": (self.learn, before.learn),
            "learn-events": (self.learn_events, before.learn_events),
            "experiment": (self.experiment, before.experiment),
            "policy": (_brief(self.policy), _brief(before.policy)),
        }
        for name, (now, then) in pairs.items():
            if now is not None and now != then:
                raise UsageError(
                    f"the loop in {run} was begun with {name} {then} and is now asked for {now}; expected the same; leave --{name} out to go "
                    "on, or begin another run"
                )


def _brief(sha256: str | None) -> str | None:
    return None if sha256 is None else f"{sha256[:16]}..."


@contextmanager
def looped(
    source: Source,
    asked: Asked,
    run: str,
    *,
    name: str | None,
    folder: Path | None,
    seed: int | None,
    policy: Policy | None = None,
) -> Iterator[Loop]:
    """The loop in a run's book, begun if it is not there; by a policy, which the book keeps for all that follows.

    Raises:
        UsageError: for another source, seed or anything else than it was begun with. SimulatorChanged: for another simulator.
        NoDensity: for a simulator without a likelihood. UnknownRun, NetworkFolder, LedgerUnreachable and others: as `begin_book` and `open_book`.
    """
    from quincunx.lab import begin_book

    where = source.text if source.module is None else str(Path(source.text).resolve())
    if is_run(run):
        try:
            with opened(run, name=name) as book:
                yield _in(book, source, asked, run, where, seed, policy)
            return
        except UnknownRun:
            if folder is None or name is None:
                raise
    begun = asked.study(source, policy)
    # refused before anything is written
    if asked.learn is None:
        assert begun.designer is not None
        density_of(begun.simulator, begun.designer.estimator)
    key = begun.key if seed is None else seed
    config = {"source": where, "sha256": source.sha256, "seed": key, "loop": True}
    with begin_book(run, key=key, run=name, folder=folder, config=config) as book:
        yield _in(book, source, asked, run, where, seed, policy)


def _in(book: Any, source: Source, asked: Asked, run: str, where: str, seed: int | None, policy: Policy | None) -> Loop:
    config = book.config
    if config.get("source", where) != where:
        raise UsageError(
            f"the run {run} is about {config['source']}; got {where}; give the run's source, or another --run"
        )
    if seed is not None and config.get("seed", seed) != seed:
        raise UsageError(
            f"the run {run} has the seed {config['seed']}; got {seed}; leave --seed out, or begin another run"
        )
    record = Record(book)
    _, facts = record.once(ASKED, 0, asked.facts())
    before = Asked.again(facts)
    same = policy if asked.policy == before.policy else None
    study = before.study(source, None if before.policy is None else _kept_policy(book, same, run))
    asked.refuse_others(before, study, run)
    begun = record.at(BEGUN, 0)
    if before.learn is not None:
        study = with_likelihood(study, _kept(book, study, before))
    loop = Loop(study, book)
    if begun is not None:
        _say_changed(book, begun.facts["designer"], loop.designer.describe())
    return loop


def with_likelihood(study: Study, estimator: Any) -> Study:
    """The same study with a learned likelihood, which also stands for a simulator that is not a JAX function where outcomes are needed by the thousand."""
    assert study.designer is not None
    slow = study.simulator.kind == "host" and study.designer.emulator is None
    changed = {"emulator": emulator(study.simulator, estimator)} if slow else {}
    return dataclasses.replace(study, designer=dataclasses.replace(study.designer, estimator=estimator, **changed))


def learned(study: Study, asked: Asked, *, key: Any) -> Any:
    """The likelihood that is asked for, learned from simulations."""
    assert asked.learn is not None
    with progress("learning the likelihood") as tell:
        return learn_likelihood(study, asked.learn, events=asked.learn_events, key=key, progress=tell)


def _kept(book: Any, study: Study, asked: Asked) -> Any:
    """The likelihood that the book keeps, learned first if there is none: it is the loop's for good, whatever is measured."""
    from quincunx import values

    kept = book.artefacts(LIKELIHOOD)
    if not kept:
        made = learned(study, asked, key=jax.random.fold_in(book.key, _LEARN))
        facts = {"simulations": asked.learn, **({} if asked.learn_events is None else {"events": asked.learn_events})}
        book.artefact(made, LIKELIHOOD, name="likelihood.qx", facts=facts)
        kept = book.artefacts(LIKELIHOOD)
    return values.load(book.artefact_file(kept[0].sha256))


def _kept_policy(book: Any, policy: Policy | None, run: str) -> Policy:
    """The policy that the book keeps: the one that is given, if it has none yet."""
    from quincunx import values

    kept = book.artefacts(POLICY)
    if not kept:
        if policy is None:
            raise UsageError(
                f"the loop in {run} was begun with a policy, which its book does not hold yet; expected it; give --policy FILE again"
            )
        book.artefact(policy, POLICY, name="policy.qx", facts={"rounds": policy.rounds})
        kept = book.artefacts(POLICY)
    return values.load(book.artefact_file(kept[0].sha256))


def _say_changed(book: Any, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """A designer may be changed under way, by whoever edits its file; it is said, and written down once."""
    kept = [event.facts["designer"] for event in book.events(CHANGED)]
    last = kept[-1] if kept else then
    other = [f"{name} was {last.get(name)} and is {value}" for name, value in now.items() if last.get(name) != value]
    if other:
        say(f"the designer has changed: {'; '.join(other)}; the loop goes on with the new one")
        book.note(CHANGED, decision=True, designer=dict(now))


def asked_in(book: Any) -> Asked | None:
    """What the loop in a book was begun with, if there is one."""
    found = Record(book).at(ASKED, 0)
    return None if found is None else Asked.again(found.facts)


def person() -> str:
    """Who types.

    >>> bool(person())
    True
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "somebody"


def go_on(source: str, run: str, name: str | None) -> str:
    """The command that looks at a loop or goes on with it.

    >>> go_on("threshold", "my run", None)
    "quincunx loop threshold --run 'my run'"
    """
    return shlex.join(["quincunx", "loop", source, "--run", run, *(("--name", name) if name else ())])
