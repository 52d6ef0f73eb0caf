"""Draws of a study's answer, and data simulated at them, kept in the lab book in bounded number: what its pictures are made of."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Float

from quincunx.check.features import data_columns
from quincunx.errors import AllSimulationsFailed, Interrupted, SimulatorError, TooFewSimulations
from quincunx.infer import Posterior
from quincunx.lab.answer_standing import DRAWN
from quincunx.lab.book import Book
from quincunx.lab.study import Study
from quincunx.notebook import from_repr
from quincunx.run import Simulations
from quincunx.run.simulate import simulate
from quincunx.values import register

__all__ = ["AnswerDraws", "keep_drawn"]

ROWS = 4000
"""Draws that are kept, at most."""
NUMBERS = 1_000_000
"""Numbers of one array that are kept, at most: of very many parameters fewer draws."""
FEWEST, MOST, SHARE = 20, 200, 50
"""Simulations at draws: one for so many that the run holds, but not fewer and not more than these."""

_PICTURED = 0x70696374


@register("answer_draws")
@dataclass(frozen=True, eq=False, repr=False)
class AnswerDraws:
    """Draws of a posterior and of its prior (n, d) with the prior's bounds (d, 2), and the observation (F,) beside data simulated at draws (m, F).

    Of a set of events the F numbers are summaries; `observables` names them. Without predictive data m = 0.

    >>> AnswerDraws(("mu",), np.zeros((3, 1)), np.ones((3, 1)), np.array([[-1.0, 1.0]]), ("x",), np.zeros(1), np.zeros((0, 1)))
    3 draws of mu, 0 simulations at them
    """

    kind: ClassVar[str]

    columns: tuple[str, ...]
    draws: Float[np.ndarray, "n d"]
    prior: Float[np.ndarray, "k d"]
    bounds: Float[np.ndarray, "d 2"]
    observables: tuple[str, ...]
    observed: Float[np.ndarray, " f"]
    replicates: Float[np.ndarray, "m f"]

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        arrays = {name: getattr(self, name) for name in ("draws", "prior", "bounds", "observed", "replicates")}
        return {"columns": list(self.columns), "observables": list(self.observables)}, arrays

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "AnswerDraws":
        """The inverse of `to_state`."""
        names, seen = tuple(spec["columns"]), tuple(spec["observables"])
        own, before, bounds = arrays["draws"], arrays["prior"], arrays["bounds"]
        return cls(names, own, before, bounds, seen, arrays["observed"], arrays["replicates"])

    def __repr__(self) -> str:
        return f"{len(self.draws)} draws of {', '.join(self.columns)}, {len(self.replicates)} simulations at them"

    _repr_html_ = from_repr


def keep_drawn(book: Book, study: Study, posterior: Posterior, sha256: str, *, run: Any = None) -> str:
    """Keep draws of the answer with this SHA-256 and data simulated at a few of them; returns the SHA-256 of what is kept, once for all.

    `run` holds the draws; without it the posterior's standard run is made. A fiftieth as many simulations as the run holds are made, 20 to 200;
    where they fail only the draws are kept.

    Raises:
        Interrupted: if Ctrl-C ended the simulations; the answer is kept, and its draws come with the next call.
    """
    already = [one.sha256 for one in book.artefacts(DRAWN) if one.facts["posterior"] == sha256]
    if already:
        return already[-1]
    drawn = posterior.standard_run() if run is None else run
    prior, rows = posterior.prior, max(1, min(ROWS, NUMBERS // posterior.prior.dim))
    draws = np.asarray(drawn.theta, np.float32)[:rows]
    key = jax.random.fold_in(book.key, _PICTURED)
    known = next(one.facts for one in book.artefacts() if one.sha256 == sha256)
    n = int(np.clip(known.get("simulations", 0) // SHARE, FEWEST, MOST))
    some = draws[:: max(1, len(draws) // n)][:n]
    names, observed, replicates = _predictive(study, posterior, next(iter(book.shards())), some, key)
    before = np.asarray(prior.sample_flat(rows, key=key), np.float32)
    kept = AnswerDraws(prior.columns, draws, before, np.asarray(prior.bounds), names, observed, replicates)
    # a mapping has no order in the book, and draws have columns
    facts = {
        "posterior": sha256,
        "columns": list(prior.columns),
        "method": known.get("method", {}).get("method"),
        "simulations": known.get("simulations"),
        "summary": posterior.summary(drawn).to_dict(),
        "warnings": list(posterior.warnings),
        "replicates": len(replicates),
    }
    return book.artefact(kept, DRAWN, name="draws.qx", parents=[sha256], facts=facts)


def _predictive(
    study: Study, posterior: Posterior, sims: Simulations, draws: Float[np.ndarray, "m d"], key: Any
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Names of the columns, the observation and data simulated at draws as columns; no rows where there is nothing to compare."""
    # what outcomes look like is known from those of the run: a simulator that fails cannot be asked
    x_o, is_set = sims.outcome.check(posterior.x_o)
    events = len(jax.tree.leaves(x_o)[0]) if is_set else None
    observed = data_columns(x_o, sets=is_set, single=True)[0]
    fits = not is_set and sims.outcome.dim == observed.size
    names = tuple(sims.outcome.columns) if fits else tuple(f"summary {i + 1}" for i in range(observed.size))
    none = np.zeros((0, observed.size), np.float32)
    if observed.size * len(draws) > NUMBERS:
        return names, observed.astype(np.float32), none
    theta = {name: np.asarray(value) for name, value in posterior.prior.unflatten(draws).items()}
    design = getattr(posterior, "design", None)
    try:
        fresh = simulate(study.simulator, len(draws), key=key, theta=theta, design=design, events=events)
        if fresh.stopped is not None:
            raise Interrupted("stopped while data were simulated at the answer's draws; the answer is kept")
        made = data_columns(fresh.valid().x, sets=fresh.events)
    except (AllSimulationsFailed, TooFewSimulations, SimulatorError):
        made = none
    return names, observed.astype(np.float32), made.astype(np.float32)
