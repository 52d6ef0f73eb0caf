"""optuna's samplers over a space: they ask for designs, and are told what was found there."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from quincunx.design.bayesopt import Maximum, maximum_of, scored
from quincunx.design.space import Design, Space
from quincunx.errors import DesignOutsideSpace, MissingExtra, UsageError
from quincunx.notebook import from_repr
from quincunx.values import as_key

__all__ = ["Optuna"]

REFUSED = 20
"""How many designs may be refused by constraints for each trial that is wanted."""


@dataclass(frozen=True, eq=False)
class Optuna:
    """A search by optuna (extra `optuna`): `sampler` one of `optuna.samplers`, the tree-structured Parzen estimator unless given, `trials` designs.

    `choose(..., optimiser=Optuna())` lets it propose and our estimates judge: all designs on the same draws, the chosen one estimated again with fresh ones,
    because the best of noisy values is too high on average. `begin`, `ask` and `tell` are the steps of it. A sampler that is
    given keeps its own random numbers and learns in its study; without one they follow from the key (`GPSampler` needs PyTorch).

    Raises:
        UsageError: for fewer than one trial. MissingExtra: where it begins, if optuna is not installed.

    >>> Optuna(trials=20)
    Optuna(sampler=None, trials=20)
    """

    sampler: Any = None
    trials: int = 60

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise UsageError(f"got trials={self.trials}; expected at least one; choose more")

    _repr_html_ = from_repr

    def begin(self, *, key: PRNGKeyArray | int) -> Any:
        """A study of optuna in memory that maximises. Raises: MissingExtra."""
        try:
            import optuna
        except ModuleNotFoundError as error:
            raise MissingExtra("optuna", "a search by optuna") from error
        seed = int(jax.random.randint(as_key(key), (), 0, 2**31 - 1))
        with _quiet():
            sampler = optuna.samplers.TPESampler(seed=seed) if self.sampler is None else self.sampler
            return optuna.create_study(direction="maximize", sampler=sampler)

    def ask(
        self, study: Any, space: Space, *, constraint: Callable[[dict[str, Any]], bool] | None = None
    ) -> tuple[Any, Design]:
        """The next trial and its design. Designs that constraints forbid are told to the study as pruned.

        Raises:
            DesignOutsideSpace: if the constraints forbid what is asked for twenty times running.
        """
        for _ in range(REFUSED):
            trial = study.ask()
            design = _suggested(trial, space)
            if space.allows(design) and (constraint is None or constraint(dict(design))):
                return trial, design
            study.tell(trial, state=_state("PRUNED"))
        raise DesignOutsideSpace(
            f"got constraints that forbid {REFUSED} designs running of {space!r}; expected some that are allowed; loosen them"
        )

    def tell(self, study: Any, trial: Any, found: Any) -> None:
        """What was found at a trial's design: an `EIG`, a pair (value, standard error), or a number. Failures, values not finite, are told as such."""
        value, error = scored(found)
        trial.set_user_attr("se", error)
        with _quiet():
            if np.isfinite(value):
                study.tell(trial, value)
            else:
                study.tell(trial, state=_state("FAIL"))

    def maximise(
        self,
        function: Callable[[Design], Any],
        space: Space,
        *,
        constraint: Callable[[dict[str, Any]], bool] | None = None,
        key: PRNGKeyArray | int,
    ) -> Maximum:
        """As `design.maximise`, with designs that optuna asks for; what is recommended is the highest posterior mean of a Gaussian process all the same.

        Raises:
            MissingExtra: if optuna is not installed. DesignOutsideSpace: if the constraints leave no design.
        """
        study = self.begin(key=key)
        rows: list[Design] = []
        told: list[tuple[float, float]] = []
        for _ in range(self.trials):
            trial, design = self.ask(study, space, constraint=constraint)
            found = function(dict(design))
            self.tell(study, trial, found)
            rows.append(design)
            told.append(scored(found))
        return maximum_of(space, rows, told)


def _suggested(trial: Any, space: Space) -> Design:
    lengths = dict(space.lengths)
    ends = [(ends, name) for name, ends in space.bounds for _ in range(lengths.get(name, 1))]
    found: dict[str, list[float]] = {}
    for column, (bounds, name) in zip(space.columns, ends, strict=True):
        if name in space.continuous:
            value = trial.suggest_float(column, *bounds)
        else:
            value = trial.suggest_categorical(column, list(bounds))
        found.setdefault(name, []).append(float(value))
    return {
        name: tuple(sorted(values) if name in space.increasing else values) if name in lengths else values[0]
        for name, values in found.items()
    }


def _state(name: str) -> Any:
    from optuna.trial import TrialState

    return TrialState[name]


@contextmanager
def _quiet() -> Iterator[None]:
    """optuna tells of every trial on stderr."""
    logger = logging.getLogger("optuna")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
