"""Simulations as rows to learn from: unconstrained theta, flat x with an event axis, and the settings that varied."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from quincunx.errors import (
    AllSimulationsFailed,
    FailureWarning,
    FewSimulationsWarning,
    ShapeMismatch,
    TooFewSimulations,
)
from quincunx.model import Prior
from quincunx.model.prior import check_names
from quincunx.run import Simulations

FEWEST = 10
FEW = 200


@dataclass(frozen=True)
class Rows:
    """What every method learns from.

    `u` is theta in unconstrained space (N, d_u) and `x` the outcomes (N, events, d_x), of the simulations that worked, in the order they
    were run; `design` holds the settings that varied (N, d_design). `attempted_u` and `worked` cover all simulations, failures included.
    `gold` holds what was mined, (N, ...) or, of sets, (N, events, ...).
    """

    u: Float[np.ndarray, "n du"]
    x: Float[np.ndarray, "n events dx"]
    design: Float[np.ndarray, "n dd"]
    attempted_u: Float[np.ndarray, "all du"]
    attempted_design: Float[np.ndarray, "all dd"]
    worked: Bool[np.ndarray, " all"]
    gold: Mapping[str, np.ndarray] | None = None

    @property
    def failure_rate(self) -> float:
        """The share of simulations that gave no finite outcome."""
        return 1.0 - float(self.worked.mean())


def check_parameters(sims: Simulations, prior: Prior) -> None:
    """Refuse simulations whose parameters are not those of the prior.

    Raises:
        NameMismatch: if the names differ.
        ShapeMismatch: if a parameter's shape differs.
    """
    check_names(list(sims.theta), prior.names, "parameters of the simulations")
    for name in prior.names:
        shape = tuple(np.shape(sims.theta[name])[1:])
        if shape != tuple(prior.shapes[name]):
            raise ShapeMismatch(
                f"got parameter '{name}' of shape {shape} in the simulations; expected {tuple(prior.shapes[name])} as in "
                "the prior; use the prior that the simulations were drawn from"
            )


def rows_of(sims: Simulations, prior: Prior, *, design: Float[np.ndarray, "all dd"]) -> Rows:
    """The rows of `sims` that worked, with counts of those that did not.

    Raises:
        NameMismatch, ShapeMismatch: if prior and simulations disagree.
        AllSimulationsFailed: if no row is usable.
        TooFewSimulations: if fewer than ten are.

    Warns with `FailureWarning` when some failed and `FewSimulationsWarning` below two hundred.
    """
    check_parameters(sims, prior)
    worked = np.asarray(sims.status) == 0
    n, valid = len(worked), int(worked.sum())
    if not valid:
        raise AllSimulationsFailed(
            f"all {n} simulations failed or gave non-finite outcomes; expected at least {FEWEST} finite ones; run the "
            "simulator once at the prior's median and look at what it returns" + _first_message(sims)
        )
    if valid < FEWEST:
        raise TooFewSimulations(
            f"got {valid} usable simulations of {n}; expected at least {FEWEST}, better {FEW} or more; simulate more"
        )
    if valid < FEW:
        warnings.warn(
            f"only {valid} simulations to learn from; expected {FEW} or more; the posterior will be rough, and usually "
            "too wide or too narrow: simulate more, and check its calibration",
            FewSimulationsWarning,
            stacklevel=3,
        )
    if valid < n:
        warnings.warn(
            f"{n - valid} of {n} simulations ({100 * (n - valid) / n:.1f} %) failed or gave non-finite outcomes"
            + _first_message(sims),
            FailureWarning,
            stacklevel=3,
        )
    theta = np.concatenate([np.asarray(sims.theta[name], np.float32).reshape(n, -1) for name in prior.names], axis=1)
    attempted_u = np.asarray(prior.to_unconstrained(theta), np.float32)
    x = np.asarray(sims.x_flat(), np.float32)
    x = x if sims.events else x[:, None, :]
    gold = None if sims.gold is None else {name: np.asarray(value)[worked] for name, value in sims.gold.items()}
    return Rows(attempted_u[worked], x[worked], design[worked], attempted_u, design, worked, gold)


def _first_message(sims: Simulations) -> str:
    messages = dict(sims.messages or {})
    if not messages:
        return ""
    index, text = next(iter(messages.items()))
    return f" (simulation {index}: {text})"
