"""The loop of the scientific method over one study: ask what to measure, approve, tell what was measured, update on all of it, check, stop or go on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
from jaxtyping import PRNGKeyArray

from quincunx import values
from quincunx.design import Choice
from quincunx.design.density import density_of
from quincunx.design.space import Design, plain_design
from quincunx.errors import AlreadyTold, LoopStopped, NotApproved, SimulatorChanged, UnexplainedData, UsageError
from quincunx.lab.book import Book
from quincunx.lab.book.fingerprint import likelihood_fingerprint
from quincunx.lab.designer import Designer
from quincunx.lab.loop.card import loop_card, loop_text
from quincunx.lab.loop.checking import surprise
from quincunx.lab.loop.history import Experiment, History
from quincunx.lab.loop.knowledge import Knowledge
from quincunx.lab.loop.measuring import measure
from quincunx.lab.loop.planning import proposal, quick_simulator, update
from quincunx.lab.loop.record import (
    APPROVED,
    ASIDE,
    BEGUN,
    BELIEVED,
    CHECKED,
    FAILED,
    OVERRULED,
    PROPOSED,
    STOPPED,
    TOLD,
    Record,
    State,
)
from quincunx.lab.loop.standing import timeline
from quincunx.lab.loop.stopping import reason_to_stop
from quincunx.lab.study import Study

__all__ = ["CHOICE", "DATA", "KNOWLEDGE", "Loop"]

CHOICE, DATA, KNOWLEDGE = "choice", "data", "knowledge"
"""What kinds of artefact a proposal, an experiment's data and a posterior are in the lab book."""

_LOOP = 0x6C6F6F70
_BELIEVE, _CHOOSE, _CHECK, _MEASURE = range(4)


