"""What every method does before it learns: read the simulations, scale them, note what happened to them."""

from collections.abc import Mapping
from dataclasses import dataclass

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree

from quincunx.infer.conditioning import Conditioning
from quincunx.infer.misspecification import Familiarity
from quincunx.infer.reading import Reader
from quincunx.infer.rows import Rows, rows_of
from quincunx.learn import Scale
from quincunx.learn.screen import relevant_columns
from quincunx.model import Prior
from quincunx.run import Simulations


@dataclass(frozen=True)
class Preparation:
    """Rows to learn from with their scales, and the parts of an estimator that do not depend on the method."""

    reader: Reader
    rows: Rows
    scales: dict[str, Scale]
    familiarity: Familiarity
    notes: tuple[str, ...]

    @property
    def theta(self) -> np.ndarray:
        """Scaled unconstrained parameters, (N, d_u)."""
        return np.asarray(scaled(self.scales["theta"], self.rows.u))

    def conditions(self, form: str, shape: tuple[int, ...]) -> PyTree:
        """The condition of every row, as a network sees it."""
        conditioning = Conditioning(self.scales["x"], self.scales["design"], form, shape)
        n, events = self.rows.x.shape[:2]
        design = np.broadcast_to(self.rows.design[:, None], (n, events, self.rows.design.shape[1]))
        return _conditioned(conditioning, self.rows.x, np.ones((n, events), np.float32), np.asarray(design))

    def single_events(self) -> "Preparation":
        """The same with every event of a set as a row of its own, its theta repeated."""
        n, events, d = self.rows.x.shape
        if events == 1:
            return self
        rows = Rows(
            np.repeat(self.rows.u, events, axis=0),
            self.rows.x.reshape(n * events, 1, d),
            np.repeat(self.rows.design, events, axis=0),
            self.rows.attempted_u,
            self.rows.attempted_design,
            self.rows.worked,
            _each_event(self.rows.gold, n * events),
        )
        return Preparation(self.reader, rows, self.scales, self.familiarity, self.notes)


# One compiled call each: operation by operation, scaling costs as much compile time as a small training.


@eqx.filter_jit
def scaled(scale: Scale, rows: Array) -> Array:
    """Rows under a scale, in one compiled call.

    >>> scaled(Scale.fit(np.array([[1.0], [3.0]])), np.array([[5.0]])).tolist()
    [[3.0]]
    """
    return scale.forward(rows)


@eqx.filter_jit
def _conditioned(conditioning: Conditioning, x: Array, mask: Array, design: Array) -> PyTree:
    return jax.vmap(conditioning)(x, mask, design)


def prepare(
    sims: Simulations,
    prior: Prior,
    *,
    x_scale: str,
    failures_kept_out: str,
    key: PRNGKeyArray,
    theta_as_input: bool = False,
    screen: bool = False,
    reference_rows: bool = False,
) -> Preparation:
    """Read the simulations that worked and fit the scales; `failures_kept_out` says what dropping the others means.

    Where theta is a network's input and not its output, bounded parameters are shown as they are and not by their
    probits: a likelihood is a smoother function of them. `screen` drops the columns of x that say nothing about theta.
    Rows that were drawn from a reference, and not at their theta, are left out unless `reference_rows` asks for them.

    Raises:
        NameMismatch, ShapeMismatch: if prior and simulations disagree.
        AllSimulationsFailed, TooFewSimulations: if there is too little to learn from.
    """
    sims = sims if reference_rows else sims.at_theta()
    reader = Reader.of(sims)
    rows = rows_of(sims, prior, design=reader.simulated_design(sims))
    events = rows.x.reshape(-1, rows.x.shape[-1])
    scales = {
        "theta": Scale.fit(rows.u, names=_u_names(prior), probit=prior.probits if theta_as_input else None),
        "x": Scale.fit(events, method=x_scale, names=reader.columns),
        "design": Scale.fit(
            rows.design, method="zscore" if rows.design.shape[1] else "none", names=reader.design_columns
        ),
    }
    notes: tuple[str, ...] = () if prior.region is None else (prior.region.note,)
    if screen:
        kept = relevant_columns(events, np.repeat(rows.u, rows.x.shape[1], axis=0))
        if 0 < kept.sum() < len(kept):
            scales["x"] = scales["x"].keeping(kept)
            notes += (
                f"{len(kept) - kept.sum()} of {len(kept)} columns of x were dropped: their ranks do not depend on theta",
            )
    order = np.random.default_rng(np.asarray(jax.random.key_data(key))).permutation(len(events))[:8000]
    if rows.failure_rate > 0:
        failed = int((~rows.worked).sum())
        notes += (f"{failed} of {len(rows.worked)} simulations gave no finite outcome: {failures_kept_out}",)
    if sims.stopped:
        notes += (f"the simulations were {sims.stopped} after {len(sims)}",)
    return Preparation(reader, rows, scales, _familiarity(events, order, reader.columns), notes)


def _each_event(gold: Mapping[str, np.ndarray] | None, rows: int) -> dict[str, np.ndarray] | None:
    """Gold of sets of events as that of their events."""
    return None if gold is None else {name: value.reshape(rows, *value.shape[2:]) for name, value in gold.items()}


def _familiarity(events: np.ndarray, order: np.ndarray, columns: tuple[str, ...]) -> Familiarity:
    known = Familiarity.of(events[order], columns)
    return known.within(events.min(0), events.max(0))


def _u_names(prior: Prior) -> tuple[str, ...]:
    return (
        tuple(prior.columns)
        if prior.dim == prior.unconstrained_dim
        else tuple(f"u[{i}]" for i in range(prior.unconstrained_dim))
    )
