"""The main job: simulate, learn, infer, and leave a directory that holds all of it.

Each step writes what it made before the next one begins, so that an interrupted run goes on where it stopped.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from quincunx.cli.console import say
from quincunx.cli.folder import RunFolder, write_json
from quincunx.cli.progress import progress
from quincunx.cli.source import Source
from quincunx.errors import Interrupted, NoTruth
from quincunx.infer import infer
from quincunx.infer.summary import Summary
from quincunx.infer.verb import prior_for
from quincunx.model import Reference
from quincunx.run import Simulations, simulate
from quincunx.values import as_key, load

# One key a step, all from the seed: a step done again draws the same numbers.
_SIMULATE, _TRAIN, _DRAW = 0, 1, 2


@dataclass(frozen=True)
class Answer:
    """What the job found: the posterior, flat draws of it and their summary."""

    posterior: Any
    draws: np.ndarray
    summary: Summary


@contextmanager
def resumable(folder: RunFolder, resume: str) -> Iterator[None]:
    """Make every Ctrl-C inside end with the command that goes on: whatever was written stays, whatever was not is done again."""
    try:
        yield
    except KeyboardInterrupt:
        folder.note(status="interrupted")
        raise Interrupted(f"stopped; what was done is saved in {folder.path}", resume=resume) from None
    except Interrupted as error:
        if error.resume:
            raise
        folder.note(status="interrupted")
        raise Interrupted(str(error), resume=resume) from None


def run_job(
    folder: RunFolder,
    source: Source,
    x_o: Any,
    *,
    method: Any,
    budget: int,
    draws: int,
    seed: int,
    resume: str,
    sims: Simulations | None = None,
    trained: Any = None,
) -> Answer:
    """Carry the job out, or what is left of it, inside its directory.

    With ``sims`` nothing is simulated, with ``trained``, an estimator, nothing is trained.

    Raises:
        Interrupted: by Ctrl-C; what is done is saved, and ``resume`` is the command that goes on.
    """
    write_json(folder.observation, by_name(source.simulator, x_o))
    if trained is None:
        method, left = _before(folder, source, method, budget if sims is None else len(sims), seed)
        budget = left if sims is None else budget
    if sims is None:
        sims = _simulations(folder, source, budget, seed, resume, method.mines(source.simulator.prior))
    elif not folder.simulations.exists():
        sims.save(folder.simulations)
    posterior = _posterior(folder, source, x_o, sims, method, seed, resume, trained)
    with folder.timed("draw"):
        run = posterior.run(draws, key=_key(seed, _DRAW))
        flat = np.asarray(run.theta)
        summary = posterior.summary(run)
    _write_draws(folder.draws, flat, posterior.prior.columns)
    folder.note(
        warnings=[*dict.fromkeys((*posterior.warnings, *run.warnings))],
        diagnostics={name: value for name, value in run.diagnostics.items() if np.size(value) <= 100},
        summary=summary.to_dict(),
    )
    return Answer(posterior, flat, summary)


def save_reference(folder: RunFolder, source: Source, observation: int) -> bool:
    """Write draws of a problem's reference posterior; says whether the problem has one."""
    try:
        with folder.timed("reference"):
            draws = source.problem.reference(observation)
    except NoTruth:
        return False
    prior = source.simulator.prior
    _write_draws(folder.reference, np.asarray(prior.flatten(draws)), prior.columns)
    return True


def _write_draws(path: Path, flat: np.ndarray, columns: Sequence[str]) -> None:
    header = ",".join(f'"{column}"' if "," in column else column for column in columns)
    np.savetxt(path, flat, delimiter=",", header=header, comments="", fmt="%.9g")


def by_name(simulator: Any, x: Any) -> dict[str, Any]:
    """An observation as a dict of arrays by observable."""
    named = x if isinstance(x, Mapping) else {simulator.outcome.names[0]: x}
    return {name: np.asarray(value) for name, value in named.items()}


def _key(seed: int, step: int) -> jax.Array:
    return jax.random.fold_in(as_key(seed), step)


def _before(folder: RunFolder, source: Source, method: Any, budget: int, seed: int) -> tuple[Any, int]:
    """The method with whatever it wants simulated besides draws from the prior, kept for a resumption, and the budget that is left."""
    if folder.before.exists():
        sims = load(folder.before)
        return replace(method, **{folder.record["before"]: sims}), budget - len(sims)
    with folder.timed("simulate"):
        ready, left = before(source, method, budget, seed)
    made = [field.name for field in fields(ready) if getattr(ready, field.name) is not getattr(method, field.name)]
    for name in made:
        folder.note(before=name)
        getattr(ready, name).save(folder.before)
    return ready, left


def before(source: Source, method: Any, budget: int, seed: int) -> tuple[Any, int]:
    """As ``Method.before``, with the job's key."""
    # The first of the three keys that `infer` makes of its own.
    return method.before(source.simulator, budget, key=jax.random.split(_key(seed, _TRAIN), 3)[0])


def _simulations(
    folder: RunFolder, source: Source, budget: int, seed: int, resume: str, gold: bool | Reference
) -> Simulations:
    done: Simulations | None = load(folder.simulations) if folder.simulations.exists() else None
    first = 0 if done is None else len(done)
    if done is not None and first == budget:
        say(f"{first:,} simulations are there already")
        return done
    with folder.timed("simulate"), progress("simulating") as tell:
        # Simulation i has its own key: going on at `first` gives what a run without interruption would have given.
        key = _key(seed, _SIMULATE)
        sims = simulate(source.simulator, budget - first, start=first, key=key, gold=gold, progress=tell)
    if sims.stopped is not None:
        # Workers finish out of order; only rows without a gap before them can be gone on from.
        sims = sims[: int(np.argmin(np.append(sims.index == first + np.arange(len(sims)), False)))]
    if done is not None:
        say(f"{first:,} simulations were there already")
        sims = done.concatenate(sims)
    sims.save(folder.simulations)
    if len(sims) < budget:
        folder.note(status="interrupted")
        raise Interrupted(f"stopped after {len(sims):,} of {budget:,} simulations, which are saved", resume=resume)
    return sims


def train(source: Source, sims: Simulations, method: Any, seed: int, tell: Callable[[dict[str, Any]], None]) -> Any:
    """The estimator that the job would learn from these simulations with this seed."""
    prior = prior_for(source.simulator, sims)
    method, _ = before(source, method, len(sims), seed)
    # The last of the three keys that `infer` makes of its own is the fit's.
    return method.fit(sims, prior, key=jax.random.split(_key(seed, _TRAIN), 3)[2], progress=tell)


def _posterior(
    folder: RunFolder, source: Source, x_o: Any, sims: Simulations, method: Any, seed: int, resume: str, trained: Any
) -> Any:
    if folder.posterior.exists() and folder.record.get("trained"):
        say("the posterior is there already")
        return load(folder.posterior)
    if trained is not None:
        posterior = trained.posterior(x_o)
        posterior.save(folder.posterior)
        folder.note(trained=True)
        return posterior
    with folder.timed("train"), progress("training") as tell:
        posterior = infer(source.simulator, x_o, method=method, sims=sims, key=_key(seed, _TRAIN), progress=tell)
    posterior.save(folder.posterior)
    if posterior.estimator.surrogate.stopped == "interrupted":
        folder.note(status="interrupted")
        raise Interrupted(
            "training stopped early; its best posterior so far and all simulations are saved", resume=resume
        )
    folder.note(trained=True)
    return posterior
