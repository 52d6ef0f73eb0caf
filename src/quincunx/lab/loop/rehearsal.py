"""The whole loop on simulated truths, before anything real is spent: how narrow posteriors will be, at what cost, and whether they cover."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray
from scipy.stats import binom

from quincunx.design.density import density_of
from quincunx.design.space import Design
from quincunx.errors import UsageError
from quincunx.lab.loop.history import Experiment, History
from quincunx.lab.loop.measuring import mock
from quincunx.lab.loop.planning import proposal, update
from quincunx.lab.study import Study
from quincunx.notebook import card
from quincunx.values import as_key

__all__ = ["Rehearsal", "rehearse"]

LEVELS = (0.68, 0.95)
T = TypeVar("T")


@dataclass(frozen=True, eq=False, repr=False)
class Rehearsal:
    """R loops of up to K experiments: posterior standard deviations (R, K + 1, d) from the prior on, cost (R, K + 1), designs (R, K) by name, and
    ranks (R, d), the share of final posterior draws below the truth.

    >>> one = Rehearsal(("a",), np.ones((2, 2, 1)), np.zeros((2, 2)), {"d": np.zeros((2, 1))}, np.array([[0.4], [0.99]]))
    >>> one.coverage()[0.95]["a"]
    0.5
    """

    columns: tuple[str, ...]
    sd: Float[np.ndarray, "r k d"]
    cost: Float[np.ndarray, "r k"]
    designs: dict[str, Float[np.ndarray, "r rounds ..."]]
    ranks: Float[np.ndarray, "r d"]

    def __len__(self) -> int:
        return len(self.ranks)

    def coverage(self) -> dict[float, dict[str, float]]:
        """The share of central intervals of the final posteriors that hold the truth, by level and parameter."""
        return {
            level: dict(zip(self.columns, np.mean(np.abs(self.ranks - 0.5) <= level / 2, axis=0).tolist(), strict=True))
            for level in LEVELS
        }

    def covers(self) -> bool:
        """Whether every coverage is within the central 99 % of its binomial law, shared among all that are tested."""
        r, tests = len(self), len(LEVELS) * len(self.columns)
        tail = 0.01 / (2 * tests)
        return all(
            binom.ppf(tail, r, level) <= round(share * r) <= binom.ppf(1 - tail, r, level)
            for level, shares in self.coverage().items()
            for share in shares.values()
        )

    def width(self) -> tuple[Float[np.ndarray, "k d"], Float[np.ndarray, "k d"]]:
        """The mean posterior standard deviation after 0, 1, ... experiments and its standard error over loops."""
        return self.sd.mean(axis=0), self.sd.std(axis=0, ddof=1) / np.sqrt(len(self))

    def __repr__(self) -> str:
        mean, error = self.width()
        said = ", ".join(
            f"sd of {name} {mean[0, i]:.3g} -> {mean[-1, i]:.3g} +- {error[-1, i]:.1g}"
            for i, name in enumerate(self.columns)
        )
        shares = "; ".join(
            f"{level:.0%} intervals hold {', '.join(f'{v:.1%}' for v in found.values())}"
            for level, found in self.coverage().items()
        )
        return f"Rehearsal of {len(self)} loops x {self.sd.shape[1] - 1} experiments: {said}; {shares}"

    def _repr_html_(self) -> str:
        mean, error = self.width()
        cost = self.cost.mean(axis=0)
        body = [
            [str(k), f"{cost[k]:.4g}", *(f"{m:.3g} ± {e:.1g}" for m, e in zip(mean[k], error[k], strict=True))]
            for k in range(len(mean))
        ]
        head = ["experiments", "mean cost", *(f"sd of {name}" for name in self.columns)]
        facts = [
            (f"{level:.0%} intervals hold", ", ".join(f"{name} {share:.1%}" for name, share in found.items()))
            for level, found in self.coverage().items()
        ]
        return card(f"Rehearsal of {len(self)} loops", facts=facts, head=head, body=body)


def rehearse(
    study: Study,
    loops: int = 100,
    *,
    designs: Any = None,
    key: PRNGKeyArray | int,
    progress: Callable[[int, int], None] | None = None,
) -> Rehearsal:
    """Run the loop of a study `loops` times, each on parameters drawn from the prior, without a lab book and without stopping early.

    Loops run beside one another in threads where the simulator is a JAX function; the results are the same in any case.
    The first design is chosen once for all. A designer with fewer draws (n=64, inner=64) rehearses faster and chooses hardly worse.

    `designs`, a sequence of designs, replaces the choices: what fixed settings would have given, from the same truths and keys.

    Raises:
        UsageError: for a study without a designer, or another number of designs than rounds. NoDensity: without a likelihood.
    """
    designer = study.designer
    if designer is None:
        raise UsageError(
            "got a study without a designer; expected one; write Study(..., designer=Designer(Space(...)))"
        )
    fixed = None if designs is None else [designer.space.check(design) for design in designs]
    if loops < 2 or (fixed is not None and len(fixed) != designer.rounds):
        raise UsageError(
            f"got {loops} loops and {None if fixed is None else len(fixed)} designs; expected at least 2 loops, and a design for each of "
            f"{designer.rounds} rounds"
        )
    density_of(study.simulator, designer.estimator)
    prior, top = study.simulator.prior, as_key(key)
    k_truth, k_loops = jax.random.split(top)
    truths = {name: np.asarray(value) for name, value in prior.sample(loops, key=k_truth).items()}
    flat = np.asarray(prior.flatten(truths))
    # before any data all loops stand at the same point
    at_first: Design | None = None

    def walk(r: int) -> tuple[list[Any], list[float], list[Design], np.ndarray]:
        """One loop: posterior widths, cost, designs, and ranks of the truth."""
        nonlocal at_first
        experiment = mock(study.simulator, {name: value[r] for name, value in truths.items()})
        own = jax.random.fold_in(k_loops, r)
        history, belief = History(()), update(study, History(()), jax.random.fold_in(own, 0))
        widths, spent, used = [belief.draws.std(axis=0)], [0.0], []
        for k in range(designer.rounds):
            k_choose, k_measure, k_believe = jax.random.split(jax.random.fold_in(own, k + 1), 3)
            if fixed is not None:
                design = fixed[k]
            elif k == 0:
                at_first = at_first or proposal(study, belief, k_choose, where=designer.beginning).designs[0]
                design = at_first
            else:
                design = proposal(study, belief, k_choose, history=history).designs[0]
            x = experiment(design, events=designer.events_at(design), key=k_measure)
            history = history.and_then(Experiment.told(study.simulator, design, x))
            belief = update(study, history, k_believe)
            widths.append(belief.draws.std(axis=0))
            spent.append(spent[-1] + designer.cost_of(design))
            used.append(design)
        return widths, spent, used, np.mean(belief.draws < flat[r], axis=0)

    walks = []
    for found in _in_turn(walk, loops, threads=_threads() if study.simulator.kind == "jax" else 1):
        walks.append(found)
        if progress is not None:
            progress(len(walks), loops)
    sd, cost, used, ranks = zip(*walks, strict=True)
    chosen = {name: np.asarray([[design[name] for design in one] for one in used]) for name in designer.space.names}
    return Rehearsal(prior.columns, np.asarray(sd), np.asarray(cost), chosen, np.asarray(ranks))


def _threads() -> int:
    """As many as there are processors for us, at most eight: what is compiled runs beside what is not."""
    known = getattr(os, "sched_getaffinity", None)
    return min(8, len(known(0)) if known is not None else os.cpu_count() or 1)


def _in_turn(walk: Callable[[int], T], loops: int, *, threads: int) -> Iterator[T]:
    """Every loop's result in order; the first one alone, which compiles and chooses where all begin.

    >>> list(_in_turn(lambda r: r * r, 4, threads=2))
    [0, 1, 4, 9]
    """
    yield walk(0)
    if threads == 1:
        yield from map(walk, range(1, loops))
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting = [pool.submit(walk, r) for r in range(1, loops)]
        try:
            for one in waiting:
                yield one.result()
        finally:
            # Ctrl-C ends what has begun, and begins no more.
            pool.shutdown(wait=True, cancel_futures=True)
