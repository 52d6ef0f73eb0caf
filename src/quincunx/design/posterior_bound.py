"""The Barber-Agakov bound: information from a learned posterior, on pairs that it was not trained on."""

import jax
import numpy as np

from quincunx.design.density import columns_of
from quincunx.design.experiment import Question, Slots
from quincunx.design.found import Found
from quincunx.errors import NoDensity, UsageError
from quincunx.infer import DirectEstimator
from quincunx.infer.amortised import log_prob_many
from quincunx.infer.sets import padded_many

__all__ = ["posterior_bound", "read_slots"]


def posterior_bound(question: Question, slots: Slots, estimator: DirectEstimator) -> Found:
    """E[log q(theta | x, design) - log p(theta)] <= I(theta; x), for any q; theta those of the estimator's parameters, which may be some only.

    Pairs are simulated afresh: on those that q was trained on it would be no bound. The gap is E KL(p(theta | x) || q(theta | x)).

    Raises:
        NoDensity: for a belief other than the prior, whose density is not known. UsageError, ShapeMismatch, NameMismatch: for an estimator of other
        outcomes, settings or numbers of events.
    """
    if not question.belief.from_prior:
        raise NoDensity(
            "got a belief of draws whose density is not known; expected the prior; use method='contrastive' with NLE or NRE, for which draws are enough"
        )
    x, ok = question.outcomes(slots)
    columns = list(columns_of(question.belief.prior, estimator.prior.names))
    theta = question.outer[:, columns]
    log_q = log_prob_many(estimator.core, theta[:, None], *read_slots(estimator, x, ok, slots))[:, 0]
    rows = log_q.astype(np.float64) - np.asarray(estimator.prior.log_prob_flat(theta), np.float64)
    return Found("posterior", np.where(ok, rows, np.nan), None)


def read_slots(
    estimator: DirectEstimator, x: object, ok: np.ndarray, slots: Slots
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes (N, E, ...) as the estimator reads them: (events, mask, settings), rows that failed filled with a row that did not."""
    if not isinstance(estimator, DirectEstimator):
        raise UsageError(
            f"got a {type(estimator).__name__}; expected an estimator of posteriors: NPE, FMPE or NPSE; pass estimator="
        )
    rows = np.where(ok, np.arange(len(ok)), int(np.argmax(ok)))
    count = slots.count
    estimator.refuse_sets(count)
    used = jax.tree.map(lambda a: a[rows, :count], x)
    n = len(ok)
    design = {
        name: np.broadcast_to(value[:count], (n, count, *value.shape[1:])) for name, value in slots.settings.items()
    }
    alike = {name: value[0] for name, value in slots.settings.items() if not np.any(np.ptp(value[:count], axis=0))}
    events, settings = estimator.reader.read_many(used, design={**design, **alike})
    return padded_many(events, settings)