@dataclass(frozen=True, eq=False, repr=False)
class Loop:
    """A study and its lab book. Nothing but the book remembers: every method may be called again, by anyone, after any end of a process.

    `ask` proposes, `approve` accepts or overrides, `tell` brings the data, `update` learns from all data and checks; `run` does all of
    it while there is an experiment that can be called. Keys follow from the run's, so that the same answers give the same proposals.

    >>> import tempfile, numpy as np, types, jax.numpy as jnp, numpyro.distributions as dist, quincunx as qx
    >>> def log_likelihood(theta, x, design):
    ...     p = 1 / (1 + jnp.exp(-(theta["a"] - design["d"]) / 0.5))
    ...     return jnp.log(jnp.where(x[0] > 0.5, p, 1 - p))
    >>> truth = types.SimpleNamespace(log_likelihood=log_likelihood, outcomes=np.array([0.0, 1.0]))
    >>> @qx.simulator(qx.Prior(a=dist.Normal(0.0, 1.0)), tractable=truth)
    ... def answer(theta, *, key, design):
    ...     return jax.random.bernoulli(key, 1 / (1 + jnp.exp(-(theta["a"] - design["d"]) / 0.5)), (1,)).astype(float)
    >>> study = Study(answer, designer=Designer(qx.design.Space(d=[-1.0, 0.0, 1.0]), rounds=2))
    >>> loop = Loop(study, qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0))
    >>> loop.ask().design
    {'d': 0.0}
    >>> loop.approve(by="Ada")
    {'d': 0.0}
    >>> loop.state
    'measure'
    >>> loop.tell([1.0], by="Ada").told, loop.state
    (1, 'propose')
    """

    study: Study
    book: Book

    def __post_init__(self) -> None:
        if self.study.designer is None:
            raise UsageError(
                f"got a study of {self.study.simulator.name} without a designer; expected one, which says what may be chosen; write "
                "Study(..., designer=Designer(Space(...)))"
            )
        density_of(self.study.simulator, self.designer.estimator)
        self.book.use(self.study.simulator)
        told = {"designer": self.designer.describe(), "simulator": self.study.simulator.name}
        self._same_likelihood(self.record.once(BEGUN, 0, {**told, "likelihood": self._likelihood()})[1])

    def _likelihood(self) -> str | None:
        """What the loop's posteriors rest on, if the simulator states it: an estimator is kept by whoever made it."""
        return None if self.designer.estimator is not None else likelihood_fingerprint(self.study.simulator)

    def _same_likelihood(self, begun: Mapping[str, Any]) -> None:
        # a book of an older version does not say
        if begun.get("likelihood") not in (None, self._likelihood()):
            raise SimulatorChanged(
                f"got a simulator '{self.study.simulator.name}' whose log_likelihood has changed since this loop was begun; expected the same, on which "
                "all that is known so far rests; put the old one back, or begin another run and tell it the data again"
            )

    @property
    def designer(self) -> Designer:
        """How the next experiment is chosen."""
        assert self.study.designer is not None
        return self.study.designer

    @property
    def record(self) -> Record:
        """What the book says of this loop."""
        return Record(self.book)

    @property
    def state(self) -> State:
        """What the loop waits for."""
        return self.record.state

    @property
    def history(self) -> History:
        """All experiments that count and whose data are here, in the order in which they came."""
        return History(tuple(self._experiments().values()))

    def _experiments(self) -> dict[int, Experiment]:
        """The experiments that count, by their numbers from 1."""
        record = self.record
        counted = {event.facts["step"] + 1: event for event in record.told}
        return {
            number: Experiment.from_json(self.book.artefact_file(event.facts["sha256"]).read_bytes())
            for number, event in counted.items()
            if number not in record.aside
        }

    @property
    def spent(self) -> float:
        """The cost of all that was measured."""
        return self.record.spent

    def knowledge(self) -> Knowledge:
        """What is known from all that was told and counts: made once, and read from the book ever after.

        Raises:
            UnexplainedData: if the data are impossible at every parameter; `set_aside` says which experiment no longer counts.
        """
        record = self.record
        told, moment, aside = record.told, record.moment, record.aside
        kept = record.at(BELIEVED, moment)
        if kept is None:
            history = self.history
            belief = update(self.study, history, self._key(_BELIEVE, moment))
            made = Knowledge(self.study.simulator.prior, belief.draws, len(history))
            parents = [event.facts["sha256"] for event in told if event.facts["step"] + 1 not in aside]
            sha256 = self.book.artefact(made, KNOWLEDGE, parents=parents, facts={"step": moment})
            summary = made.summary().to_dict()
            # a mapping has no order in the book, and draws have columns
            told_of = {"sha256": sha256, "told": len(told), "columns": list(made.prior.columns), "summary": summary}
            _, facts = record.once(BELIEVED, moment, told_of)
        else:
            facts = dict(kept.facts)
        return values.load(self.book.artefact_file(facts["sha256"]))

    def ask(self) -> Choice:
        """The proposal for the next experiment, made once; the loop stops here if it promises too little.

        Raises:
            LoopStopped: if the loop has stopped, or a failed check waits for somebody to look at it.
        """
        self._open()
        step = self.record.moment
        kept = self.record.at(PROPOSED, step)
        if kept is None:
            knowledge = self.knowledge()
            where = self.designer.beginning if step == 0 else None
            key = self._key(_CHOOSE, step)
            choice = proposal(self.study, knowledge.belief, key, where=where, history=self.history)
            parent = self.record.at(BELIEVED, step)
            sha256 = self.book.artefact(
                choice, CHOICE, parents=[] if parent is None else [parent.facts["sha256"]], facts={"step": step}
            )
            told = {"sha256": sha256, "design": choice.design, "reason": choice.reason, "chosen": where is None}
            cost = self.designer.cost_of(choice.designs[0])
            _, facts = self.record.once(
                PROPOSED, step, {**told, "cost": cost, "information": choice.information.to_dict()}
            )
            self._stop_if_due(knowledge)
        else:
            facts = dict(kept.facts)
        return values.load(self.book.artefact_file(facts["sha256"]))

    def approve(self, design: Mapping[str, Any] | None = None, *, by: str) -> Design:
        """Accept the proposal, or override it with another design of the space; returns the design that stands.

        Whoever is first decides: a second approval of the same step changes nothing and is given the first one's design.

        Raises:
            DesignOutsideSpace, NameMismatch: for a design that the space does not allow. LoopStopped: as `ask`.
        """
        step = self.record.moment
        choice = self.ask()
        used = choice.designs[0] if design is None else self.designer.space.check(design)
        facts = {
            "design": used,
            "proposed": choice.designs[0],
            "by": by,
            "overridden": not self.designer.space.same(used, choice.designs[0]),
            "events": self.designer.events_at(used),
        }
        _, stands = self.record.once(APPROVED, step, facts)
        return plain_design(stands["design"])

    def tell(
        self, x: Any, *, by: str, design: Mapping[str, Any] | None = None, again: bool = False, update: bool = True
    ) -> Knowledge | None:
        """Data: of the approved experiment, or with `design` of one that nobody proposed, which is kept and said to be so.

        The data are on the disk before anything is computed from them; then the posterior is updated and checked, unless `update` is False.

        Raises:
            NameMismatch, ShapeMismatch, NonFiniteObservation: if they are not what the simulator gives.
            AlreadyTold: if the same data were told before, at the same design, or numbers that are not whole at any; `again=True` says that
            they were measured twice.
            NotApproved: if no experiment is awaited and no design is given. DesignOutsideSpace: for a design outside the space.
        """
        awaited = self.record.awaited
        if design is None and awaited is None:
            raise NotApproved(
                "got data while no experiment is awaited; expected a design that was approved; approve the proposal first, or say with "
                "design= at which settings they were measured"
            )
        space, answers = self.designer.space, None
        at = {} if design is None else space.check(design)
        if awaited is not None and (design is None or space.same(at, awaited.facts["design"])):
            at, answers = plain_design(awaited.facts["design"]), awaited.facts["step"]
        experiment = Experiment.told(self.study.simulator, at, x)
        expected = self.designer.events_at(at)
        same = {"numbers": experiment.numbers} if experiment.continuous else {"data": experiment.sha256}
        aside = self.record.aside
        counted = [event for event in self.record.told if event.facts["step"] + 1 not in aside]
        known = [event for event in counted if same.items() <= event.facts.items()]
        if known and not again and (answers is None or experiment.continuous):
            raise AlreadyTold(
                f"got data that are told already, as experiment {known[0].facts['step'] + 1} at "
                f"{space.label(known[0].facts['design'])}; expected new ones; pass again=True if the same numbers were measured "
                "twice"
            )
        sha256 = self.book.artefact(
            experiment.to_json(),
            DATA,
            name=f"experiment-{len(self.record.told) + 1}.json",
            facts={"by": by, "order": len(self.record.told)},
        )
        step = len(self.record.told)
        facts = {
            "design": at,
            "data": experiment.sha256,
            "numbers": experiment.numbers,
            "sha256": sha256,
            "events": experiment.n,
            "expected": expected,
            "cost": self.designer.cost_of(at),
            "by": by,
            "answers": answers,
        }
        wrote, stands = self.record.once(TOLD, step, facts)
        if not wrote and stands["data"] != experiment.sha256:
            return self.tell(x, by=by, design=at, again=again, update=update)
        return self.update() if update else None

    def update(self) -> Knowledge:
        """Learn from all data, check what is new against what is then expected, and stop if a rule says so.

        Raises:
            UnexplainedData: if the data are impossible at every parameter; the newest experiment has then failed its check.
        """
        record = self.record
        try:
            knowledge = self.knowledge()
        except UnexplainedData:
            for step in record.unchecked:
                record.once(CHECKED, step, {"p_value": 0.0, "status": "fail"})
            raise
        experiments, density = self._experiments(), density_of(self.study.simulator, self.designer.estimator)
        for step in record.unchecked:
            key, one = self._key(_CHECK, step), experiments[step]
            p = surprise(quick_simulator(self.study), knowledge.belief, one, density, key=key)
            record.once(CHECKED, step, {"p_value": p, "status": "fail" if p < self.designer.surprise else "pass"})
        self._stop_if_due(knowledge)
        return knowledge

    def overrule(self, *, by: str, why: str) -> None:
        """Say that a failed check was looked at, and that the loop shall go on."""
        doubt = self.record.in_doubt
        if doubt is None:
            raise UsageError("got overrule() without a failed check; expected one; see loop.state")
        self.record.once(OVERRULED, doubt.facts["step"], {"by": by, "why": why})

    def set_aside(self, experiment: int, *, by: str, why: str) -> Knowledge:
        """Let an experiment, numbered from 1, no longer count: its data stay in the book, its cost is spent, the posterior is made without it.

        Raises:
            UsageError: if there is no such experiment, or it was set aside before. UnexplainedData: as `update`.
        """
        record = self.record
        if experiment not in range(1, len(record.told) + 1) or experiment in record.aside:
            raise UsageError(
                f"got experiment {experiment} to be set aside; expected one of the {len(record.told)} that were told and count, numbered from 1"
            )
        record.once(ASIDE, experiment, {"by": by, "why": why})
        return self.update()

    def stop(self, *, by: str, why: str) -> None:
        """End the loop; what was measured stays."""
        self.record.once(STOPPED, 0, {"reason": why, "by": by})

    def run(
        self,
        *,
        approve: bool = True,
        most: int | None = None,
        by: str = "quincunx",
        progress: Callable[[str], None] | None = None,
    ) -> Knowledge:
        """Go on until the loop stops or waits for a person: for approval, if not `approve`; for data, without an experiment to call;
        or until there is a proposal after `most` experiments.

        Raises:
            ExperimentFailed: if the experiment fails or takes too long; it is in the book, and the same call tries again.
        """
        while (state := self.state) not in ("stopped", "needs attention"):
            if progress is not None:
                progress(state)
            if state == "propose":
                self.ask()
            elif state == "approve":
                if not approve or (most is not None and len(self.record.told) >= most):
                    break
                self.approve(by=by)
            elif state == "measure":
                if not callable(self.study.experiment):
                    break
                self._measure(by)
            else:
                self.update()
        return self.knowledge()

    def timeline(self) -> list[dict[str, Any]]:
        """One row an experiment: design, who decided, events, cost, the posterior's standard deviations, the check's p-value, and
        whether it counts."""
        return [{**row, "design": plain_design(row["design"])} for row in timeline(self.record)]

    def _measure(self, by: str) -> None:
        awaited = self.record.awaited
        assert awaited is not None
        design, step = plain_design(awaited.facts["design"]), awaited.facts["step"]
        try:
            x = measure(
                self.study.experiment,
                design,
                events=awaited.facts["events"],
                key=self._key(_MEASURE, step),
                patience=self.designer.patience,
            )
        except Exception as error:
            self.book.note(FAILED, decision=True, step=step, design=design, said=f"{type(error).__name__}: {error}")
            raise
        self.tell(x, by=by, design=design)

    def _stop_if_due(self, knowledge: Knowledge) -> None:
        record = self.record
        promised = [event.facts for event in record.of(PROPOSED) if event.facts["chosen"]]
        reason = reason_to_stop(
            self.designer, told=len(record.told), spent=self.spent, sd=knowledge.sd(), promised=promised
        )
        if reason is not None:
            record.once(STOPPED, 0, {"reason": reason, "by": "rule"})

    def _open(self) -> None:
        if self.record.stopped is not None:
            raise LoopStopped(f"the loop has stopped: {self.record.stopped}; begin a new run to go on")
        if self.state == "update":
            self.update()
        doubt = self.record.in_doubt
        if doubt is not None:
            raise LoopStopped(
                f"the data of experiment {doubt.facts['step']} are not explained by any parameter (p = {doubt.facts['p_value']:.2g}); look "
                "at them, at the simulator and the settings; loop.overrule(by=..., why=...) lets the loop go on with them, "
                f"loop.set_aside({doubt.facts['step']}, by=..., why=...) without"
            )

    def _key(self, what: int, step: int) -> PRNGKeyArray:
        return jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(self.book.key, _LOOP), what), step)

    __repr__ = loop_text
    _repr_html_ = loop_card
